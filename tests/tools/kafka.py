"""A real Kafka broker's class path, from Maven (Apache-2.0). Needs Java; both are Debian's if missing."""

from __future__ import annotations

import subprocess
from pathlib import Path

from plugin.cache import cached
from plugin.debian import require
from tests.tools.golang import ToolError

VERSION = "3.9.1"
PARTS = (("org.apache.kafka", "kafka_2.13", VERSION), ("org.slf4j", "slf4j-simple", "1.7.36"))


def kafka() -> Path:
    """The folder with the broker's jars."""
    return cached(f"kafka-{VERSION}", make)


def java() -> str:
    return require("java", "default-jre-headless")


def make(path: Path) -> None:
    parts = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version></dependency>"
        for group, name, version in PARTS
    )
    (path.parent / "pom.xml").write_text(
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>tests</groupId><artifactId>broker</artifactId><version>1</version>"
        f"<dependencies>{parts}</dependencies></project>"
    )
    command = [require("mvn", "maven"), "--batch-mode", "--quiet", "dependency:copy-dependencies"]
    done = subprocess.run([*command, f"-DoutputDirectory={path}"], cwd=path.parent, capture_output=True, text=True)
    if done.returncode:
        raise ToolError(f"mvn failed ({done.returncode}): {done.stdout[-2000:]}")
