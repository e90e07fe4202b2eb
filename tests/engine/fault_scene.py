"""One engine, the plugin and a collector: containers with numbered lines go in, rows of the fault table come out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from plugin.private_engine import PrivateEngine
from tests.engine.fault_table import FaultTable, Row
from tests.engine.loopback import wait_for
from tests.engine.numbers import Ledger, printed
from tests.engine.plugin import Plugin
from tests.engine.stopwatch import Timing


class Scene:
    """`out` is the folder that containers see as /out. What is still there at the end is removed by `clear`."""

    def __init__(
        self, engine: PrivateEngine, plugin: Plugin, endpoint: str, ledger: Ledger, table: FaultTable, out: Path
    ) -> None:
        self.engine, self.plugin, self.endpoint = engine, plugin, endpoint
        self.ledger, self.table, self.out = ledger, table, out
        self.names: list[str] = []

    def driver(self, **options: str) -> list[str]:
        """The words of docker run for our driver; an empty option is left out."""
        log = {"otlp-endpoint": self.endpoint, "record-uid": "true"}
        log |= {name.replace("_", "-"): value for name, value in options.items()}
        opts = [f"--log-opt={name}={value}" for name, value in log.items() if value]
        return [f"--log-driver={self.plugin.name}", *opts]

    def run(self, name: str, script: str, **options: str) -> str:
        """Start a container; its id."""
        self.names.append(name)
        where = ("--detach", f"--name={name}", f"--volume={self.out}:/out")
        said = self.engine.docker("run", *where, *self.driver(**options), "busybox", "sh", "-c", script)
        return said.strip().splitlines()[-1]

    def printed(self, name: str) -> int:
        return printed(self.out, name)

    def moves(self, name: str) -> bool:
        """Whether a container that prints all the time prints something within a second."""
        before = self.printed(name)
        try:
            return wait_for(lambda: self.printed(name) != before, "lines", 1.0)
        except TimeoutError:
            return False

    def go_on(self, name: str) -> None:
        """Wait until such a container has printed 500 lines more."""
        before = self.printed(name)
        wait_for(lambda: self.printed(name) > before + 500, f"container {name} that goes on", 60)

    def stand_still(self, name: str) -> None:
        """Wait until such a container waits for whoever reads its lines."""
        wait_for(lambda: self.printed(name) and not self.moves(name), f"container {name} that waits", 60)

    def tell(self, name: str, count: int) -> None:
        """Have a container `as_told` print up to line `count`."""
        new = self.out / f"{name}.new"
        new.write_text(f"{count}\n")
        new.rename(self.out / f"{name}.to")

    def stop(self, name: str) -> int:
        """Stop a container; how many lines it printed."""
        self.engine.docker("stop", name)
        return self.printed(name)

    def wait_exit(self, *names: str) -> None:
        self.engine.docker("wait", *names)

    def metric(self, name: str, container: str) -> int:
        return int(self.plugin.metric(f"otellogdriver_{name}", container_id=container))

    def row(
        self,
        fault: str,
        sent: Mapping[str, int],
        dropped: int = 0,
        in_engine: int = 0,
        slowest: Timing | None = None,
        note: str = "",
    ) -> Row:
        """Wait for the lines (`sent`: container id -> lines printed), and add the row."""
        waited = dict(sent)
        waited[next(iter(waited))] -= dropped + in_engine
        self.ledger.wait(waited)
        for container in sent:
            self.ledger.check(container)
        received = sum(self.ledger.received(container) for container in sent)
        twice = sum(self.ledger.duplicated[container] for container in sent)
        row = Row(fault, sum(sent.values()), received, twice, dropped, slowest, note, in_engine)
        self.table.add(row)
        return row

    def clear(self) -> None:
        if self.names:
            self.engine.run("rm", "--force", *self.names)
