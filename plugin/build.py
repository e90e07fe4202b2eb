"""`make plugin`: the folder from which `docker plugin create` makes the plugin.

In: the checkout, an engine (the running one, else a private one for the length of the build). Out: `build/plugin/` with
`config.json` and `rootfs/`. Does nothing when no input has changed. The private engine keeps its build cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from otellogdriver import __version__
from plugin import images
from plugin.cache import locked
from plugin.debian import HostError
from plugin.engine import Engine, EngineError
from plugin.private_engine import PrivateEngine, obtain

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "build" / "plugin"
STAMP = ROOT / "build" / "plugin.inputs"
IMAGE = "otellogdriver-rootfs"
INPUTS = (
    "Dockerfile LICENSE README.md otellogdriver plugin/assemble.py plugin/build.py plugin/config.json pyproject.toml "
    "requirements.lock requirements-build.lock setup.py"
).split()
PASSED_ON = (
    "PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy "
    "no_proxy OTELLOGDRIVER_NATIVE"
).split()
"""Variables of the host that the image build gets, where they are set."""


def build() -> Path:
    """Have `build/plugin/` up to date and return it."""
    wanted = inputs()
    if is_built(wanted):
        return OUTPUT
    with locked("build-engine") as data:
        if not is_built(wanted):  # somebody else may have built it while we waited
            print("building the plugin, which takes some minutes the first time", file=sys.stderr, flush=True)
            with obtain(data) as engine:
                build_with(engine)
            STAMP.write_text(wanted)
    return OUTPUT


def is_built(wanted: str) -> bool:
    """Whether `build/plugin/` was made from files with this digest."""
    return STAMP.exists() and STAMP.read_text() == wanted and (OUTPUT / "rootfs").is_dir()


def inputs() -> str:
    """A digest of every file that the plugin is made from."""
    digest = hashlib.sha256(f"{os.environ.get('OTELLOGDRIVER_NATIVE', 'require')} {documentation()}".encode())
    for name in INPUTS:
        path = ROOT / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and file.suffix not in (".pyc", ".so", ".c"):
                digest.update(f"{file.relative_to(ROOT)}\0{file.stat().st_size}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def build_with(engine: Engine, output: Path = OUTPUT, limit: float = 1800) -> None:
    """Build the image in `engine` within `limit` seconds and lay out its files in `output`."""
    images.ensure(engine, "debian:trixie-slim")
    arguments = [f"--build-arg={name}" for name in PASSED_ON if os.environ.get(name)]
    build_command = ("build", "--quiet", "--network=host", *arguments)
    if isinstance(engine, PrivateEngine):
        # Its cache is the images themselves: with a name, this one keeps its layers and lets go of replaced ones.
        tagged(engine, limit, *build_command, "--target=builder", name=f"{IMAGE}-builder")
    tagged(engine, limit, *build_command, name=IMAGE)
    new = output.with_name("plugin.new")
    shutil.rmtree(new, ignore_errors=True)
    (new / "rootfs").mkdir(parents=True)
    container = engine.docker("create", "--network=none", IMAGE).strip()
    try:
        unpack(engine, container, new / "rootfs")
    finally:
        engine.run("rm", container)
    variables = json.loads(engine.docker("image", "inspect", "--format", "{{json .Config.Env}}", IMAGE))
    (new / "config.json").write_text(config(variables))
    shutil.rmtree(output, ignore_errors=True)
    new.rename(output)


def tagged(engine: Engine, limit: float, *build_command: str, name: str) -> None:
    """Build the image `name`, and remove the one that had the name before."""
    inspect = ("image", "inspect", "--format", "{{.Id}}", name)
    before = engine.run(*inspect).stdout.strip()
    engine.docker(*build_command, "--tag", name, ROOT, timeout=limit)
    if before and engine.docker(*inspect).strip() != before:
        engine.run("image", "rm", before)


def unpack(engine: Engine, container: str, folder: Path) -> None:
    export = subprocess.Popen(engine.command("export", container), env=engine.environment(), stdout=subprocess.PIPE)
    with export:
        left_out = ("--exclude=.dockerenv", "--exclude=dev/*", "--exclude=etc/hostname", "--exclude=etc/mtab")
        subprocess.run(["tar", "-x", *left_out, "-C", str(folder)], stdin=export.stdout, check=True)
    if export.returncode:
        raise EngineError(f"docker export {container} failed ({export.returncode})")


def config(variables: list[str]) -> str:
    """`config.json` for the plugin. Docker takes nothing over from the image, so its variables are put in here."""
    found = json.loads((ROOT / "plugin" / "config.json").read_text(encoding="utf-8"))
    found["documentation"] = documentation()
    for variable in variables:
        name, _, value = variable.partition("=")
        found["env"].append({"name": name, "value": value})
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def documentation() -> str:
    """Where to read on, as `docker plugin inspect` shows it: in a workflow, the repository that it runs for."""
    repository = os.environ.get("GITHUB_REPOSITORY")
    if not repository:
        return "README.md and docs/ of the sources"
    return f"{os.environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{repository}/tree/v{__version__}#readme"


def main() -> int:
    try:
        print(build())
    except (EngineError, HostError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
