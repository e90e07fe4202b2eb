"""`make release`: what a release consists of beside the pushed plugin, in `build/release/`.

`python -m plugin.release --notes [VERSION]` prints what CHANGELOG.md says of one version.

    otellogdriver-VERSION-ARCHITECTURE.tar.gz       the plugin's folder, for hosts that reach no registry:
                                                    unpack, then `docker plugin create otellogdriver FOLDER`
    otellogdriver-VERSION-ARCHITECTURE.cdx.json     its bill of materials
    otellogdriver-VERSION-….whl                     wheels, where `dist/` holds some
    SHA256SUMS                                      of all of these, for `sha256sum --check`

The archive of a folder is always the same, byte for byte: entries in order, times and owners the same.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
import sys
import tarfile
from pathlib import Path

from otellogdriver import __version__
from plugin.build import ROOT, build
from plugin.debian import HostError
from plugin.engine import EngineError
from plugin.push import NAME, architecture
from plugin.sbom import bill

OUTPUT = ROOT / "build" / "release"
CHANGELOG = ROOT / "CHANGELOG.md"


def release(folder: Path, output: Path = OUTPUT, version: str = __version__, wheels: Path = ROOT / "dist") -> Path:
    """Write the files for the plugin in `folder`; the folder with them."""
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    name = f"{NAME}-{version}-{architecture(folder)}"
    archive(folder, output / f"{name}.tar.gz", NAME)
    text = json.dumps(bill(folder, version, architecture(folder)), indent=1) + "\n"
    (output / f"{name}.cdx.json").write_text(text, encoding="utf-8")
    for wheel in sorted(wheels.glob("*.whl")):
        shutil.copy2(wheel, output)
    (output / "SHA256SUMS").write_text(sums(output))
    return output


def archive(folder: Path, path: Path, prefix: str) -> None:
    """Pack `folder` as `prefix/`."""

    def same(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = entry.mtime = 0
        entry.uname = entry.gname = ""
        return entry

    with (
        path.open("wb") as file,
        gzip.GzipFile("", "wb", 6, file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for entry in [folder, *sorted(folder.rglob("*"))]:
            tar.add(entry, Path(prefix) / entry.relative_to(folder), recursive=False, filter=same)


def sums(folder: Path) -> str:
    """The lines of SHA256SUMS for all files in `folder`."""
    lines = []
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}\n")
    return "".join(lines)


def notes(text: str, version: str) -> str:
    """The section of a changelog about `version`, without its heading. Raises ValueError where there is none.

    Its form is that of keepachangelog.com: `## [1.2.3] - 2026-01-31`, `## [Unreleased]`, links at the end.
    """
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    found = [each.partition("\n") for each in sections]
    names = [re.sub(r"[\[\]]", "", heading).split()[0] for heading, _, _ in found]
    if version not in names:
        raise ValueError(f"CHANGELOG.md has no section {version!r}; it has {', '.join(names)}")
    body = found[names.index(version)][2]
    return re.sub(r"^\[[^\]]+\]: \S+\n?", "", body, flags=re.MULTILINE).strip() + "\n"


def main(arguments: list[str]) -> int:
    try:
        match arguments:
            case []:
                print(release(build()))
            case ["--notes"] | ["--notes", _]:
                print(notes(CHANGELOG.read_text(encoding="utf-8"), [*arguments, __version__][1]), end="")
            case _:
                print("usage: python -m plugin.release [--notes [VERSION]]", file=sys.stderr)
                return 2
    except (EngineError, HostError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
