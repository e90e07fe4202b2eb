"""Records on real parts: what a container's options make of its lines, and its labels of its resource."""

from __future__ import annotations

import re
import shlex

import pytest

from plugin.build import build
from plugin.engine import EngineError
from tests.e2e.test_main_job import Runner, runner
from tests.engine.loopback import wait_for

__all__ = ["runner"]

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
STACK = [
    "java.lang.IllegalStateException: boom",
    "\tat com.example.A.f(A.java:5)",
    "Caused by: java.io.IOException",
    "\tat com.example.B.g(B.java:7)",
]


def printed(*lines: str, stream: str = "") -> str:
    """A script that prints the lines."""
    return "".join(f"printf '%s\\n' {shlex.quote(line)}{stream};" for line in lines)


def test_the_plugin_has_the_native_writer(runner: Runner) -> None:
    assert list(build().glob("rootfs/usr/**/otellogdriver/lines/native.*.so"))


def test_json_becomes_severity_trace_and_attributes(runner: Runner) -> None:
    line = (
        f'{{"time":"2026-01-02T03:04:05.678Z","level":"warn","msg":"slow","took":1.5,"rows":20,"ok":true,"none":null,'
        f'"user":{{"id":7,"roles":["a","b"]}},"trace_id":"{TRACE_ID}","span_id":"{SPAN_ID}","trace_flags":"01"}}'
    )
    name = runner.run(printed(line, "plain {"), parse="json", parse_time="true")
    first, second = runner.collector.wait(2, name)
    assert (first.body, first.severity_number, first.severity_text) == ("slow", 13, "warn")
    assert (first.trace_id, first.span_id) == (TRACE_ID, SPAN_ID)
    assert first.time == 1_767_323_045_678_000_000 < first.observed
    assert first.attributes == {
        "log.iostream": "stdout",
        "took": 1.5,
        "rows": 20,
        "ok": True,
        "none": None,
        "user": {"id": 7, "roles": ["a", "b"]},
    }
    assert (second.body, second.severity_number, second.attributes) == ("plain {", 0, {"log.iostream": "stdout"})
    assert runner.engine.docker("logs", name) == f"{line}\nplain {{\n"


def test_severity_in_plain_text_and_logfmt(runner: Runner) -> None:
    lines = ("[ERROR] a", "level=info msg=b n=1", "<4>c", "I0102 03:04:05.678901 1 main.go:1] d", "nothing")
    name = runner.run(printed(*lines), parse="auto", severity="auto")
    found = [(record.body, record.severity_number) for record in runner.collector.wait(len(lines), name)]
    assert found == [(lines[0], 17), ("b", 9), (lines[2], 13), (lines[3], 9), ("nothing", 0)]


def test_a_stack_trace_is_one_record(runner: Runner) -> None:
    script = printed("failed", *STACK, "next") + printed(*STACK, stream=" >&2")
    name = runner.run(script + "sleep 1", multiline_pattern="java", multiline_timeout="200ms")
    records = runner.collector.wait(3, name)
    bodies = {
        stream: [one.body for one in records if one.attributes["log.iostream"] == stream]
        for stream in ("stdout", "stderr")
    }
    assert bodies == {"stdout": ["\n".join(["failed", *STACK]), "next"], "stderr": ["\n".join(STACK)]}


def test_a_stack_trace_is_one_record_across_a_crash_of_the_driver(runner: Runner) -> None:
    script = printed(*STACK[:2]) + "sleep 3;" + printed(*STACK[2:], "next")
    driver = runner.options(multiline_pattern="java", multiline_timeout="30s")
    name = "stack-and-crash"
    runner.names.append(name)
    runner.engine.docker("run", "--detach", f"--name={name}", *driver, "busybox", "sh", "-c", script)
    runner.plugin.kill()
    assert runner.engine.docker("wait", name).strip() == "0"
    assert [record.body for record in runner.collector.wait(2, name)] == ["\n".join(STACK), "next"]


def test_what_is_selected_and_redacted(runner: Runner) -> None:
    lines = ("GET /health", "login password=hunter2", "GET /")
    options = {"exclude_pattern": "GET /health", "redact_pattern": r"password=\S+", "streams": "stdout"}
    name = runner.run(printed(*lines) + "echo error >&2", **options)
    assert [record.body for record in runner.collector.wait(2, name)] == ["login ****", "GET /"]
    assert runner.engine.docker("logs", name) == "".join(f"{line}\n" for line in lines)
    assert b"hunter2" not in runner.collector.output.read_bytes()


def test_the_rate_is_limited(runner: Runner) -> None:
    name = runner.run("seq 1 10000; sleep 2; echo last", rate_limit="100", rate_burst="50")
    bodies = wait_for(
        lambda: "last" in (found := [record.body for record in runner.collector.records(name)]) and found, "last", 30
    )
    assert bodies
    assert bodies[:50] == [str(number) for number in range(1, 51)]
    assert bodies[-1] == "last" and 51 <= len(bodies) < 2000


def test_compose_labels_and_our_own(runner: Runner) -> None:
    labels = {
        "com.docker.compose.project": "shop",
        "com.docker.compose.service": "web",
        "com.docker.compose.container-number": "2",
        "resource.opentelemetry.io/team": "blue",
        "tier": "front",
        "tier.zone": "a",
        "secret": "no",
    }
    arguments = [f"--label={key}={value}" for key, value in labels.items()]
    name = runner.run(
        "echo x", *arguments, "--env=REGION=eu", labels="tier", labels_regex="^tier[.]", env="REGION", tag="{{.Name}}"
    )
    resource = runner.collector.wait(1, name)[0].resource
    assert (resource["service.namespace"], resource["service.name"]) == ("shop", "web")
    assert (resource["team"], resource["container.label.tier"], resource["container.label.tier.zone"]) == (
        "blue",
        "front",
        "a",
    )
    assert (resource["container.env.REGION"], resource["container.log.tag"]) == ("eu", name)
    assert "container.label.secret" not in resource


def test_swarm_labels(runner: Runner) -> None:
    """Of a real swarm: `test_swarm.py`."""
    labels = {
        "com.docker.stack.namespace": "shop",
        "com.docker.swarm.service.name": "shop_web",
        "com.docker.swarm.task.name": "shop_web.1.abc",
    }
    name = runner.run("echo x", *(f"--label={key}={value}" for key, value in labels.items()))
    resource = runner.collector.wait(1, name)[0].resource
    assert resource["service.namespace"] == "shop"
    assert "web" in resource["service.name"]


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("include-pattern=a(b", "missing ) at character 2"),
        ("redact-pattern=a(?=b)", "invalid perl operator"),
        ("multiline-pattern=jaba(", "one of auto, java, python, go, node, dotnet, ruby, php, rust, timestamp"),
        ("parse=jsn", 'did you mean "json"'),
        ("rate-burst=5", "not allowed without rate-limit"),
        ("parse-tim=true", 'did you mean "parse-time"'),
    ],
)
def test_what_cannot_be_used_is_refused(runner: Runner, option: str, told: str) -> None:
    with pytest.raises(EngineError, match=re.escape(told)):
        runner.engine.docker(
            "run", "--rm", f"--log-driver={runner.plugin.name}", f"--log-opt={option}", "busybox", "true"
        )
