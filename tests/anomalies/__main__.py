"""`make anomalies`: system calls of the driver fail one by one, in each phase; after each everything must be well.

    python -m tests.anomalies [--phase NAME ...] [--call NAME ...] [--most N] [--lasting SECONDS] [--jobs N]

build/anomalies.txt and build/anomalies.json hold the table. Exit code 1 if a promise was not kept.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from plugin.build import ROOT
from tests.anomalies import plan, restarts, shortages, table
from tests.anomalies.calls import NOT_THERE
from tests.anomalies.phases import PHASES
from tests.anomalies.restarts import Restarts
from tests.anomalies.scene import Scene
from tests.anomalies.shortages import SHORTAGES
from tests.anomalies.strace import Injection, Strace
from tests.anomalies.trial import Outcome, run

_ONE_DRIVER = 100
"""Injections that one process of the driver goes through; what they leave in it together is seen, too."""

Work = deque[tuple[str, Injection, float]]


def seen_at_restarts(folder: Path, phases: Sequence[str]) -> dict[str, dict[str, int]]:
    """The same for the begin and the end of the process."""
    if not phases:
        return {}
    with Restarts(folder) as scene:
        return {name: scene.run(name, None)[1] for name in phases}


def seen(folder: Path, phases: Sequence[str]) -> dict[str, dict[str, int]]:
    """Phase -> call -> the most that one thread makes of it."""
    found: dict[str, dict[str, int]] = {}
    if not phases:
        return found
    with Scene(folder) as scene:
        for name in phases:
            phase = PHASES[name]
            patient = phase.make_ready(scene)
            with Strace(scene.pid, None, phase.strikes(scene, patient), folder / "strace") as strace:
                phase.act(scene, patient)
            found[name] = strace.made()
    return found


def work_off_restarts(folder: Path, work: Work, outcomes: list[Outcome]) -> None:
    """Take injections into the begin and the end from `work` until there are none."""
    if not work:
        return
    with Restarts(folder) as scene:
        while work:
            try:
                name, injection, lasting = work.popleft()
            except IndexError:
                return
            outcome, _ = scene.run(name, injection, lasting)
            outcomes.append(outcome)
            if outcome.broken:
                print(outcome, flush=True)


def work_off(folder: Path, work: Work, outcomes: list[Outcome]) -> None:
    """Take injections from `work` until there are none; a new driver after each that broke something."""
    number = 0
    while work:
        number += 1
        with Scene(folder / str(number)) as scene:
            for _ in range(_ONE_DRIVER):
                try:
                    name, injection, lasting = work.popleft()
                except IndexError:
                    return
                outcome = run(scene, PHASES[name], injection, lasting)
                outcomes.append(outcome)
                if outcome.broken:
                    print(outcome, flush=True)
                    break


def work_off_allocations(folder: Path, numbers: deque[int], outcomes: list[Outcome]) -> None:
    """Memory that is not there for one allocation, the first, the second, …"""
    if not numbers:
        return
    with Restarts(folder) as scene:
        while numbers:
            outcome = scene.run_allocation(numbers.popleft())
            outcomes.append(outcome)
            if outcome.broken:
                print(outcome, flush=True)


def work_off_shortages(folder: Path, names: Sequence[str], seconds: float, outcomes: list[Outcome]) -> None:
    """Each shortage of the whole process, on a driver of its own."""
    for name in names:
        with shortages.scene(folder / name.replace(" ", "-"), SHORTAGES[name]) as scene:
            outcome = shortages.run(scene, SHORTAGES[name], seconds)
        outcomes.append(outcome)
        if outcome.broken:
            print(outcome, flush=True)


def main(arguments: Sequence[str]) -> int:
    every = [*restarts.PHASES, *PHASES, *SHORTAGES, "allocation"]
    parser = argparse.ArgumentParser(prog="python -m tests.anomalies", description=__doc__.splitlines()[0])
    parser.add_argument("--phase", nargs="+", choices=every, default=every, help="only these, or these shortages")
    parser.add_argument("--call", nargs="+", help="only these system calls")
    parser.add_argument("--most", type=int, default=20, help="how many of each call fail, one by one")
    parser.add_argument(
        "--lasting", type=float, default=5.0, help="seconds for which all calls of a kind fail; 0: none"
    )
    parser.add_argument("--jobs", type=int, default=2, help="drivers at a time")
    chosen = parser.parse_args(arguments)
    outcomes: list[Outcome] = []

    def planned(found: dict[str, dict[str, int]]) -> Work:
        work: Work = deque()
        for name, made in found.items():
            wanted = {
                call: count
                for call, count in made.items()
                if (not chosen.call or call in chosen.call) and (name, call) not in NOT_THERE
            }
            work += [(name, injection, 0.0) for injection in plan.single(wanted, chosen.most)]
            if chosen.lasting and name != "end":  # the process has ended before the fault does
                work += [(name, injection, chosen.lasting) for injection in plan.lasting(wanted)]
        return work

    with tempfile.TemporaryDirectory(prefix="anomalies-") as folder:
        lives = planned(seen(Path(folder, "seen"), [name for name in PHASES if name in chosen.phase]))
        ends = planned(
            seen_at_restarts(Path(folder, "restarts"), [name for name in restarts.PHASES if name in chosen.phase])
        )
        print(f"{len(lives) + len(ends)} injections", flush=True)
        wanted = [name for name in SHORTAGES if name in chosen.phase]
        numbers = deque(plan.allocations() if "allocation" in chosen.phase else ())
        with ThreadPoolExecutor(2 * chosen.jobs + 2) as jobs:
            running = [jobs.submit(work_off, Path(folder, f"job-{job}"), lives, outcomes) for job in range(chosen.jobs)]
            running += [
                jobs.submit(work_off_restarts, Path(folder, f"restart-{job}"), ends, outcomes)
                for job in range(chosen.jobs)
            ]
            running.append(jobs.submit(work_off_shortages, Path(folder), wanted, 10.0, outcomes))
            running.append(jobs.submit(work_off_allocations, Path(folder, "allocations"), numbers, outcomes))
            for each in running:
                each.result()
    print(table.write(ROOT / "build", outcomes))
    return 1 if any(outcome.broken for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
