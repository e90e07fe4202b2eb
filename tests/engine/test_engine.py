"""The engine that is there: taken, or told apart from none, in its own words. The docker command is a stand-in."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugin.engine import EngineError, running

TOO_OLD = (
    "Error response from daemon: client version 1.41 is too old. Minimum supported API version is 1.44, "
    "please upgrade your client to a newer version"
)
TOO_NEW = "Error response from daemon: client version 1.53 is too new. Maximum supported API version is 1.41"
NOBODY = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
NOBODY_LATER = "failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct"
DENIED = "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock"


@pytest.fixture(autouse=True)
def no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)


def docker(monkeypatch: pytest.MonkeyPatch, folder: Path, says: str, code: int = 1) -> None:
    """A docker command that says `says`."""
    program = folder / "docker"
    program.write_text(f"#!/bin/sh\necho '{says.replace(chr(39), '')}' >&2\nexit {code}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_an_engine_that_answers_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    docker(monkeypatch, tmp_path, "Server: Engine", 0)
    assert running()


@pytest.mark.parametrize("says", (NOBODY, NOBODY_LATER))
def test_where_nobody_listens_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, says: str) -> None:
    docker(monkeypatch, tmp_path, says)
    assert running() is None


@pytest.mark.parametrize("says", (NOBODY, NOBODY_LATER))
def test_where_somebody_should_listen_its_absence_is_a_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, says: str
) -> None:
    docker(monkeypatch, tmp_path, says)
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere:2375")
    with pytest.raises(EngineError) as told:
        running()
    assert says in str(told.value) and "tcp://elsewhere:2375" in str(told.value)


@pytest.mark.parametrize(
    ("says", "advice"),
    (
        (TOO_OLD, "DOCKER_MIN_API_VERSION"),
        (TOO_NEW, "DOCKER_API_VERSION"),
        (DENIED, "as root, or as a member of group"),
    ),
)
@pytest.mark.parametrize("host", ("", "unix:///var/run/docker.sock"))
def test_an_engine_that_does_not_let_us_in_is_told_in_its_own_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, says: str, advice: str, host: str
) -> None:
    docker(monkeypatch, tmp_path, says)
    if host:
        monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(EngineError) as told:
        running()
    assert says in str(told.value) and advice in str(told.value)
