"""Dashboard *Driver*: is anything lost, how far behind, until when does the disk last; then the way of a line, who is
loud, the collector, the disk, the driver itself."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from dashboards.panel import (
    BYTES,
    BYTES_A_SECOND,
    COUNT,
    LINES,
    PROMETHEUS,
    SECONDS,
    D,
    R,
    choice,
    drivers,
    graph,
    grid,
    link,
    number,
    other,
    source,
    top,
)
from dashboards.panel import board as new_board

Panels = list[Builder[Panel]]

UID = "otellogdriver-driver"

C = D.replace("}", ', container_name=~"$container", service_name=~"$service"}')
"""Series of the chosen containers."""
FAILED = C.replace("}", ', severity=~"error|fatal"}')
WHERE = "job, cluster, instance"
"""What tells drivers apart: nothing is added up over hosts unless the panel says so."""
WHO = f"{WHERE}, container_name, service_name"
EACH, ITS_NAME = f"{WHERE}, container_name", "{{instance}} {{container_name}}"
PLACE, ITS_PLACE = f"{WHERE}, destination", "{{instance}} {{destination}}"

OURS = f" and on ({WHERE}) otellogdriver_build_info{D}"
"""After a metric of every process: those of drivers."""
FALLBACK = D.replace("}", ', codec!="native"}')

MONTH = 30 * 86400
"""Seconds beyond which nobody cares when the journal will be full."""
TIME_TO_FULL = (
    f"clamp_max(min(otellogdriver_driver_journal_room_bytes{D}"
    f" / clamp_min(-deriv(otellogdriver_driver_journal_room_bytes{D}[10m]), 1)"
    f" or (otellogdriver_journal_limit_bytes{D} - otellogdriver_undelivered_bytes{D})"
    f" / clamp_min(deriv(otellogdriver_undelivered_bytes{D}[10m]), 1)), {2 * MONTH})"
)
"""Seconds until the first limit is reached, at the pace of the last ten minutes."""


def board() -> dashboard.Dashboard:
    made = new_board(UID, "otellogdriver / Driver", "What the Docker logging driver read, delivered and lost.")
    made.link(other("Container logs", "otellogdriver-logs"))
    made.with_variable(source("prometheus_datasource", "Prometheus", "prometheus"))
    for variable in drivers():
        made.with_variable(variable)
    labels = f"label_values(otellogdriver_undelivered_bytes{D}, %s)"
    made.with_variable(choice("service", "Service", labels % "service_name", PROMETHEUS, ".*"))
    labels = labels.replace("}", ', service_name=~"$service"}')
    made.with_variable(choice("container", "Container", labels % "container_name", PROMETHEUS, ".*"))
    rows = (
        ("Is all well?", _well()),
        ("The way of a line", _way()),
        ("Containers", _containers()),
        ("Collectors", _collector()),
        ("Disk", _disk()),
        ("The driver itself", _driver()),
    )
    for title, panels in rows:
        made.with_row(dashboard.Row(title))
        for panel in panels:
            made.with_panel(panel)
    return made


def _well() -> Panels:
    return [
        number(
            "Lines lost",
            "Lines given up in the chosen time. Which, and why: *Lost, by reason* and the table below.",
            f"sum(increase(otellogdriver_driver_dropped_lines_total{D}[$__range]))",
            COUNT,
            [(None, "green"), (0.5, "red")],
        ),
        number(
            "Behind",
            "Age of the oldest line that waits for delivery. Seconds are normal, minutes mean that the collector is "
            "away or slow.",
            f"max(otellogdriver_lag_seconds{D}) or vector(0)",
            SECONDS,
            [(None, "green"), (10, "orange"), (60, "red")],
        ),
        number(
            "Journal full in",
            "Time until lines are given up, if it goes on as in the last ten minutes: the first limit to be reached, "
            "of a container, of the whole journal or of the disk.",
            TIME_TO_FULL,
            SECONDS,
            [(None, "red"), (4 * 3600, "orange"), (24 * 3600, "green")],
            beyond=(MONTH, "not filling"),
        ),
        number(
            "Collectors",
            "Whether every destination takes what it is sent.",
            f"min(otellogdriver_destination_up{D}) or vector(1)",
            COUNT,
            [(None, "red"), (1, "green")],
            shown={"0": "one is away", "1": "all take records"},
        ),
    ]


def _way() -> Panels:
    return [
        graph(
            "Read",
            "Lines taken from containers, and the bytes that came through their FIFOs.",
            LINES,
            [("lines of {{stream}}", f"sum by (stream) (rate(otellogdriver_lines_total{C}{R}))")],
            width=6,
        ),
        graph(
            "In the journal",
            "What waits for delivery, and all that is kept, for `docker logs` too.",
            BYTES,
            [
                ("waiting", f"sum(otellogdriver_undelivered_bytes{C})"),
                ("kept", f"sum(otellogdriver_journal_bytes{C})"),
            ],
            width=6,
        ),
        graph(
            "Sent",
            "Requests by what became of them; all but delivered, refused and denied are tried again.",
            "reqps",
            [("{{outcome}}", f"sum by (outcome) (rate(otellogdriver_requests_total{D}{R}))")],
            width=6,
        ),
        graph(
            "Acknowledged",
            "Records that a collector took, and lines that were left out because the options say so.",
            LINES,
            [
                ("acknowledged", f"sum(rate(otellogdriver_delivered_records_total{C}{R}))"),
                ("excluded", f"sum(rate(otellogdriver_excluded_lines_total{C}{R}))"),
            ],
            width=6,
        ),
        graph(
            "Lost, by reason",
            "Lines given up. `journal_full`: a limit was reached; `disk_full`, `disk_error`: the journal could not be "
            "written; `refused`, `denied`, `rejected`: the collector did not want them; `fault`: a bug, please report.",
            COUNT,
            [("{{reason}}", f"sum by (reason) (increase(otellogdriver_driver_dropped_lines_total{D}{R}))")],
            bars=True,
        ),
        graph(
            "Behind, by container",
            "Age of the oldest line that waits, of the ten containers that are furthest behind.",
            SECONDS,
            [
                (
                    ITS_NAME,
                    f"topk(10, max by ({EACH}) (otellogdriver_lag_seconds{C}))",
                )
            ],
            steps=[(None, "transparent"), (60, "red")],
        ),
    ]


def _containers() -> Panels:
    here = "/d/otellogdriver-driver?${__url_time_range}&${instance:queryparam}&var-container=${__value.text}"
    logs = "/d/otellogdriver-logs?${__url_time_range}&var-container=${__value.text}"
    return [
        grid(
            "Each container",
            "Click a name to look at this container alone, here or in its logs. Lost, excluded and damaged count "
            "within the chosen time.",
            [
                ("Lines/s", f"sum by ({WHO}) (rate(otellogdriver_lines_total{C}{R}))", LINES, None),
                ("Bytes/s", f"sum by ({WHO}) (rate(otellogdriver_line_bytes_total{C}{R}))", BYTES_A_SECOND, None),
                ("Delivered/s", f"sum by ({WHO}) (rate(otellogdriver_delivered_records_total{C}{R}))", LINES, None),
                ("Waiting", f"sum by ({WHO}) (otellogdriver_undelivered_bytes{C})", BYTES, None),
                (
                    "Behind",
                    f"max by ({WHO}) (otellogdriver_lag_seconds{C})",
                    SECONDS,
                    [(None, "text"), (10, "orange"), (60, "red")],
                ),
                (
                    "Lost",
                    f"sum by ({WHO}) (increase(otellogdriver_dropped_lines_total{C}[$__range]))",
                    COUNT,
                    [(None, "text"), (1, "red")],
                ),
                (
                    "Excluded",
                    f"sum by ({WHO}) (increase(otellogdriver_excluded_lines_total{C}[$__range]))",
                    COUNT,
                    None,
                ),
                ("Damaged", f"sum by ({WHO}) (increase(otellogdriver_damaged_bytes_total{C}[$__range]))", BYTES, None),
            ],
            by=["container_name", "service_name", "instance"],
            links=[link("This container", here), link("Its logs", logs)],
        ),
        graph(
            "Errors by service",
            "Records with the severity ERROR or FATAL of the ten services with most, over all hosts: of containers "
            "whose options (`parse`, `severity`) have a severity looked for. It needs no log store.",
            LINES,
            [
                (
                    "{{service_name}}",
                    f"topk(10, sum by (job, cluster, service_name) (rate(otellogdriver_records_total{FAILED}{R})))",
                )
            ],
        ),
        graph(
            "Records by severity",
            "Of all chosen containers. `none`: no severity was looked for, or none was found.",
            LINES,
            [("{{severity}}", f"sum by (severity) (rate(otellogdriver_records_total{C}{R}))")],
        ),
        top(
            "Loudest",
            "Lines a second of the ten loudest containers.",
            LINES,
            ITS_NAME,
            f"topk(10, sum by ({EACH}) (rate(otellogdriver_lines_total{C}{R})))",
            width=8,
        ),
        graph(
            "Lines of each",
            "The ten loudest, over time.",
            LINES,
            [
                (
                    ITS_NAME,
                    f"topk(10, sum by ({EACH}) (rate(otellogdriver_lines_total{C}{R})))",
                )
            ],
            width=8,
        ),
        graph(
            "Read from each",
            "Bytes through the FIFOs of the ten heaviest; it goes on while the collector is away.",
            BYTES_A_SECOND,
            [
                (
                    ITS_NAME,
                    f"topk(10, sum by ({EACH}) (rate(otellogdriver_read_bytes_total{C}{R})))",
                )
            ],
            width=8,
        ),
        graph(
            "Waiting, by container",
            "Bytes of the ten containers with most, beside the least limit of them.",
            BYTES,
            [
                (
                    ITS_NAME,
                    f"topk(10, sum by ({EACH}) (otellogdriver_undelivered_bytes{C}))",
                ),
                ("limit", f"min(otellogdriver_journal_limit_bytes{C})"),
            ],
        ),
        graph(
            "Lost before the journal",
            "Bytes that were given up before they were written, because the journal or the disk was full.",
            BYTES,
            [
                (
                    "{{instance}} {{container_name}} {{reason}}",
                    f"topk(10, sum by ({EACH}, reason) (increase(otellogdriver_dropped_bytes_total{C}{R})) > 0)",
                )
            ],
        ),
    ]


def _collector() -> Panels:
    quantiles = [
        (
            f"{{{{instance}}}} {{{{destination}}}} p{quantile * 100:g}",
            f"histogram_quantile({quantile}, sum by ({WHERE}, destination, le) "
            f"(rate(otellogdriver_request_duration_seconds_bucket{D}{R})))",
        )
        for quantile in (0.5, 0.99)
    ]
    return [
        graph("Time to answer", "Half and 99 % of the requests took less.", SECONDS, quantiles, width=8),
        graph(
            "Tried again",
            "Requests that failed and go out again: no connection, no answer, throttled, unavailable.",
            "reqps",
            [
                (
                    "{{instance}} {{destination}} {{outcome}}",
                    f"sum by ({WHERE}, destination, outcome) (rate(otellogdriver_requests_total"
                    + D.replace("}", ', outcome!~"delivered|refused|denied"}')
                    + f"{R}))",
                )
            ],
            width=8,
        ),
        graph(
            "In flight",
            "Requests that wait for their answer. At the window's size (`otlp-concurrency`) all the time, the "
            "collector is the bottleneck.",
            COUNT,
            [(ITS_PLACE, f"sum by ({PLACE}) (otellogdriver_requests_in_flight{D})")],
            width=8,
        ),
        graph(
            "On the wire",
            "Bytes of request bodies as they are sent.",
            BYTES_A_SECOND,
            [
                (
                    ITS_PLACE,
                    f"sum by ({PLACE}) (rate(otellogdriver_sent_bytes_total{D}{R}))",
                )
            ],
            width=8,
        ),
        graph(
            "Taken",
            "1 while a destination takes what it is sent.",
            COUNT,
            [(ITS_PLACE, f"min by ({PLACE}) (otellogdriver_destination_up{D})")],
            width=8,
        ),
        graph(
            "Pause",
            "Time until the next try; long where the collector asked for it or denies us.",
            SECONDS,
            [
                (
                    ITS_PLACE,
                    f"max by ({PLACE}) (otellogdriver_destination_pause_seconds{D})",
                )
            ],
            width=8,
        ),
    ]


def _disk() -> Panels:
    return [
        graph(
            "Journal",
            "All that is kept, what of it waits for delivery, and how much may wait.",
            BYTES,
            [
                ("kept {{instance}}", f"otellogdriver_driver_journal_bytes{D}"),
                ("waiting {{instance}}", f"otellogdriver_driver_undelivered_bytes{D}"),
                ("limit {{instance}}", f"otellogdriver_driver_journal_limit_bytes{D}"),
            ],
            width=8,
        ),
        graph(
            "Room",
            "What may come until lines are given up, and what is free on the disk.",
            BYTES,
            [
                ("room {{instance}}", f"otellogdriver_driver_journal_room_bytes{D}"),
                ("free {{instance}}", f"otellogdriver_driver_disk_free_bytes{D}"),
            ],
            width=8,
        ),
        graph("Journal full in", "As above, over time.", SECONDS, [("until full", TIME_TO_FULL)], width=8),
    ]


def _driver() -> Panels:
    cpu = f"(rate(process_cpu_seconds_total{D}{R}){OURS})"
    return [
        graph("CPU", "Share of one core.", "percentunit", [("{{instance}}", cpu)], width=8),
        graph(
            "CPU for a thousand bytes read",
            "What a kilobyte of container output costs the driver.",
            SECONDS,
            [
                (
                    "{{instance}}",
                    f"1000 * {cpu} / clamp_min(rate(otellogdriver_driver_read_bytes_total{D}{R}), 1)",
                )
            ],
            width=8,
        ),
        graph(
            "Memory",
            "Resident memory. It does not grow with an outage.",
            BYTES,
            [("{{instance}}", f"process_resident_memory_bytes{D}{OURS}")],
            width=8,
        ),
        graph(
            "Streams, threads and files",
            "One FIFO and one thread for each running container, and up to five files.",
            COUNT,
            [
                ("streams", f"sum(otellogdriver_open_streams{D})"),
                ("blocked streams", f"sum(otellogdriver_blocked_streams{D})"),
                ("excluded streams", f"sum(otellogdriver_excluded_streams{D})"),
                ("stalled streams", f"sum(otellogdriver_stalled_streams{D})"),
                ("threads", f"sum(otellogdriver_threads{D})"),
                ("files", f"sum(process_open_fds{D}{OURS})"),
                ("files at most", f"min(process_max_fds{D}{OURS})"),
            ],
            width=8,
        ),
        graph(
            "Delivered, all containers",
            "Those that are gone included.",
            LINES,
            [("{{instance}}", f"rate(otellogdriver_driver_delivered_records_total{D}{R})")],
            width=8,
        ),
        number(
            "Starts",
            "How often the driver started in the chosen time. After a crash the engine starts it again at once.",
            f"sum(changes(process_start_time_seconds{D}[$__range]){OURS})",
            COUNT,
            [(None, "green"), (1, "orange"), (3, "red")],
            width=3,
        ),
        number(
            "Faults",
            "Faults that the driver met and survived in the chosen time; its log names them.",
            f"sum(increase(otellogdriver_faults_total{D}[$__range]))",
            COUNT,
            [(None, "green"), (0.5, "orange")],
            width=3,
        ),
        number(
            "Bad options",
            "Values in the plugin's environment that cannot be used; the status page names them.",
            f"sum(otellogdriver_option_problems{D})",
            COUNT,
            [(None, "green"), (1, "orange")],
            width=2,
        ),
        number(
            "Codec",
            "Whether the native codec is at work; the one in Python costs many times the CPU.",
            f"count(otellogdriver_build_info{FALLBACK}) or vector(0)",
            COUNT,
            [(None, "green"), (1, "orange")],
            width=3,
            shown={"0": "native"},
        ),
        grid(
            "Drivers",
            "Version and codec of each.",
            [
                ("Up for", f"time() - max by ({WHERE}) (process_start_time_seconds{D}{OURS})", SECONDS, None),
                ("Version", f"max by ({WHERE}, version, codec) (otellogdriver_build_info{D})", COUNT, None),
            ],
            by=["instance"],
            links=[],
            height=6,
        ),
    ]
