"""The native codec and line writer; everything else about the package is in pyproject.toml.

OTELLOGDRIVER_NATIVE=require: what cannot be compiled fails the build (plugin image, CI).
OTELLOGDRIVER_NATIVE=skip: nothing is compiled; the Python codec does the work.
Without it: they are compiled if that succeeds, and the lack of them is told loudly.
"""

import os
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

NATIVE = os.environ.get("OTELLOGDRIVER_NATIVE") or "try"
SOURCES = ["otellogdriver/codec/native.pyx", "otellogdriver/lines/native.pyx"]
# Python that is compiled as it stands, with the types of a .pxd beside it; without a compiler it is run.
TYPED = [types.with_suffix(".py") for types in sorted(Path("otellogdriver/lines").glob("*.pxd"))]
SOURCES += [str(path) for path in TYPED if path.exists()]
SHARED = [str(path) for path in sorted(Path("otellogdriver").glob("*/*.pxd"))]


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
missing = [source for source in SOURCES if not Path(source).exists()]
if NATIVE == "require" and missing:
    sys.exit(f"OTELLOGDRIVER_NATIVE=require, but there is no {missing[0]}")
extensions = [
    Extension(
        source.rpartition(".")[0].replace("/", "."),
        [source],
        depends=SHARED,
        extra_compile_args=["-O3", "-falign-functions=64", "-falign-loops=32"],
    )
    for source in SOURCES
    if NATIVE != "skip"
]
setup(ext_modules=extensions, cmdclass={"build_ext": BuildNative})
