"""The log stores that the board *Container logs* is made for: what each calls things, and how it is asked.

In: what to count by. Out: queries as Grafana's data source of the store sends them. The layout, the same for all, is in
`container_logs.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from grafana_foundation_sdk.builders import dashboard, loki
from grafana_foundation_sdk.cog import variants
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from dashboards.panel import choice, field, source

Target = Builder[variants.Dataquery]


class Store(Protocol):
    """`source` is the data source, `uid` that of the board. Fields are named as the store shows them."""

    name: str
    uid: str
    source: model.DataSourceRef
    service: str
    level: str
    iostream: str

    def variables(self) -> list[Any]:
        """The choice of the data source, and of lines by host, service, container and level."""
        ...

    def over_time(self, by: str) -> Target:
        """How many of the chosen lines, by the values of a field."""
        ...

    def lines(self) -> Target:
        """The chosen lines."""
        ...

    def traces(self) -> Target:
        """The traces with most of the chosen lines, as rows of a table."""
        ...


@dataclass
class LogsQuery(variants.Dataquery, Target):
    """A query of VictoriaLogs' data source, which Grafana's own builders do not know."""

    expr: str
    query_type: str
    legend: str = ""

    def build(self) -> LogsQuery:
        return self

    def to_json(self) -> dict[str, object]:
        shown: dict[str, object] = {"expr": self.expr, "queryType": self.query_type, "refId": "A", "editorMode": "code"}
        if self.legend:
            shown["legendFormat"] = self.legend
        return shown


LEVELS = (("trace", 1, 4), ("debug", 5, 8), ("info", 9, 12), ("warn", 13, 16), ("error", 17, 20), ("fatal", 21, 24))
"""OpenTelemetry's severity numbers, by name."""


class VictoriaLogs:
    """Attributes keep their names; `severity_number` is always there, 0 for none. Its data source makes `in(*)`, which
    stands for all records, of the `.*` that Prometheus understands, too."""

    name = "VictoriaLogs"
    uid = "otellogdriver-logs"
    source = model.DataSourceRef(type_val="victoriametrics-logs-datasource", uid="${victorialogs_datasource}")
    service, level, iostream = "service.name", "level", "log.iostream"

    _levels = "".join(
        f' | format if (severity_number:range[{first}, {last}]) "{level}" as level' for level, first, last in LEVELS
    )
    chosen = (
        'host.name:in($host) service.name:in($service) container.name:in($container) ~"(?i)$search" '
        'trace_id:~"^(?i)$trace" | format "none" as level' + _levels + " | filter level:in($level)"
    )

    def variables(self) -> list[Any]:
        narrower = "host.name:in($host)"
        return [
            source("victorialogs_datasource", self.name, "victoriametrics-logs-datasource"),
            choice("host", "Host", self._values("host.name", "*"), self.source, ".*"),
            choice("service", "Service", self._values("service.name", narrower), self.source, ".*"),
            choice(
                "container",
                "Container",
                self._values("container.name", f"{narrower} service.name:in($service)"),
                self.source,
                ".*",
            ),
            levels([*(level for level, _, _ in LEVELS[::-1]), "none"], ""),
        ]

    def over_time(self, by: str) -> Target:
        query = f'{self.chosen} | stats by ("{by}") count() as lines'
        return LogsQuery(query, "statsRange", "{{" + by + "}}")

    def lines(self) -> Target:
        return LogsQuery(self.chosen, "instant")

    def traces(self) -> Target:
        traced = f'{self.chosen} | filter trace_id:* | stats by (trace_id, "service.name") count() as lines'
        return LogsQuery(f"{traced} | sort by (lines desc) limit 50", "instant")

    def _values(self, name: str, query: str) -> dict[str, object]:
        return {"type": "fieldValue", "field": name, "query": query, "refId": "values"}


class Loki:
    """Dots in names are underscores; the level is what Loki makes of the severity, or reads in the line."""

    name = "Loki"
    uid = "otellogdriver-logs-loki"
    source = model.DataSourceRef(type_val="loki", uid="${loki_datasource}")
    service, level, iostream = "service_name", "detected_level", "log_iostream"

    chosen = (
        '{service_name=~"$service", container_name=~"$container"} | host_name=~"$host.*" '
        '| detected_level=~"$level" |~ "(?i)$search" | trace_id=~"(?i)$trace.*"'
    )

    def variables(self) -> list[Any]:
        names = ["critical", "fatal", "error", "warn", "info", "debug", "trace", "unknown"]
        return [
            source("loki_datasource", self.name, "loki"),
            field("host", "Host"),  # no label of Loki's, so it has no list of values
            choice("service", "Service", self._values("service_name", ""), self.source, ".+"),
            choice(
                "container",
                "Container",
                self._values("container_name", '{service_name=~"$service"}'),
                self.source,
                ".+",
            ),
            levels(names, ".*"),
        ]

    def over_time(self, by: str) -> Target:
        expr = f"sum by ({by}) (count_over_time({self.chosen} [$__auto]))"
        return loki.Dataquery().expr(expr).query_type("range").legend_format("{{" + by + "}}").ref_id("A")

    def lines(self) -> Target:
        return loki.Dataquery().expr(self.chosen).query_type("range").max_lines(1000).ref_id("A")

    def traces(self) -> Target:
        traced = f'{self.chosen} | trace_id!=""'
        expr = f"topk(50, sum by (trace_id, service_name) (count_over_time({traced} [$__range])))"
        return loki.Dataquery().expr(expr).instant(True).query_type("instant").ref_id("A")

    def _values(self, label: str, stream: str) -> dict[str, object]:
        return {"type": 1, "label": label, "stream": stream, "refId": "values"}


def levels(names: list[str], every: str) -> dashboard.CustomVariable:
    """The choice of levels; all of them are `every`, or the list of them: of a field that a query makes, VictoriaLogs
    takes `in(*)` to mean that it is stored, where the number of records is limited."""
    made = (
        dashboard.CustomVariable("level")
        .label("Level")
        .values(",".join(names))
        .multi(True)
        .include_all(True)
        .current(model.VariableOption(text="All", value="$__all"))
    )
    return made.all_value(every) if every else made
