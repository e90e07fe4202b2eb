"""What came of looking at one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ENABLE = "docker plugin enable --timeout 0"
State = Literal["ok", "note", "failed", "skipped"]
"""`note`: it works, but somebody may want to know."""


@dataclass(frozen=True, slots=True)
class Check:
    """`name` is one of a few words for scripts, `text` what was seen, `advice` what to do about it."""

    name: str
    state: State
    text: str
    advice: str = ""


def ok(name: str, text: str) -> Check:
    return Check(name, "ok", text)


def note(name: str, text: str, advice: str = "") -> Check:
    return Check(name, "note", text, advice)


def failed(name: str, text: str, advice: str) -> Check:
    return Check(name, "failed", text, advice)


def skipped(name: str, text: str, advice: str = "") -> Check:
    return Check(name, "skipped", text, advice)


def setting(plugin: str, assignment: str) -> str:
    """How a variable of the plugin is set; running containers stay."""
    return f"`docker plugin disable -f {plugin}`, `docker plugin set {plugin} {assignment}`, `{ENABLE} {plugin}`"
