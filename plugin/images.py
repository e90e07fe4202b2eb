"""The two base images: `debian:trixie-slim` for the build of the plugin, `busybox:latest` for containers that log.

In: an engine. Out: it has the image. Pulled where the engine reaches a registry, else made from Debian's packages (root
on Debian) and imported under the same name. Made root file systems are kept as tar files in the tool cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

from plugin.cache import cached
from plugin.debian import require, unpack
from plugin.engine import Engine, EngineError

MIRROR = "OTELLOGDRIVER_DEBIAN_MIRROR"
"""Variable naming the Debian mirror for debootstrap; without it, debootstrap's own default."""

HOST_CERTIFICATES = Path("/usr/local/share/ca-certificates")
"""Where Debian keeps the certificate authorities that the host's administrator added."""

LABEL = "otellogdriver.archive"
"""Label of a made image: the file it was made from, so that it is replaced when there is a newer one."""

NOT_NEEDED = (
    "usr/share/doc/*",
    "usr/share/info/*",
    "usr/share/locale/*",
    "usr/share/man/*",
    "var/cache/apt/*.bin",
    "var/cache/apt/archives/*.deb",
    "var/lib/apt/lists/*_*",
)
"""What the slim image leaves out of a minimal Debian, and caches."""


def ensure(engine: Engine, image: str) -> None:
    """Have `image` (one of `MAKERS`) in the engine."""
    there = engine.run("image", "inspect", "--format", "{{json .Config.Labels}}", image)
    made = (json.loads(there.stdout.strip() or "null") or {}).get(LABEL)
    if there.returncode == 0 and not made:
        return
    try:
        engine.docker("pull", "--quiet", image, timeout=300)
    except EngineError:
        archive, command = MAKERS[image]()
        if made != archive.name:
            changes = (f"--change=CMD {command}", f"--change=LABEL {LABEL}={archive.name}")
            engine.docker("import", *changes, archive, image)


def make_debian(architecture: str = "") -> tuple[Path, str]:
    """Debian trixie by debootstrap. Made afresh each month, and when the host's extra authorities change. Another
    architecture than the host's needs an emulator that the kernel knows."""
    extra = sorted(HOST_CERTIFICATES.glob("**/*.crt"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in extra)).hexdigest()[:8]

    def bootstrap(archive: Path) -> None:
        root = archive.parent / "root"
        mirror = [os.environ[MIRROR]] if os.environ.get(MIRROR) else []
        foreign = [f"--arch={architecture}"] if architecture else []
        command = [require("debootstrap", "debootstrap"), "--variant=minbase", *foreign, "trixie", str(root), *mirror]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8")
        if done.returncode:
            raise EngineError(f"{' '.join(command)} failed ({done.returncode}): {done.stdout[-2000:]}")
        for pattern in NOT_NEEDED:
            for path in root.glob(pattern):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        sources = root / "etc/apt/sources.list"
        release = sources.read_text().strip()
        security = release.replace("/debian trixie ", "/debian-security trixie-security ")
        sources.write_text(f"{release}\n{security}\n")
        target = root / HOST_CERTIFICATES.relative_to("/")
        target.mkdir(parents=True, exist_ok=True)
        for path in extra:
            shutil.copyfile(path, target / path.name)
        # By tar, not tarfile: device nodes and owners as they are, and quicker.
        subprocess.run(["tar", "--create", f"--file={archive}", f"--directory={root}", "."], check=True)

    name = f"debian-trixie{architecture and '-'}{architecture}-{time.strftime('%Y%m')}-{digest}.tar"
    return cached(name, bootstrap), '["bash"]'


def make_busybox() -> tuple[Path, str]:
    """One static program with a link for each of its applets."""

    def assemble(archive: Path) -> None:
        package = archive.parent / "package"
        unpack("busybox-static", package)
        (program,) = package.glob("**/bin/busybox")
        applets = subprocess.run([program, "--list"], capture_output=True, encoding="utf-8", check=True).stdout.split()
        with tarfile.open(archive, "w") as tar:
            for folder in ("bin", "etc", "root", "tmp", "var"):
                entry = tarfile.TarInfo(folder)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
                tar.addfile(entry)
            tar.add(program, "bin/busybox", filter=owned_by_root)
            for applet in applets:
                entry = tarfile.TarInfo(f"bin/{applet}")
                entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
                if applet != "busybox":
                    tar.addfile(entry)
            for name, text in (("passwd", "root:x:0:0:root:/root:/bin/sh\n"), ("group", "root:x:0:\n")):
                path = archive.parent / name
                path.write_text(text)
                tar.add(path, f"etc/{name}", filter=owned_by_root)

    return cached("busybox-static.tar", assemble), '["sh"]'


def owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry


MAKERS: dict[str, Callable[[], tuple[Path, str]]] = {
    "debian:trixie-slim": make_debian,
    "busybox:latest": make_busybox,
}
