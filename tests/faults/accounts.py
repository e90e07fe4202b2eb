"""Each line has one fate: printed = delivered + given up + left out + waiting, by what the driver says of itself.

Checked at the end of every test with the driver's process, for each container whose lines become a record each. After a
restart of the driver its counters begin anew, and the tests look at what arrived.
"""

from __future__ import annotations

from collections import Counter

from tests.fakes.engine import Container, Engine
from tests.scene import until

MANY = 100
"""FIFOs of one container, beyond which the driver forgets the first ones."""
OTHERWISE = ("multiline-pattern", "otlp-mirror")
"""Options with which a record is not a line: several lines are one, or each is sent twice."""


METRICS = {
    "delivered": "otellogdriver_delivered_records_total",
    "dropped": "otellogdriver_dropped_lines_total",
    "excluded": "otellogdriver_excluded_lines_total",
    "waiting": "otellogdriver_undelivered_bytes",
    "damaged": "otellogdriver_damaged_bytes_total",
}


def check(engine: Engine) -> None:
    """Each line of each container has one fate by now, or waits."""
    if engine.launches != 1 or engine.process is None or engine.process.poll() is not None:
        return
    printed: dict[str, int] = {}
    for container in engine.containers:  # two FIFOs of one container are one account
        printed[container.id] = printed.get(container.id, 0) + (container.printed or 0)
    fifos = Counter(container.id for container in engine.containers)
    for container in engine.containers:
        if not _is_plain(container) or fifos[container.id] > MANY:
            printed.pop(container.id, None)
    wrong: dict[str, str] = {}

    def balanced() -> bool:
        wrong.clear()
        wrong.update(_wrong(engine, printed))
        return not wrong

    try:
        until(balanced, within=20)
    except AssertionError as error:
        raise AssertionError(f"lines without a fate, or with two: {wrong}") from error


def _is_plain(container: Container) -> bool:
    return (
        container.printed is not None
        and not container.info.get("ContainerLabels")
        and not any(option in (container.info.get("Config") or {}) for option in OTHERWISE)
    )


def _wrong(engine: Engine, printed: dict[str, int]) -> dict[str, str]:
    """Container -> what does not add up, in words."""
    found: dict[str, dict[str, int]] = {}
    for sample, value in engine.metrics().items():
        name, _, labels = sample.partition("{")
        owner = labels.partition('container_id="')[2].partition('"')[0]
        for what, metric in METRICS.items():
            if name == metric and owner in printed:
                fates = found.setdefault(owner, dict.fromkeys(METRICS, 0))
                fates[what] += int(value)
    wrong = {}
    for owner, fates in found.items():
        ended = fates["delivered"] + fates["dropped"] + fates["excluded"]
        balanced = ended <= printed[owner] if fates["waiting"] else ended == printed[owner]
        if not balanced and not fates["damaged"]:
            wrong[owner[:12]] = f"{printed[owner]} printed, {fates}"
    return wrong
