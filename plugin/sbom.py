"""The plugin's bill of materials, in CycloneDX's JSON: every package that a file of it comes from.

In: the plugin's folder. Out: Python's packages as their `dist-info` declares them, and Debian's as `assemble.py` has
put them into `var/lib/dpkg/status.d`. Equal folders give equal bills. Format: CycloneDX 1.6, ECMA-424.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid5

NAME = "otellogdriver"

_NAMESPACE = UUID("5b6a8a7e-6f0c-4b1e-9a55-9f5c2d1c7a10")
"""For serial numbers made from the contents; any value, but always the same."""


def bill(folder: Path, version: str, architecture: str) -> dict[str, Any]:
    """The bill for the plugin in `folder`. Raises ValueError where it holds no packages at all."""
    rootfs = folder / "rootfs"
    ours, components = None, []
    for component in sorted([*_python(rootfs), *_debian(rootfs)], key=lambda one: str(one["purl"])):
        if component["name"] == NAME:
            ours = component
        else:
            components.append(component)
    if ours is None or not any(one["purl"].startswith("pkg:deb/") for one in components):
        raise ValueError(f"{rootfs} is not the plugin's root file system: its packages are not to be found")
    about = {"type": "application", "name": NAME, "version": f"{version}-{architecture}", "bom-ref": ours["purl"]}
    digest = hashlib.sha256(json.dumps([about, components], sort_keys=True).encode()).hexdigest()
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(_NAMESPACE, digest)}",
        "version": 1,
        "metadata": {"component": about | {"purl": ours["purl"], "licenses": ours["licenses"]}},
        "components": components,
    }


def _python(rootfs: Path) -> Iterator[dict[str, Any]]:
    for path in rootfs.glob("usr/local/lib/python3*/dist-packages/*.dist-info/METADATA"):
        about = Parser().parsestr(path.read_text(encoding="utf-8"), headersonly=True)
        name, version = about["Name"], about["Version"]
        component = _component(name, version, f"pkg:pypi/{quote(name.lower().replace('_', '-'))}@{quote(version)}")
        expression = about["License-Expression"]
        yield component | ({"licenses": [{"expression": expression}]} if expression else {})


def _debian(rootfs: Path) -> Iterator[dict[str, Any]]:
    (release,) = re.findall(r'^VERSION_ID="?([^"\n]+)', (rootfs / "etc/os-release").read_text(), re.MULTILINE)
    for path in rootfs.glob("var/lib/dpkg/status.d/*"):
        about: Message = Parser().parsestr(path.read_text(encoding="utf-8"), headersonly=True)
        name, version = about["Package"], about["Version"]
        where = f"arch={about['Architecture']}&distro=debian-{release}"
        yield _component(name, version, f"pkg:deb/debian/{quote(name)}@{quote(version)}?{where}")


def _component(name: str, version: str, purl: str) -> dict[str, Any]:
    return {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl}
