"""The boards as Grafana asks for what they show: the queries of their panels, with values in the place of variables."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from dashboards.__main__ import BOARDS
from tests.engine.prometheus import Prometheus
from tests.engine.victorialogs import VictoriaLogs

FOLDER = Path(__file__).parents[2] / "dashboards"
ASKED = [name for name in BOARDS if "loki" not in name]
ALL = {
    "$job": ".+", "$cluster": ".*", "$instance": ".+", "$container": ".*", "$service": ".*", "$host": ".*",
    "$level": ".*", "$search": "", "$trace": "", "$__rate_interval": "20s", "$__range": "10m",
}  # fmt: skip
"""What Grafana puts in the place of variables when nothing is chosen; for levels it is the list of them."""
LEVELS = ("fatal", "error", "warn", "info", "debug", "trace", "none")


def chosen(query: str, **values: str) -> str:
    """The query as it is sent, with these values chosen and all of the other variables."""
    for variable, value in {**ALL, **{f"${name}": value for name, value in values.items()}}.items():
        listed = "in(*)" if value == ".*" else f'in("{value}")'
        if (variable, value) == ("$level", ".*"):
            listed = f"in({', '.join(LEVELS)})"
        query = query.replace(f"in({variable})", listed).replace(variable, value)
    assert "$" not in query, query
    return query


def panels(name: str) -> list[Any]:
    return list(json.loads((FOLDER / name).read_text())["panels"])


def panel(name: str, title: str) -> Any:
    (found,) = [panel for panel in panels(name) if panel["title"] == title]
    return found


def ask(store: VictoriaLogs, prometheus: Prometheus, panel: Any, target: Any, **values: str) -> list[Any]:
    """What a panel gets: samples with their values, or records."""
    query = chosen(target["expr"], **values)
    if panel["datasource"]["type"] == "prometheus":
        return prometheus.query(query)
    if target["queryType"] == "statsRange":
        return store.stats_range(query, "15s")
    return store.rows(query, limit="1000", start=str(time.time() - 3600), end=str(time.time()))
