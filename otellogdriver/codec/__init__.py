"""The choice of the codec: `native` where it was built, else `python`. Both keep the contract in `contract.py`."""

from __future__ import annotations

import logging

from otellogdriver.codec import python
from otellogdriver.codec.contract import Codec
from otellogdriver.errors import OptionError

log = logging.getLogger(__name__)

MODES = ("auto", "require", "python")


def load(mode: str = "auto") -> Codec:
    """The codec to use: `require` takes the native one or fails, `python` the Python one, and `auto` the native one if
    it can be imported, else the Python one with a warning. Raises OptionError."""
    if mode not in MODES:
        raise OptionError(f"codec is {mode!r}; allowed are {', '.join(MODES)}")
    if mode == "python":
        return python
    try:
        import otellogdriver.codec.native as native
    except ImportError as error:
        if mode == "require":
            raise OptionError(f"codec is 'require', but the native codec cannot be imported: {error}") from error
        log.warning("the native codec cannot be imported (%s); the Python one costs far more CPU for each line", error)
        return python
    return native
