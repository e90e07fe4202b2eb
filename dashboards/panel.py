"""The kinds of panels, variables and links that the dashboards are made of, with one look.

In: a title, a sentence that says what is seen and what to do about it, a unit, queries. Out: Grafana's own builders.
"""

from __future__ import annotations

from typing import TypeVar

from grafana_foundation_sdk.builders import bargauge, common, dashboard, logs, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common as words
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

PROMETHEUS = model.DataSourceRef(type_val="prometheus", uid="${prometheus_datasource}")

LINES, BYTES, BYTES_A_SECOND, SECONDS, COUNT = "cps", "bytes", "binBps", "s", "short"
"""Units that Grafana knows: each number is shown with its own."""

D = '{job=~"$job", cluster=~"$cluster", instance=~"$instance"}'
"""Series of the chosen drivers."""
R = "[$__rate_interval]"

Steps = list[tuple[float | None, str]]
"""(from this value on, colour), the first one from None."""

P = TypeVar("P", stat.Panel, timeseries.Panel, bargauge.Panel, table.Panel, logs.Panel)


def _common(panel: P, title: str, text: str, width: int, height: int) -> P:
    return panel.title(title).description(text).span(width).height(height)


def _thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    return (
        dashboard.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([model.Threshold(value=value, color=color) for value, color in steps])
    )


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"])


def number(
    title: str,
    text: str,
    expr: str,
    unit: str,
    steps: Steps,
    *,
    width: int = 6,
    shown: dict[str, str] | None = None,
    beyond: tuple[float, str] | None = None,
) -> stat.Panel:
    """One big number, the latest. `shown` puts words in the place of values, `beyond` of all values from one on."""
    mappings: list[model.ValueMapping] = []
    if shown:
        options = {value: model.ValueMappingResult(text=word, index=n) for n, (value, word) in enumerate(shown.items())}
        mappings.append(model.ValueMap(options=options))
    if beyond:
        result = model.ValueMappingResult(text=beyond[1], index=9)
        reach = model.DashboardRangeMapOptions(from_val=beyond[0], to=None, result=result)
        mappings.append(model.RangeMap(options=reach))
    return (
        _common(stat.Panel(), title, text, width, 5)
        .datasource(PROMETHEUS)
        .with_target(prometheus.Dataquery().expr(expr).instant().legend_format("").ref_id("A"))
        .unit(unit)
        .mappings(mappings)
        .thresholds(_thresholds(steps))
        .color_mode(words.BigValueColorMode.VALUE)
        .graph_mode(words.BigValueGraphMode.NONE)
        .reduce_options(_last())
    )


def graph(
    title: str,
    text: str,
    unit: str,
    queries: list[tuple[str, str]],
    *,
    width: int = 12,
    height: int = 8,
    steps: Steps | None = None,
    bars: bool = False,
    of: model.DataSourceRef = PROMETHEUS,
) -> timeseries.Panel:
    """Values over time; `queries` are (legend, expression). With `bars` they are stacked."""
    panel = (
        _common(timeseries.Panel(), title, text, width, height)
        .datasource(of)
        .unit(unit)
        .min(0)
        .line_width(1)
        .fill_opacity(60 if bars else 8)
        .show_points(words.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .placement(words.LegendPlacement.BOTTOM)
            .calcs(["lastNotNull", "max"])
            .display_mode(words.LegendDisplayMode.TABLE)
        )
        .tooltip(common.VizTooltipOptions().mode(words.TooltipDisplayMode.MULTI).sort(words.SortOrder.DESCENDING))
    )
    if bars:
        panel.draw_style(words.GraphDrawStyle.BARS).stacking(common.StackingConfig().mode(words.StackingMode.NORMAL))
    if steps:
        panel.thresholds(_thresholds(steps)).thresholds_style(
            common.GraphThresholdsStyleConfig().mode(words.GraphThresholdsStyleMode.DASHED)
        )
    for ref, (legend, expr) in zip("ABCDEFGH", queries, strict=False):
        panel.with_target(prometheus.Dataquery().expr(expr).range().legend_format(legend).ref_id(ref))
    return panel


def top(title: str, text: str, unit: str, legend: str, expr: str, *, width: int = 12) -> bargauge.Panel:
    """A bar for each series, now."""
    return (
        _common(bargauge.Panel(), title, text, width, 8)
        .datasource(PROMETHEUS)
        .with_target(prometheus.Dataquery().expr(expr).instant().legend_format(legend).ref_id("A"))
        .unit(unit)
        .min(0)
        .orientation(words.VizOrientation.HORIZONTAL)
        .display_mode(words.BarGaugeDisplayMode.BASIC)
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.FIXED).fixed_color("blue"))
        .reduce_options(_last())
    )


def grid(
    title: str,
    text: str,
    columns: list[tuple[str, str, str, Steps | None]],
    *,
    by: list[str],
    links: list[dashboard.DashboardLink],
    height: int = 10,
) -> table.Panel:
    """A row for each group of labels `by`, a column for each query: (heading, expression, unit, steps)."""
    panel = _common(table.Panel(), title, text, 24, height).datasource(PROMETHEUS)
    names: dict[str, object] = {}
    for ref, (heading, expr, unit, steps) in zip("ABCDEFGHIJ", columns, strict=False):
        panel.with_target(
            prometheus.Dataquery().expr(expr).instant().format(PromQueryFormat.TABLE).legend_format("").ref_id(ref)
        )
        names[f"Value #{ref}"] = heading
        properties = [model.DynamicConfigValue(id_val="unit", value=unit)]
        if steps:
            properties += [
                model.DynamicConfigValue(id_val="thresholds", value=_thresholds(steps).build()),
                model.DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"}),
            ]
        panel.override_by_name(heading, properties)
    panel.override_by_name(by[0], [model.DynamicConfigValue(id_val="links", value=[link.build() for link in links])])
    panel.with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
    options = {"excludeByName": {"Time": True}, "renameByName": names, "indexByName": {n: i for i, n in enumerate(by)}}
    panel.with_transformation(model.DataTransformerConfig(id_val="organize", options=options))
    return panel.filterable(True)


def link(title: str, url: str) -> dashboard.DashboardLink:
    """A link from a value."""
    return dashboard.DashboardLink(title).url(url).type(model.DashboardLinkType.LINK)


def source(name: str, of: str, plugin: str) -> dashboard.DatasourceVariable:
    """The choice of a data source."""
    return dashboard.DatasourceVariable(name).label(f"{of} data source").type(plugin)


def drivers() -> list[dashboard.QueryVariable]:
    """The choice of drivers by the labels that a scrape gives them. `cluster` is often not there at all."""
    info = "label_values(otellogdriver_build_info%s, %s)"
    job, cluster = '{job=~"$job"}', '{job=~"$job", cluster=~"$cluster"}'
    return [
        choice("job", "Job", info % ("", "job"), PROMETHEUS, ".+"),
        choice("cluster", "Cluster", info % (job, "cluster"), PROMETHEUS, ".*"),
        choice("instance", "Instance", info % (cluster, "instance"), PROMETHEUS, ".+"),
    ]


def choice(
    name: str, label: str, query: str | dict[str, object], of: model.DataSourceRef, every: str
) -> dashboard.QueryVariable:
    """A choice of one, several or all values of a label. `every` is the pattern that stands for all."""
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(of)
        .query(query)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(every)
        .current(model.VariableOption(text="All", value="$__all"))
    )


def field(name: str, label: str) -> dashboard.TextBoxVariable:
    """A text to type."""
    return dashboard.TextBoxVariable(name).label(label).default_value("")


def board(uid: str, title: str, text: str) -> dashboard.Dashboard:
    return (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(text)
        .tags(["otellogdriver", "docker", "opentelemetry"])
        .time("now-1h", "now")
        .refresh("10s")
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .readonly()
    )


def other(title: str, uid: str) -> dashboard.DashboardLink:
    """The link to another dashboard, which keeps the time and the variables."""
    return link(title, f"/d/{uid}").keep_time(True).include_vars(True)
