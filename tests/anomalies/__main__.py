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
from tests.anomalies import plan, table
from tests.anomalies.phases import PHASES
from tests.anomalies.scene import Scene
from tests.anomalies.strace import Injection, Strace
from tests.anomalies.trial import Outcome, run

_ONE_DRIVER = 100
"""Injections that one process of the driver goes through; what they leave in it together is seen, too."""

Work = deque[tuple[str, Injection, float]]


def seen(folder: Path, phases: Sequence[str]) -> dict[str, dict[str, int]]:
    """Phase -> call -> the most that one thread makes of it."""
    found = {}
    with Scene(folder) as scene:
        for name in phases:
            phase = PHASES[name]
            patient = phase.make_ready(scene)
            with Strace(scene.pid, None, phase.strikes(scene, patient), folder / "strace") as strace:
                phase.act(scene, patient)
            found[name] = strace.made()
    return found


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


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.anomalies", description=__doc__.splitlines()[0])
    parser.add_argument("--phase", nargs="+", choices=PHASES, default=list(PHASES), help="only these")
    parser.add_argument("--call", nargs="+", help="only these system calls")
    parser.add_argument("--most", type=int, default=20, help="how many of each call fail, one by one")
    parser.add_argument(
        "--lasting", type=float, default=5.0, help="seconds for which all calls of a kind fail; 0: none"
    )
    parser.add_argument("--jobs", type=int, default=3, help="drivers at a time")
    chosen = parser.parse_args(arguments)
    work: Work = deque()
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="anomalies-") as folder:
        for name, made in seen(Path(folder, "seen"), chosen.phase).items():
            wanted = {call: count for call, count in made.items() if not chosen.call or call in chosen.call}
            work += [(name, injection, 0.0) for injection in plan.single(wanted, chosen.most)]
            if chosen.lasting:
                work += [(name, injection, chosen.lasting) for injection in plan.lasting(wanted)]
        print(f"{len(work)} injections", flush=True)
        with ThreadPoolExecutor(chosen.jobs) as jobs:
            for each in [
                jobs.submit(work_off, Path(folder, f"job-{job}"), work, outcomes) for job in range(chosen.jobs)
            ]:
                each.result()
    print(table.write(ROOT / "build", outcomes))
    return 1 if any(outcome.broken for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
