"""The types of `native.pyx`; see `writer.Writer` for what it does."""

from collections.abc import Sequence

from otellogdriver.codec.contract import EncodeOptions, Line
from otellogdriver.lines.joined import Record
from otellogdriver.lines.writer import PythonWriter, Rules, Written

class NativeWriter:
    def __init__(self, rules: Rules, python: PythonWriter) -> None: ...
    def write(self, records: Sequence[Line | Record], options: EncodeOptions, observed: int, limit: int) -> Written: ...
    def rewrite(self, payload: bytes, records: int, limit: int) -> Written: ...
