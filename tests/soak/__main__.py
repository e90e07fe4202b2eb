"""`make soak`: random faults of all kinds for minutes, several containers meanwhile; ends with the fault table.

    python -m tests.soak [--minutes 10] [--seed N]

Every line is accounted for: `lost` has to be 0 for each destination. Collectors ail at the same time as driver, plugin
and engine are killed, disabled and restarted. What an engine itself would lose is left out: containers are silent while
it ends, and none ends while the plugin is disabled. build/soak.txt and build/soak.json hold the table.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import secrets
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from plugin import images
from plugin.build import ROOT, build
from plugin.engine import EngineError
from plugin.private_engine import PrivateEngine
from tests.engine.fault_table import Row
from tests.engine.loopback import wait_for
from tests.engine.numbers import at_once
from tests.engine.plugin import Plugin
from tests.engine.stopwatch import Stopwatch
from tests.soak.scenery import Scenery, collectors

SHORT = 500
"""Lines on each stream of a container that comes and goes."""


class Storm:
    """Random faults, one after the other; those of collectors go on while others happen."""

    def __init__(self, scenery: Scenery, chance: random.Random) -> None:
        self.scenery, self.chance = scenery, chance
        self.happened: Counter[str] = Counter()
        self.faults: list[tuple[int, Callable[[], str]]] = [
            (6, self.collector_ails),
            (8, self.containers_come_and_go),
            (4, self.driver_killed),
            (1, self.driver_killed_twice),
            (2, self.plugin_disabled),
            (1, self.endpoint_set),
            (2, self.engine_ends),
        ]

    def blow(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        weights, faults = zip(*self.faults, strict=True)
        while (left := deadline - time.monotonic()) > 0:
            what = self.chance.choices(faults, weights)[0]()
            self.happened[what] += 1
            print(f"{left:6.0f} s left  {what}", flush=True)

    def collector_ails(self) -> str:
        """One gets a fault or, just as often, is mended."""
        destination = self.chance.choice(self.scenery.destinations)
        if self.chance.random() < 0.5:
            destination.mend()
            return f"{destination.name}: well"
        return f"{destination.name}: {destination.ail(self.chance)}"

    def containers_come_and_go(self) -> str:
        """Some of ours and one with json-file, the driver perhaps killed meanwhile."""
        for destination in (*self.chance.sample(self.scenery.destinations, 2), None):
            name = f"short-{secrets.token_hex(4)}"
            container = self.scenery.run(name, at_once(SHORT), destination)
            if destination:
                destination.sent[container] = 2 * SHORT
                if self.chance.random() < 0.2:
                    self.scenery.plugin.kill()
            self.scenery.engine.docker("wait", name)
            for command in (("inspect", name), ("ps",), ("logs", "--tail=1", name), ("rm", name)):
                self.scenery.docker(destination, *command)
        return "containers come and go"

    def driver_killed(self) -> str:
        time.sleep(self.chance.random())
        self.scenery.plugin.kill()
        return "driver killed"

    def driver_killed_twice(self) -> str:
        """So soon again that the engine may give the plugin up; then somebody has to enable it."""
        plugin = self.scenery.plugin
        old = wait_for(plugin.running, "driver", 20)
        plugin.kill(wait=False)
        new = wait_for(lambda: (pid := plugin.running()) != old and pid, "second driver", 20)
        assert new
        with contextlib.suppress(ProcessLookupError):
            os.kill(new, signal.SIGKILL)
        wait_for(lambda: not plugin.enabled or (plugin.running() not in (None, new) and plugin.ready()), "outcome", 60)
        given_up = not plugin.enabled
        if given_up:
            wait_for(self.enabled, "plugin that can be enabled", 60, 0.5)  # the engine is not yet done with its end
        wait_for(plugin.ready, "driver", 30)
        return f"driver killed twice at once{', given up by the engine, enabled again' if given_up else ''}"

    def enabled(self) -> bool:
        """Try to enable the plugin; whether that worked."""
        try:
            self.scenery.plugin.enable()
        except EngineError:
            return False
        return True

    def plugin_disabled(self) -> str:
        self.scenery.plugin.disable()
        time.sleep(self.chance.uniform(0, 5))
        self.scenery.plugin.enable()
        wait_for(self.scenery.plugin.ready, "driver", 30)
        return "plugin disabled and enabled"

    def endpoint_set(self) -> str:
        self.scenery.plugin.set(OTELLOGDRIVER_BATCH_DELAY=f"{self.chance.randint(10, 500)}ms")
        wait_for(self.scenery.plugin.ready, "driver", 30)
        return "plugin disabled, set, enabled"

    def engine_ends(self) -> str:
        kill = self.chance.random() < 0.5
        self.scenery.quiet()
        self.scenery.engine.restart(kill=kill)
        wait_for(self.scenery.plugin.ready, "driver", 60)
        self.scenery.loud()
        return f"engine {'killed' if kill else 'restarted'}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="otellogdriver-soak-")))
        out = folder / "out"
        out.mkdir()
        engine = stack.enter_context(PrivateEngine(live_restore=True))
        images.ensure(engine, "busybox:latest")
        plugin = Plugin(engine, build())
        plugin.enable()
        scenery = Scenery(engine, plugin, out, *collectors(stack, folder), Stopwatch(engine))
        storm = Storm(scenery, random.Random(given.seed))
        scenery.start()
        try:
            storm.blow(given.minutes * 60)
            scenery.progress()
            scenery.finish()
        finally:
            return_code = report(scenery, storm)
    return return_code


def report(scenery: Scenery, storm: Storm) -> int:
    """Print and write the table; 0 if nothing is lost and no docker command was slow."""
    table, failed = scenery.table, False
    for destination in [*scenery.destinations, scenery.away]:
        received = sum(destination.ledger.received(container) for container in destination.sent)
        twice = sum(destination.ledger.duplicated[container] for container in destination.sent)
        row = Row(destination.name, sum(destination.sent.values()), received, twice)
        table.rows.append(row)
        failed = failed or row.lost != 0 or not row.sent
    table.notes += [f"{count} × {what}" for what, count in sorted(storm.happened.items())]
    medians = scenery.watch.medians().items()
    table.notes += [
        f"docker {what}: median {ours:.3f} s, with json-file {theirs:.3f} s" for what, (ours, theirs) in medians
    ]
    slowest = scenery.watch.slowest("ours")
    table.notes.append(f"slowest docker command: {slowest.command} {slowest.seconds:.2f} s")
    for metric in ("threads", "open_files", "resident_memory_bytes"):
        table.notes.append(f"driver: {metric} {scenery.plugin.metric(f'otellogdriver_{metric}'):,.0f}")
    table.write(ROOT / "build", "soak")
    print(f"\n{table.text()}", flush=True)
    if slowest.seconds > scenery.watch.limit():
        print(f"docker {slowest.command} was too slow: at most {scenery.watch.limit():.2f} s", file=sys.stderr)
        failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
