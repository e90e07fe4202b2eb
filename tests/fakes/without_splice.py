"""`otellogdriver serve` on a kernel whose file systems refuse splice(2), as some do."""

from __future__ import annotations

import errno
import os
import sys
from typing import NoReturn


def _refuse(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


if __name__ == "__main__":
    os.splice = _refuse
    from otellogdriver.cli import main

    sys.argv = ["otellogdriver", "serve"]
    sys.exit(main())
