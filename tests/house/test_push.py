"""plugin.push: whether a registry is asked with TLS, and the digest that is read. The engine is played."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO

import pytest

from plugin.engine import Engine, EngineError
from plugin.push import digest_of, insecure

REGISTRIES = {
    "InsecureRegistryCIDRs": ["::1/128", "127.0.0.0/8", "10.1.0.0/16"],
    "IndexConfigs": {"docker.io": {"Secure": True}, "plain.example:5000": {"Secure": False}},
}
MANIFEST, CONFIGURATION = "sha256:" + "a" * 64, "sha256:" + "b" * 64


class Played(Engine):
    """Answers as engine and docker command do."""

    def __init__(self, manifest: str = "") -> None:
        super().__init__()
        self.manifest = manifest
        self.asked: list[str] = []

    def docker(self, *args: str | Path, timeout: float = 120, stdin: IO[bytes] | None = None) -> str:
        if args[0] == "info":
            return json.dumps(REGISTRIES)
        self.asked = [str(arg) for arg in args]
        return self.manifest


@pytest.mark.parametrize(
    ("registry", "plain"),
    [
        ("127.0.0.1:5000", True),
        ("localhost:5000", True),
        ("localhost", True),
        ("10.1.2.3/team", True),
        ("10.2.2.3/team", False),
        ("plain.example:5000/team", True),
        ("plain.example/team", False),
        ("docker.io/team", False),
        ("ghcr.io/team", False),
    ],
)
def test_without_tls_only_where_the_engine_does_so(registry: str, plain: bool) -> None:
    reference = f"{registry}/otellogdriver:1.2.3-amd64"
    assert insecure(Played(), reference) is plain
    engine = Played(f'{{"Descriptor": {{"digest": "{MANIFEST}"}}}}')
    digest_of(engine, reference)
    assert ("--insecure" in engine.asked) is plain


def test_the_digest_is_that_of_the_manifest() -> None:
    said = {
        "Ref": "ghcr.io/team/otellogdriver:1",
        "Descriptor": {"mediaType": "application/vnd.docker.distribution.manifest.v2+json", "digest": MANIFEST},
        "SchemaV2Manifest": {"config": {"digest": CONFIGURATION}},
    }
    assert digest_of(Played(json.dumps(said, indent=4)), "ghcr.io/team/otellogdriver:1") == MANIFEST


def test_an_answer_without_a_digest_is_reported() -> None:
    with pytest.raises(EngineError, match=r"otellogdriver:1 tells no digest: odd"):
        digest_of(Played("odd"), "ghcr.io/team/otellogdriver:1")
