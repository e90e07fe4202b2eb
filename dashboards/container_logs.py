"""Dashboard *Container logs*: how much, of whom, how bad; the lines themselves; from a line to its trace."""

from __future__ import annotations

from grafana_foundation_sdk.builders import common, dashboard, logs, loki, table
from grafana_foundation_sdk.models import common as words
from grafana_foundation_sdk.models import dashboard as model

from dashboards.panel import COUNT, LOKI, SECONDS, choice, field, graph, link, number, other, source
from dashboards.panel import board as new_board

UID = "otellogdriver-logs"

CHOSEN = '{service_name=~"$service", container_name=~"$container"} | detected_level=~"$level" |~ "(?i)$search"'
"""The lines that the variables choose."""
TRACED = f'{CHOSEN} | trace_id!="" | trace_id=~"$trace.*"'


def board() -> dashboard.Dashboard:
    made = new_board(UID, "otellogdriver / Container logs", "What containers print, as Loki got it over OTLP.")
    made.link(other("Driver", "otellogdriver-driver"))
    made.with_variable(source("loki", "Loki")).with_variable(source("prometheus", "Prometheus"))
    made.with_variable(choice("service", "Service", _values("service_name", ""), LOKI, ".+"))
    made.with_variable(
        choice("container", "Container", _values("container_name", '{service_name=~"$service"}'), LOKI, ".+")
    )
    levels = ["critical", "fatal", "error", "warn", "info", "debug", "trace", "unknown"]
    made.with_variable(
        dashboard.CustomVariable("level")
        .label("Level")
        .values(",".join(levels))
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(model.VariableOption(text="All", value="$__all"))
    )
    made.with_variable(field("search", "Search")).with_variable(field("trace", "Trace"))
    made.with_panel(
        graph(
            "Lines, by level",
            "Records by the severity they carry; where they carry none, by what Loki reads in the line.",
            COUNT,
            [("{{detected_level}}", f"sum by (detected_level) (count_over_time({CHOSEN} [$__auto]))")],
            bars=True,
            of=LOKI,
        )
    )
    made.with_panel(
        graph(
            "Lines, by service",
            "Who prints how much.",
            COUNT,
            [("{{service_name}}", f"sum by (service_name) (count_over_time({CHOSEN} [$__auto]))")],
            bars=True,
            of=LOKI,
        )
    )
    made.with_panel(
        logs.Panel()
        .title("Lines")
        .description(
            "Open a line to see its attributes. `trace_id` leads to all lines of its trace, as does the table below."
        )
        .span(24)
        .height(16)
        .datasource(LOKI)
        .with_target(loki.Dataquery().expr(f'{CHOSEN} | trace_id=~"$trace.*"').max_lines(1000).ref_id("A"))
        .show_time(True)
        .wrap_log_message(True)
        .enable_log_details(True)
        .sort_order(words.LogsSortOrder.DESCENDING)
        .dedup_strategy(words.LogsDedupStrategy.NONE)
    )
    made.with_panel(_traces())
    made.with_panel(
        number(
            "Not here yet",
            "Age of the oldest line of these services that the driver has not delivered: what is missing above.",
            'max(otellogdriver_lag_seconds{service_name=~"$service", container_name=~"$container"}) or vector(0)',
            SECONDS,
            [(None, "green"), (10, "orange"), (60, "red")],
            width=8,
        )
    )
    made.with_panel(
        graph(
            "Lost of these",
            "Lines that the driver gave up since its start, and so will never be here.",
            COUNT,
            [
                (
                    "{{container_name}} {{reason}}",
                    "sum by (container_name, reason) (otellogdriver_dropped_lines_total"
                    '{service_name=~"$service", container_name=~"$container"})',
                )
            ],
            width=8,
            height=5,
        )
    )
    made.with_panel(
        graph(
            "By stream",
            "Lines on stdout and on stderr.",
            COUNT,
            [("{{log_iostream}}", f"sum by (log_iostream) (count_over_time({CHOSEN} [$__auto]))")],
            bars=True,
            of=LOKI,
            width=8,
            height=5,
        )
    )
    return made


def _values(label: str, stream: str) -> dict[str, object]:
    """The query of a variable: the values that a label has, in streams that match."""
    return {"type": 1, "label": label, "stream": stream, "refId": "values"}


def _traces() -> table.Panel:
    here = f"/d/{UID}?${{__url_time_range}}&var-trace=${{__value.text}}"
    links = model.DynamicConfigValue(id_val="links", value=[link("All lines of this trace", here).build()])
    return (
        table.Panel()
        .title("Traces")
        .description("Traces that the chosen lines belong to, with their number of lines. Click one to see them.")
        .span(24)
        .height(8)
        .datasource(LOKI)
        .with_target(
            loki.Dataquery()
            .expr(f"topk(50, sum by (trace_id, service_name) (count_over_time({TRACED} [$__range])))")
            .instant(True)
            .query_type("instant")
            .ref_id("A")
        )
        .with_transformation(
            model.DataTransformerConfig(
                id_val="organize",
                options={"excludeByName": {"Time": True}, "renameByName": {"Value #A": "lines", "Value": "lines"}},
            )
        )
        .override_by_name("trace_id", [links])
        .sort_by([common.TableSortByFieldState().display_name("lines").desc(True)])
    )
