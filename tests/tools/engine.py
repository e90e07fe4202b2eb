"""Docker engines of several versions, in folders of programs that need nothing of the host but its kernel.

In: a name from `ENGINES`. Out: a folder in the tool cache; with its `bin` first on PATH, `plugin/private_engine.py`
starts that engine. Debian's packages are unpacked, not installed, and pointed at their own loader and libraries; what
Debian does not have is compiled from published modules and takes containerd, runc and init from Debian's 20.10.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from plugin.cache import cached
from plugin.debian import HostError, apt_get, require
from tests.tools.golang import ToolError, build, build_from_module, go, run

PROGRAMS = ("dockerd", "docker-proxy", "docker-init", "containerd", "containerd-shim-runc-v2", "runc")
OF_ONE_SOURCE = ("dockerd", "docker-proxy")
"""dockerd calls the proxy with options of its own version: another one ends, and with it each container's start that
publishes a port."""
PACKAGES = ("docker.io", "containerd", "runc", "tini")

DOCKER_28 = ("github.com/docker/docker", "v28.5.2+incompatible")
MOBY_29 = ("github.com/moby/moby/v2", "v2.0.0-beta.24")
RUNC = ("github.com/opencontainers/runc", "v1.5.2")
"""Debian 12's runc is too old for engine 29: it does not know time namespaces."""


def chosen() -> str:
    """The engine that tests run on: ENGINE, or the first."""
    return os.environ.get("ENGINE") or next(iter(ENGINES))


def engine(name: str) -> Path:
    """The folder of the engine `name`, with `bin`; unpacked or built within minutes when it is not in the cache."""
    if name not in ENGINES:
        raise ToolError(f"ENGINE is {name!r}; allowed are {', '.join(ENGINES)}")
    full, make = ENGINES[name]
    try:
        return cached(f"engine-{full}", make)
    except HostError as error:
        raise ToolError(str(error)) from None


def mirror() -> str:
    """Where this host has its own packages from: OTELLOGDRIVER_DEBIAN_MIRROR, or what apt's sources name first."""
    if given := os.environ.get("OTELLOGDRIVER_DEBIAN_MIRROR"):
        return given
    places = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    for place in places:
        text = place.read_text() if place.is_file() else ""
        for found in re.finditer(r"^(?:URIs:|deb)\s.*?(https?://\S+)", text, re.MULTILINE):
            return found[1]
    raise ToolError("apt's sources name no place for packages: say it as OTELLOGDRIVER_DEBIAN_MIRROR")


def fetch_debian(suite: str, architecture: str, packages: tuple[str, ...], root: Path) -> None:
    """Packages of any release of Debian with all that they need, unpacked and not installed."""
    apt = root.parent / "apt"
    for name in ("lists/partial", "archives/partial"):
        (apt / name).mkdir(parents=True, exist_ok=True)
    (apt / "status").touch()
    keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (apt / "sources.list").write_text(f"deb [signed-by={keys}] {mirror()} {suite} main\n")
    settings = {
        "Dir::Etc::SourceList": apt / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": apt / "lists",
        "Dir::State::Status": apt / "status",
        "Dir::Cache": apt,
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "root",
    }
    command = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in settings.items())]
    run([*command, "update"], apt)
    run([*command, "install", "--download-only", "--yes", "--no-install-recommends", *packages], apt)
    for name in ("bin", "lib", "lib64", "sbin"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for archive in sorted((apt / "archives").glob("*.deb")):
        unpack = 'dpkg-deb --fsys-tarfile "$1" | tar --extract --keep-directory-symlink --directory "$2"'
        run(["bash", "-o", "pipefail", "-c", unpack, "-", str(archive), str(root)], apt)
    shutil.rmtree(apt)


def unpack_debian(suite: str, folder: Path) -> None:
    """The engine of a release of Debian, whatever the host's own release is."""
    root = folder / "root"
    fetch_debian(suite, _output(["dpkg", "--print-architecture"]), PACKAGES, root)
    # The folder is moved into place later, but the programs hold absolute paths.
    final = folder.parent.parent / folder.name / "root"
    libraries = ":".join(str(final / path.relative_to(root)) for path in root.glob("**/*-linux-gnu*") if path.is_dir())
    patchelf = require("patchelf", "patchelf")
    (folder / "bin").mkdir()
    for program in PROGRAMS:
        found = next(root.glob(f"usr/*bin/{program.replace('docker-init', 'tini')}"))
        path = folder / "bin" / program
        shutil.copy2(found, path)
        loader = subprocess.run([patchelf, "--print-interpreter", path], capture_output=True, text=True).stdout.strip()
        if loader:  # else it is a static program
            interpreter = next(path for path in root.glob(f"**/{Path(loader).name}") if path.is_file())
            to = ("--set-rpath", libraries, "--set-interpreter", str(final / interpreter.relative_to(root)))
            run([patchelf, "--force-rpath", *to, str(path)], folder)


def build_28(folder: Path) -> None:
    """dockerd from the last module that has the old path. Its dependencies stand in `vendor.mod`."""
    module, version = DOCKER_28
    work = folder.parent / "module"
    work.mkdir()
    run([str(go()), "mod", "init", "tool"], work)
    published = Path(json.loads(_output([str(go()), "mod", "download", "-json", f"{module}@{version}"], work))["Dir"])
    text = (published / "vendor.mod").read_text(encoding="utf-8")
    (work / "go.mod").write_text(text.replace(f"module {module}\n", "module tool\n"))
    shutil.copyfile(published / "vendor.sum", work / "go.sum")
    run([str(go()), "mod", "edit", f"-require={module}@{version}"], work)
    _from_debian(folder)
    for program in OF_ONE_SOURCE:
        build(folder / "bin" / program, work, f"{module}/cmd/{program}")


def build_29(folder: Path) -> None:
    """dockerd from the module that moby publishes now, and a runc that is new enough for it."""
    _from_debian(folder)
    made = folder.parent / "dockerd"
    build_from_module(made, *MOBY_29, f"{MOBY_29[0]}/cmd/dockerd")
    made.rename(folder / "bin/dockerd")
    build(folder / "bin/docker-proxy", folder.parent / "module", f"{MOBY_29[0]}/cmd/docker-proxy")
    require("gcc", "gcc", "libc6-dev")
    require("pkg-config", "pkg-config")
    if subprocess.run(["pkg-config", "--exists", "libseccomp"]).returncode:
        apt_get("install", "--yes", "--no-install-recommends", "libseccomp-dev")
    work = folder.parent / "runc"
    work.mkdir()
    run([str(go()), "mod", "init", "tool"], work)
    run([str(go()), "mod", "edit", f"-require={RUNC[0]}@{RUNC[1]}"], work)
    (folder / "bin/runc").unlink()
    build(folder / "bin/runc", work, RUNC[0], "-tags=seccomp", CGO_ENABLED="1")


def _from_debian(folder: Path) -> None:
    """All programs but those of one source, and what a build puts in place of them."""
    (folder / "bin").mkdir(parents=True)
    base = engine("20.10")
    for program in PROGRAMS:
        if program not in OF_ONE_SOURCE:
            (folder / "bin" / program).symlink_to(base / "bin" / program)


def _output(command: list[str], cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise ToolError(f"{' '.join(command)} failed ({done.returncode}): {done.stderr[-2000:]}")
    return done.stdout.strip()


ENGINES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "28": (f"{DOCKER_28[1].partition('+')[0]}-with-proxy", build_28),
    "29": (f"29-{MOBY_29[1]}-with-proxy-runc-{RUNC[1]}", build_29),
    "26": ("debian-trixie", lambda folder: unpack_debian("trixie", folder)),
    "20.10": ("debian-bookworm", lambda folder: unpack_debian("bookworm", folder)),
}
"""What ENGINE may be: the name in the tool cache, and how it gets there. The first is what tests run on."""


def title(name: str, version: str) -> str:
    """What an engine is called in tables. One that is built from its module does not know its own version."""
    if version.startswith(f"{name}."):
        return version
    built = ENGINES[name][0].removeprefix(f"{name}-").partition("-with-")[0]
    return f"{name} ({built})"
