"""Inside the image build: make a folder that holds Python packages into a root file system that runs them.

In: a folder into which pip has installed packages. Out: the same folder with the interpreter, the standard library
without what a server never needs, every shared library that any of it loads, name resolution, certificate authorities,
accounts; native code stripped, everything byte-compiled. Nothing of a package manager, a compiler or a shell; only
what Debian says of the packages that files were taken from, where scanners for known faults look for it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

STDLIB = Path(sysconfig.get_path("stdlib"))

NOT_NEEDED = (
    "__phello__ config-* curses dbm ensurepip idlelib lib2to3 pydoc_data sqlite3 test tkinter turtle.py turtledemo "
    "unittest venv EXTERNALLY-MANAGED"
).split()
"""Parts of the standard library for development and desktops, and such as need further libraries."""

NOT_NEEDED_NATIVE = re.compile(
    r"(_crypt|_curses|_curses_panel|_dbm|_gdbm|_sqlite3|_test\w*|_tkinter|_xx\w+|readline|xx\w*)\."
)

DEVELOPMENT = ("*.a", "*.c", "*.cc", "*.h", "*.pxd", "*.pxi", "*.pyi", "*.pyx", "__pycache__", "test", "tests")
"""What packages bring along for compiling against them and for testing themselves."""

LOADED_BY_NAME = ("libgcc_s.so.1", "libnss_dns.so.2", "libnss_files.so.2")
"""Libraries that no file declares: the C library opens them when a thread ends and when a name is looked up."""

FILES = {
    "etc/group": "root:x:0:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/passwd": "root:x:0:0:root:/:/sbin/nologin\n",
}
FOLDERS = ("certs", "dev", "proc", "run/docker/logging", "run/docker/plugins", "sys", "tmp", "var/tmp")


def main(root: Path) -> None:
    for link in ("bin", "lib", "lib64", "sbin"):
        (root / "usr" / link).mkdir(parents=True, exist_ok=True)
        (root / link).symlink_to(f"usr/{link}")
    for name in FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    for name, text in FILES.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    interpreter = Path(sys.executable).resolve()
    shutil.copy2(interpreter, root / "usr/bin")
    (root / "usr/bin/python3").symlink_to(interpreter.name)
    shutil.copytree(STDLIB, inside(root, STDLIB), symlinks=False, ignore=not_needed)
    shutil.rmtree(root / "usr/local/bin", ignore_errors=True)  # small programs that came with the packages
    for path in [path for pattern in DEVELOPMENT for path in (root / "usr/local").rglob(pattern)]:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    certificates(root / "etc/ssl/certs/ca-certificates.crt")
    packages(root, {interpreter, STDLIB / "os.py", STDLIB / "asyncio/__init__.py", *libraries(root)})
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "-s", str(root), str(root)],
        check=True,
    )


def inside(root: Path, path: Path) -> Path:
    return root / path.relative_to("/")


def not_needed(folder: str, names: list[str]) -> set[str]:
    if Path(folder) == STDLIB:
        return {name for pattern in NOT_NEEDED for name in names if Path(name).match(pattern)} | {"__pycache__"}
    return {name for name in names if name == "__pycache__" or NOT_NEEDED_NATIVE.match(name)}


def certificates(bundle: Path) -> None:
    """The authorities that Debian ships; not those that the building host has added."""
    bundle.parent.mkdir(parents=True)
    found = sorted(Path("/usr/share/ca-certificates").rglob("*.crt"))
    bundle.write_text("".join(path.read_text().rstrip() + "\n" for path in found))


def packages(root: Path, files: set[Path]) -> None:
    """What Debian says of the packages that own `files`, laid out as in images that have no package manager."""
    found = subprocess.run(["dpkg-query", "--search", *map(str, files)], capture_output=True, text=True, check=True)
    owners = {line.split(": ")[0] for line in found.stdout.splitlines()}
    folder = root / "var/lib/dpkg/status.d"
    folder.mkdir(parents=True)
    for owner in sorted(owners | {"ca-certificates"}):
        status = subprocess.run(["dpkg-query", "--status", owner], capture_output=True, text=True, check=True).stdout
        (folder / owner.partition(":")[0]).write_text(status)
    shutil.copy2("/usr/lib/os-release", root / "etc")


def libraries(root: Path) -> set[Path]:
    """Copy what the native code under `root` is linked with, its loader included, and strip it all. The originals."""
    native = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink() and is_elf(path)]
    cache = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    wanted = {path for name in LOADED_BY_NAME for path in re.findall(rf"{re.escape(name)} .*=> (\S+)", cache)}
    # One call for all; where a file is not linked dynamically, ldd says so and goes on.
    linked = subprocess.run(
        ["ldd", *map(str, native), *sorted(wanted)], capture_output=True, text=True, check=False
    ).stdout
    if "not found" in linked:
        sys.exit(f"a shared library is missing:\n{linked}")
    wanted |= set(re.findall(r"(/\S+) \(0x", linked))
    for name in sorted(wanted):
        target = inside(root, Path(name).parent.resolve() / Path(name).name)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(Path(name).resolve(), target)
            native.append(target)
    subprocess.run(["strip", "--strip-unneeded", *map(str, native)], check=True)
    return {Path(name).resolve() for name in wanted}


def is_elf(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
