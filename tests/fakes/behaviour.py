"""What the scripted OTLP server does with one request."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Behaviour:
    """What is done with one request. `do`: `ok`; `partial` (`rejected`, `message`); `status` (an HTTP number or a gRPC
    name, `retry_after` as header value or seconds of RetryInfo, `message`); `answer` (HTTP: `status`, `body`,
    `content_type`, `location` as given); `hang` (never answers); `close` (breaks the connection; HTTP: with `status` it
    breaks within the answer); `early` (HTTP: answers `status` without reading the body). `delay` seconds pass first.
    `take` says whether the data is kept; by default if the answer says so."""

    do: str = "ok"
    status: int | str = 0
    retry_after: str = ""
    message: str = ""
    rejected: int = 0
    body: str = ""
    content_type: str = ""
    location: str = ""
    delay: float = 0.0
    take: bool | None = None

    @property
    def taken(self) -> bool:
        return self.do in ("ok", "partial") if self.take is None else self.take


def ok(delay: float = 0.0) -> Behaviour:
    return Behaviour("ok", delay=delay)


def status(code: int | str, retry_after: str = "", message: str = "") -> Behaviour:
    return Behaviour("status", status=code, retry_after=retry_after, message=message)


def partial(rejected: int, message: str = "") -> Behaviour:
    return Behaviour("partial", rejected=rejected, message=message)


def answer(code: int, body: str = "", content_type: str = "", location: str = "", take: bool = False) -> Behaviour:
    return Behaviour("answer", code, body=body, content_type=content_type, location=location, take=take)


def hang(take: bool = False) -> Behaviour:
    return Behaviour("hang", take=take)


def close(within: int = 0, take: bool = False) -> Behaviour:
    return Behaviour("close", status=within, take=take)


def behaviour_from(told: dict[str, Any]) -> Behaviour:
    """A behaviour from JSON; ValueError names an unknown key."""
    unknown = set(told) - {each.name for each in fields(Behaviour)}
    if unknown:
        raise ValueError(f"unknown keys {sorted(unknown)}")
    return Behaviour(**told)
