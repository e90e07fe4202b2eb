"""The driver on arm64, on a host that is none: `python -m tests.arm64 [modules | tests | serve | plugin] [TEST ...]`.

In: root on Debian and a kernel with binfmt_misc; emulator and cross compiler are installed when missing. Out: the
native modules compiled with warnings as errors; unit and property tests in Debian's Python of that architecture; whole
runs of `serve` (FIFO, journal, OTLP, `docker logs`, SIGKILL), called from this side; then the plugin, made by the
Dockerfile as it stands, and the same runs in its files. What measures time is left out: an emulated instruction costs
ten of ours.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from plugin import images
from plugin.build import ROOT, build_with, inputs
from plugin.cache import locked
from plugin.debian import HostError, require
from plugin.engine import EngineError
from plugin.private_engine import PrivateEngine
from tests.tools.engine import fetch_debian
from tests.tools.golang import ToolError

BUILT = ROOT / "build/arm64"
HOST = BUILT / "root"
"""Debian for arm64: Python, and what tests call."""
PLUGIN = BUILT / "plugin"
FORMATS = Path("/proc/sys/fs/binfmt_misc")
FLAGS = ("-Wall", "-Wcast-align=strict", "-Werror")
PACKAGES = ("python3-dev", "bash", "coreutils", "ca-certificates", "libstdc++6", "openssl", "procps")
TYPED = [types.with_suffix(".py") for types in (ROOT / "otellogdriver/lines").glob("*.pxd")]
SOURCES = [*(ROOT / "otellogdriver").glob("*/native.pyx"), *(path for path in TYPED if path.exists())]
NATIVE = sorted(str(path.relative_to(ROOT)) for path in SOURCES)
TESTS = ("tests/unit", "tests/property")
RUNS = tuple(f"tests/faults/test_{name}.py" for name in ("lifecycle", "lines", "followers", "exclude"))
PATIENCE = "20"
OPTIONS = ("-q", "-n", "2", "-p", "no:cacheprovider", "-o", "timeout=1800", "-m", "not measures and not soak")


def emulate() -> None:
    """Have the kernel run programs of arm64."""
    require("qemu-aarch64-static", "qemu-user-static")
    if not (FORMATS / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(FORMATS)], check=True)
    if not (FORMATS / "qemu-aarch64").exists():
        (FORMATS / "register").write_text(Path("/usr/lib/binfmt.d/qemu-aarch64.conf").read_text())


@contextmanager
def mounted(root: Path, *folders: Path) -> Iterator[None]:
    """These folders of the host, in their places below `root`."""
    with ExitStack() as stack:
        for folder in folders:
            target = root / folder.relative_to("/")
            target.mkdir(parents=True, exist_ok=True)
            subprocess.run(["mount", "--bind", str(folder), str(target)], check=True)
            stack.callback(subprocess.run, ["umount", "--lazy", str(target)], check=True)
        yield


def modules() -> None:
    """Debian's Python for arm64 with the packages of the lock file, and the sources with modules compiled for it."""
    compiler = require("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross")
    if not HOST.exists():
        fetch_debian("trixie", "arm64", PACKAGES, HOST.with_name("root.new"))
        (HOST.with_name("root.new") / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
        HOST.with_name("root.new").rename(HOST)
        target = ("--python-platform=aarch64-manylinux_2_39", "--python-version=3.13", f"--target={HOST}/packages")
        locks = ("--require-hashes", "--only-binary=:all:", "-r", "requirements-dev.lock")
        subprocess.run([f"{sys.prefix}/bin/uv", "pip", "install", "--quiet", *target, *locks], cwd=ROOT, check=True)
    source = HOST / "source"
    shutil.rmtree(source, ignore_errors=True)
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name, follow_symlinks=False)
    (headers,) = HOST.glob("usr/include/python3.*")
    machine = BUILT / "headers/aarch64-linux-gnu"  # apart from those of Debian's C library: the compiler has its own
    machine.mkdir(parents=True, exist_ok=True)
    (machine / headers.name).unlink(missing_ok=True)
    (machine / headers.name).symlink_to(HOST / "usr/include" / machine.name / headers.name)
    tag = f".cpython-{headers.name.removeprefix('python').replace('.', '')}-aarch64-linux-gnu.so"
    for path in NATIVE:
        made, code = Path(path).with_suffix(tag), Path(path).with_suffix(".c")
        subprocess.run([sys.executable, "-m", "cython", "-3", path], cwd=source, check=True, stderr=subprocess.DEVNULL)
        include = ("-isystem", str(headers), "-isystem", str(machine.parent))
        command = ["nice", compiler, "-O3", "-fPIC", "-shared", *FLAGS, *include, "-o", str(made), str(code)]
        subprocess.run(command, cwd=source, check=True)
        print(f"{made}: compiled with {' '.join(FLAGS)}", flush=True)


def tests(*arguments: str) -> None:
    """Unit and property tests."""
    environment = (
        "PATH=/usr/bin:/usr/sbin",
        "PYTHONPATH=/packages",
        "LANG=C.UTF-8",
        "HOME=/tmp",
        f"TEST_PATIENCE={PATIENCE}",
    )
    pytest = ("/usr/bin/python3", "-m", "pytest", *OPTIONS, *(arguments or TESTS))
    with mounted(HOST, Path("/proc"), Path("/dev"), Path("/sys")):
        inside = ("chroot", str(HOST), "/usr/bin/env", "-i", "--chdir=/source", *environment)
        subprocess.run(["nice", *inside, *pytest], check=True)


def serve(*arguments: str) -> None:
    """Whole runs of the driver; its tests are of this side, and so are engine and collector."""
    command = "/usr/bin/env --chdir=/source PYTHONPATH=/packages /usr/bin/python3 -m otellogdriver.cli serve"
    runs_in(HOST, command, *arguments)


def plugin(*arguments: str) -> None:
    """The plugin, with the wheel inside, and the same runs in its files."""
    stamp, wanted = BUILT / "plugin.inputs", inputs()
    if not stamp.exists() or stamp.read_text() != wanted:
        # No platform is asked for: the classic builder commits steps as of the host's, whatever is in them.
        with locked("build-engine-arm64") as data, PrivateEngine(data) as engine:
            if engine.run("image", "inspect", "debian:trixie-slim").returncode:
                archive, command = images.make_debian("arm64")
                engine.docker("import", f"--change=CMD {command}", archive, "debian:trixie-slim", timeout=600)
            build_with(engine, PLUGIN, limit=4 * 3600)
        stamp.write_text(wanted)
    runs_in(PLUGIN / "rootfs", "/usr/local/bin/otellogdriver serve", *arguments)


def runs_in(root: Path, command: str, *arguments: str) -> None:
    scratch = Path("/var/tmp/otellogdriver-arm64")
    scratch.mkdir(exist_ok=True)
    try:
        with mounted(root, Path("/proc"), Path("/dev"), scratch):
            pytest = [sys.executable, "-m", "pytest", *OPTIONS, f"--basetemp={scratch}/run", *(arguments or RUNS)]
            subprocess.run(
                ["nice", *pytest],
                env={**os.environ, "TEST_DRIVER": f"chroot {root} {command}", "TEST_PATIENCE": PATIENCE},
                cwd=ROOT,
                check=True,
            )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


STEPS: dict[str, Callable[..., None]] = {"modules": modules, "tests": tests, "serve": serve, "plugin": plugin}


def main(arguments: list[str]) -> int:
    chosen, rest = arguments[:1] or list(STEPS), arguments[1:]
    failed = []
    for name in chosen:
        try:
            emulate()
            STEPS[name](*rest)
        except (EngineError, HostError, ToolError, OSError, subprocess.CalledProcessError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed.append(name)
    print(f"arm64: failed: {', '.join(failed)}" if failed else "arm64: all well")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
