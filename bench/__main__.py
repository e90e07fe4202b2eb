"""`make bench`: what the driver costs, beside baselines in the same run.

    python -m bench [--quick | --full] [--only WORD ...]
                                  measures on this host's engine, or on ENGINE (see tests/tools/engine.py); a table,
                                  build/bench.json
    python -m bench --guard [GROUP ...] [--write]
                                  compares the cheap rows with figures that are kept (bench/guard.py), or keeps them
    python -m bench --render      pictures, README and docs/BENCHMARK.md from the last results of each engine

`--only` takes the words throughput, fields, sizes, many, latency, reading, outage, calls, starts, small, peers, grpc,
spread, idle and codec.
The exit code says whether it ran, not whether the goals were met.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from bench import catch_up, codec_cost, guard, idle, latency, life_cycle, page, peers, reading, spread
from bench.goals import FIELD_OPTIONS, FIELDS, ONE, OURS, goals
from bench.plan import DEFAULT, FULL, QUICK, Plan
from bench.result import Results, machine
from bench.rig import Rig, Variant
from bench.sink import RecordsMissing
from bench.table import terminal
from bench.throughput import Workload, compare
from plugin import images
from plugin.debian import HostError
from plugin.engine import EngineError
from plugin.private_engine import PrivateEngine
from tests.tools.engine import engine, title
from tests.tools.golang import ToolError

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "build" / "bench.json"
OF_ENGINES = ROOT / "build" / "bench"
"""The last results of each engine, by its name."""
PARTS = "codec throughput fields sizes many latency reading outage calls starts small peers grpc spread idle".split()
BEGAN = time.monotonic()


def say(text: str) -> None:
    print(f"{time.monotonic() - BEGAN:5.0f} s  {text}", file=sys.stderr, flush=True)


def measure(plan: Plan, parts: list[str]) -> Results:
    results = Results(plan.name)
    if "codec" in parts:
        say("codec")
        codec_cost.codec_cost(results)
    with Rig() as rig:
        results.machine = machine(title(os.environ["ENGINE"], rig.version) if "ENGINE" in os.environ else rig.version)
        say(f"engine {rig.version} and plugins are up")
        real(rig, plan, parts, results)
        for name in list(rig.groups):
            rig.dismiss(name)
        if "spread" in parts:
            for number in plan.spread:
                for repeat in results.wanting(spread.workload(number), OURS, 1):
                    say(f"{plan.spread_rate:,} lines/s from {number} containers, simulated engine, {repeat}")
                    spread.spread(rig.folder / str(repeat), rig.sink, results, number, plan.spread_rate, plan.seconds)
        if "idle" in parts:
            say(f"{plan.idle_containers} idle containers, simulated engine")
            spread.idle(rig.folder, rig.sink, results, plan.idle_containers, plan.seconds)
    results.goals = goals(results)
    return results


def real(rig: Rig, plan: Plan, parts: list[str], results: Results) -> None:
    """What is measured with the real engine. gRPC comes last, since its library makes the driver bigger for good."""
    ours, gzip, (none, json_file, local, discard) = rig.ours(), rig.gzip(), rig.baselines()

    def throughput(workload: Workload, *variants: Variant) -> None:
        compare(rig, results, workload, variants, plan.repeats, say)

    if "throughput" in parts:
        throughput(Workload(ONE, 1, plan.lines, 150), none, json_file, local, discard, ours, gzip)
    if "fields" in parts:
        options = [rig.ours(f"{name}={value}", **{name: value}) for name, value in FIELD_OPTIONS.items()]
        throughput(Workload(FIELDS, 1, plan.lines, 150), ours, *options)
    if "sizes" in parts:
        for name, length in (("1 KiB", 1 << 10), ("16 KiB", 16 << 10)):
            throughput(
                Workload(f"one container, {name}", 1, plan.lines_of(length), length), json_file, discard, ours, gzip
            )
    if "many" in parts:
        throughput(Workload("10 containers, 150 B", 10, plan.lines, 150), json_file, discard, ours)
    if "latency" in parts:
        for variant in (ours, rig.ours("batch-delay=10ms", batch_delay="10ms")):
            for repeat in results.wanting(latency.WORKLOAD, variant.name, 1):
                say(f"latency, {variant.name}, {repeat}")
                latency.latency(rig, results, variant, plan.seconds)
    if "reading" in parts:
        reading.reading(rig, results, plan, say)
    if "outage" in parts:
        for repeat in results.wanting(catch_up.WORKLOAD, OURS, plan.outages):
            say(f"outage, {plan.backlog >> 20} MiB, {repeat} of {plan.outages}")
            catch_up.catch_up(rig, results, rig.ours("backlog", journal_max_size="16g"), plan.backlog, 150)
    if "calls" in parts:
        for repeat in results.wanting(life_cycle.CALLS, OURS, plan.repeats):
            say(f"StartLogging under load, {repeat} of {plan.repeats}")
            for variant in (discard, ours):
                life_cycle.start_logging(rig, results, variant, plan.lines * 2)
    if "starts" in parts:
        say("start and stop")
        images.ensure(rig.engine, "busybox:latest")
        life_cycle.start_stop(rig, results, [none, json_file, local, discard, ours], plan.starts)
    if "small" in parts:
        small(rig, plan, results)
    if "peers" in parts:
        peers.peers(rig, results, plan, say)
    if "grpc" in parts:
        throughput(Workload("one container, 150 B, gRPC", 1, plan.lines, 150), discard, rig.over_grpc())


def small(rig: Rig, plan: Plan, results: Results) -> None:
    """Many small containers: idle, at full speed, and after a crash of the plugin."""
    number, ours = plan.small_containers, rig.ours()
    _, json_file, _, discard = rig.baselines()
    say(f"{number} containers with each driver")
    for variant in (ours, json_file, discard):
        rig.group(variant, number)
    say(f"{number} idle containers")
    idle.idle(rig, results, ours, number, plan.seconds)
    workload = Workload(f"{number} containers, 150 B", number, plan.lines, 150)
    compare(rig, results, workload, [json_file, discard, ours], plan.repeats, say)
    for variant in (json_file, discard):
        rig.dismiss(variant.name)
    for repeat in results.wanting(life_cycle.CRASH, OURS, plan.repeats):
        say(f"crash, {repeat} of {plan.repeats}")
        life_cycle.crash(rig, results, ours, number)


def main(args: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="The benchmark.")
    parser.add_argument("--quick", action="store_true", help="a few minutes")
    parser.add_argument("--full", action="store_true", help="more repeats, a backlog of 2 GiB")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=" ".join(PARTS))
    parser.add_argument("--render", action="store_true", help="pictures and pages from the last results")
    parser.add_argument(
        "--guard",
        nargs="*",
        choices=guard.NAMES,
        metavar="GROUP",
        help="compare with figures that are kept: " + " ".join(guard.NAMES),
    )
    parser.add_argument("--write", action="store_true", help="with --guard: keep what is measured")
    given = parser.parse_args(args)
    if given.write and given.guard is None:
        parser.error("--write goes with --guard")
    if given.guard is not None:
        chosen = [group for group in guard.GROUPS if group.name in (given.guard or guard.NAMES)]
        return guard.main(given.write, chosen)
    if given.render:
        from bench.picture import draw, draw_bill  # matplotlib takes its time

        found = [Results.read(path) for path in OF_ENGINES.glob("*.json")]
        if not found:
            parser.error(f"nothing is measured yet: {OF_ENGINES.relative_to(ROOT)} has no results")
        found.sort(key=lambda results: [int(part) for part in results.engine.split(".")])
        draw(found[-1])
        draw_bill(found[-1])
        page.write(found)
        return 0
    try:
        if "ENGINE" in os.environ:
            PrivateEngine.programs = engine(os.environ["ENGINE"]) / "bin"
        results = measure(QUICK if given.quick else FULL if given.full else DEFAULT, given.only)
    except (EngineError, HostError, ToolError, RecordsMissing) as error:
        print(error, file=sys.stderr)
        return 1
    for path in (OUTPUT, OF_ENGINES / f"{results.engine}.json"):
        results.write(path)
    print(terminal(results))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
