"""The codecs under test: both, or `python` alone where the environment says OTELLOGDRIVER_NATIVE=skip."""

from __future__ import annotations

import os

from otellogdriver.codec import load
from otellogdriver.codec.contract import Codec
from otellogdriver.errors import OptionError

NAMES = ("python",) if os.environ.get("OTELLOGDRIVER_NATIVE") == "skip" else ("python", "native")


def codec(name: str) -> Codec:
    try:
        return load("require" if name == "native" else name)
    except OptionError as error:
        message = "the native codec is not built; `make unit` builds it, OTELLOGDRIVER_NATIVE=skip leaves it out"
        raise AssertionError(message) from error


def codecs() -> list[Codec]:
    return [codec(name) for name in NAMES]
