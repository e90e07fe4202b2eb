"""`make plugin-push REGISTRY=…`: the plugin into a registry, as `REGISTRY/otellogdriver:VERSION-ARCHITECTURE`.

In: `build/plugin`, built when it is not up to date; credentials as `docker login` left them. Out: the reference, which
`docker plugin install` takes. One reference per architecture, because `docker plugin install` cannot choose from a
list; the architecture is that of the files in the plugin. The engine is left without the plugin, as it was.

With `--release FILE` it goes by two shorter tags as well, `X.Y-ARCHITECTURE` and `ARCHITECTURE`, and FILE gets the
lines `name=REGISTRY/otellogdriver` and `digest=sha256:…`: by its digest a plugin is signed and checked.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import re
import sys
from pathlib import Path

from otellogdriver import __version__
from plugin.build import build
from plugin.debian import HostError
from plugin.engine import Engine, EngineError
from plugin.private_engine import obtain

NAME = "otellogdriver"

_MACHINES = {62: "amd64", 183: "arm64"}
"""ELF's e_machine, and Docker's word for it."""


def architecture(folder: Path) -> str:
    """What the plugin in `folder` runs on. Raises HostError for what nobody has tried."""
    header = (folder / "rootfs/usr/bin/python3").resolve().read_bytes()[:20]
    machine = int.from_bytes(header[18:20], "little")
    if header[:4] != b"\x7fELF" or machine not in _MACHINES:
        raise HostError(f"{folder} is for ELF machine {machine}; known are {', '.join(_MACHINES.values())}")
    return _MACHINES[machine]


def push(engine: Engine, folder: Path, registry: str, version: str = __version__) -> str:
    """Push the plugin in `folder`; its reference. Raises EngineError with what engine or registry says."""
    if not re.fullmatch(r"[\w.-]+(:\d+)?(/[a-z0-9._-]+)*", registry):
        raise EngineError(f"REGISTRY is {registry!r}; allowed is host[:port][/path], as in registry.example:5000/team")
    return push_as(engine, folder, f"{registry}/{NAME}:{version}-{architecture(folder)}")


def push_as(engine: Engine, folder: Path, reference: str) -> str:
    try:
        engine.docker("plugin", "create", reference, folder, timeout=600)
    except EngineError as error:
        if "already exists" in str(error):
            raise EngineError(
                f"{error}\nthe engine has this very plugin: remove it there, or choose another engine with DOCKER_HOST"
            ) from None
        raise
    try:
        engine.docker("plugin", "push", reference, timeout=1800)
    finally:
        engine.run("plugin", "rm", reference)
    return reference


def digest_of(engine: Engine, reference: str) -> str:
    """The digest of what the registry has under `reference`, asked with the docker command's credentials: what
    `docker plugin push` prints of it differs between versions. Raises EngineError where there is none."""
    allowed = ("--insecure",) if insecure(engine, reference) else ()
    said = engine.docker("manifest", "inspect", "--verbose", *allowed, reference, timeout=300)
    digest = re.search(r'"digest": "(sha256:[0-9a-f]{64})"', said)  # the first one is that of the manifest
    if not digest:
        raise EngineError(f"docker manifest inspect {reference} tells no digest: {said.strip()}")
    return digest[1]


def insecure(engine: Engine, reference: str) -> bool:
    """Whether the engine talks to this registry without TLS. The docker command does so only when it is told to."""
    registry = reference.partition("/")[0]
    host = registry.partition(":")[0]
    known = json.loads(engine.docker("info", "--format", "{{json .RegistryConfig}}"))
    if registry in known["IndexConfigs"]:
        return not known["IndexConfigs"][registry]["Secure"]
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(network) for network in known["InsecureRegistryCIDRs"])


def push_release(engine: Engine, folder: Path, registry: str, version: str, about: Path) -> str:
    """Push under all tags of a release and write `about`; the full reference. All tags name one digest."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise EngineError(f"VERSION is {version!r}; a release has three numbers, as in 1.2.3")
    reference = push(engine, folder, registry, version)
    digest = digest_of(engine, reference)
    kind, name = architecture(folder), reference.rpartition(":")[0]
    for tag in (f"{version.rpartition('.')[0]}-{kind}", kind):
        other = digest_of(engine, push_as(engine, folder, f"{name}:{tag}"))
        if other != digest:
            raise EngineError(f"{name}:{tag} is {other}, but {reference} is {digest}: the folder has changed meanwhile")
    about.parent.mkdir(parents=True, exist_ok=True)
    about.write_text(f"name={name}\ndigest={digest}\n")
    return reference


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m plugin.push", description="Push the plugin to a registry.")
    parser.add_argument("registry", help="host[:port][/path], as in registry.example:5000/team")
    parser.add_argument("--version", default=os.environ.get("VERSION") or __version__, help=f"default: {__version__}")
    parser.add_argument(
        "--release", type=Path, metavar="FILE", help="push under all tags; write name and digest to FILE"
    )
    chosen = parser.parse_args()
    try:
        folder = build()
        with obtain() as engine:
            if chosen.release:
                print(push_release(engine, folder, chosen.registry, chosen.version, chosen.release))
            else:
                print(push(engine, folder, chosen.registry, chosen.version))
    except (EngineError, HostError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
