"""Modules that are imported while the driver works: what a start need not wait for, and what few containers need."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def load(name: str) -> Any:
    """The module, imported if it is not; may be called again where that fails.

    An import that meets a lack of memory may leave the module's lock locked, and whoever imports it next would wait for
    ever. But locks last only as long as somebody has them, and that is the error's traceback: it ends here."""
    try:
        return import_module(name)
    except MemoryError:
        pass
    raise MemoryError(f"no memory to load {name}")
