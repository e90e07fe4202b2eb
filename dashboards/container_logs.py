"""Dashboard *Container logs*: how much, of whom, how bad; the lines themselves; from a line to its trace.

One layout for every log store."""

from __future__ import annotations

from grafana_foundation_sdk.builders import common, dashboard, logs, table, timeseries
from grafana_foundation_sdk.models import common as words
from grafana_foundation_sdk.models import dashboard as model

from dashboards.panel import COUNT, SECONDS, R, drivers, graph, link, number, other, source
from dashboards.panel import board as new_board
from dashboards.stores import Loki, Store, VictoriaLogs

THEIRS = (
    '{job=~"$job", cluster=~"$cluster", instance=~"$instance", service_name=~"$service", container_name=~"$container"}'
)
"""The driver's series of the chosen containers."""


def victorialogs() -> dashboard.Dashboard:
    return board(VictoriaLogs())


def loki() -> dashboard.Dashboard:
    return board(Loki())


def board(store: Store) -> dashboard.Dashboard:
    made = new_board(
        store.uid,
        f"otellogdriver / Container logs ({store.name})",
        f"What containers print, as {store.name} got it over OTLP.",
    )
    made.link(other("Driver", "otellogdriver-driver"))
    for variable in [*store.variables(), source("prometheus_datasource", "Prometheus", "prometheus"), *drivers()]:
        made.with_variable(variable)
    made.with_variable(dashboard.TextBoxVariable("search").label("Search").default_value(""))
    made.with_variable(dashboard.TextBoxVariable("trace").label("Trace").default_value(""))
    counted = (
        ("Lines, by level", "Records by the severity they carry.", store.level, 12, 8),
        ("Lines, by service", "Who prints how much.", store.service, 12, 8),
    )
    for title, text, by, width, height in counted:
        made.with_panel(_counted(store, title, text, by, width, height))
    made.with_panel(
        logs.Panel()
        .title("Lines")
        .description(
            "Open a line to see its attributes. `trace_id` leads to all lines of its trace, as does the table below."
        )
        .span(24)
        .height(16)
        .datasource(store.source)
        .with_target(store.lines())
        .show_time(True)
        .wrap_log_message(True)
        .enable_log_details(True)
        .sort_order(words.LogsSortOrder.DESCENDING)
        .dedup_strategy(words.LogsDedupStrategy.NONE)
    )
    made.with_panel(_traces(store))
    made.with_panel(
        number(
            "Not here yet",
            "Age of the oldest line of these services that the driver has not delivered: what is missing above.",
            f"max(otellogdriver_lag_seconds{THEIRS}) or vector(0)",
            SECONDS,
            [(None, "green"), (10, "orange"), (60, "red")],
            width=8,
        )
    )
    made.with_panel(
        graph(
            "Lost of these",
            "Lines that the driver gave up, and that will never be here.",
            COUNT,
            [
                (
                    "{{instance}} {{container_name}} {{reason}}",
                    "sum by (job, cluster, instance, container_name, reason) "
                    f"(increase(otellogdriver_dropped_lines_total{THEIRS}{R})) > 0",
                )
            ],
            width=8,
            height=5,
            bars=True,
        )
    )
    made.with_panel(_counted(store, "By stream", "Lines on stdout and on stderr.", store.iostream, 8, 5))
    return made


def _counted(store: Store, title: str, text: str, by: str, width: int, height: int) -> timeseries.Panel:
    panel = graph(title, text, COUNT, [], width=width, height=height, bars=True, of=store.source)
    return panel.with_target(store.over_time(by))


def _traces(store: Store) -> table.Panel:
    here = f"/d/{store.uid}?${{__url_time_range}}&var-trace=${{__value.text}}"
    links = model.DynamicConfigValue(id_val="links", value=[link("All lines of this trace", here).build()])
    names = {"Value #A": "lines", "Value": "lines"}
    return (
        table.Panel()
        .title("Traces")
        .description("Traces that the chosen lines belong to, with their number of lines. Click one to see them.")
        .span(24)
        .height(8)
        .datasource(store.source)
        .unit(COUNT)
        .with_target(store.traces())
        .with_transformation(
            model.DataTransformerConfig(
                id_val="organize", options={"excludeByName": {"Time": True, "Line": True}, "renameByName": names}
            )
        )
        .override_by_name("trace_id", [links])
        .sort_by([common.TableSortByFieldState().display_name("lines").desc(True)])
    )
