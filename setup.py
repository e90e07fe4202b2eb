"""The native codec; everything else about the package is in pyproject.toml.

OTELLOGDRIVER_NATIVE=require: a codec that cannot be compiled fails the build (plugin image, CI).
OTELLOGDRIVER_NATIVE=skip: it is not compiled; the Python codec does the work.
Without it: it is compiled if that succeeds, and the lack of it is told loudly.
"""

import os
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

NATIVE = os.environ.get("OTELLOGDRIVER_NATIVE") or "try"
SOURCE = "otellogdriver/codec/native.pyx"


class BuildNative(build_ext):
    """Compile if possible, unless it is required."""

    def run(self) -> None:
        try:
            super().run()
        except Exception as fault:  # no compiler, no headers, no Cython: each tells it in its own way
            if NATIVE == "require":
                raise
            print(f"WARNING: otellogdriver is built WITHOUT its native codec, and so slower: {fault}", file=sys.stderr)
            self.extensions = []


if NATIVE not in ("try", "require", "skip"):
    sys.exit(f"OTELLOGDRIVER_NATIVE is {NATIVE!r}; allowed are require and skip")
if NATIVE == "require" and not Path(SOURCE).exists():
    sys.exit(f"OTELLOGDRIVER_NATIVE=require, but there is no {SOURCE}")
extensions = [] if NATIVE == "skip" else [Extension("otellogdriver.codec.native", [SOURCE], extra_compile_args=["-O3"])]
setup(ext_modules=extensions, cmdclass={"build_ext": BuildNative})
