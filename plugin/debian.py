"""Packages of the host's Debian: install them, or only unpack one.

In: package names. Out: installed commands, or a folder with a package's files. Says plainly what is missing where the
host is not Debian or the user is not root. Services of installed packages are not started.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

POLICY = Path("/usr/sbin/policy-rc.d")


class HostError(Exception):
    """The host lacks something that cannot be provided here; the message says what and why."""


def require(command: str, *packages: str) -> str:
    """The path of `command`; installs `packages` when it is not there."""
    path = which(command)
    if path:
        return path
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise HostError(f"{command} is missing: install {' '.join(packages)} (done here only as root on Debian)")
    with services_held():
        apt_get("install", "--yes", "--no-install-recommends", *packages)
    path = which(command)
    if not path:
        raise HostError(f"{' '.join(packages)} installed, yet there is no {command} on PATH or in /usr/sbin")
    return path


def which(command: str) -> str | None:
    return shutil.which(command, path=f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin")


def unpack(package: str, target: Path) -> None:
    """Unpack the newest `package` into `target` without installing it."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise HostError(f"the Debian package {package} is needed, and this host has no apt-get")
    target.mkdir(parents=True)
    apt_get("download", package, cwd=target)
    (archive,) = target.glob("*.deb")
    subprocess.run(["dpkg-deb", "--extract", archive.name, "."], cwd=target, check=True)
    archive.unlink()


def apt_get(*args: str, cwd: Path | None = None) -> None:
    """Run apt-get; if that fails, once more with fresh package lists."""
    command = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", *args]
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    if done.returncode:
        subprocess.run(["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", "update"], env=env, capture_output=True)
        done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    if done.returncode:
        raise HostError(f"{' '.join(command)} failed ({done.returncode}): {done.stderr.strip()[-2000:]}")


@contextlib.contextmanager
def services_held() -> Iterator[None]:
    """While inside, no package starts its service: a private engine is wanted, not one of the whole host."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)
