"""The Grafana dashboards and Prometheus alert rules that come with the driver.

`driver.json` and `container-logs.json` are rendered from the code here by `python -m dashboards --render`; import them
into Grafana, or provision them as `compose/` does. `alerts.yaml` is written by hand, with its tests in
`alerts.test.yaml`; what to do when one fires is in docs/OPERATIONS.md.
"""
