"""What options do to single lines, between the codec and the request: records people can query.

In: the codec's lines. Out: LogRecords as the codec writes them, with more in them. Pure: no I/O, no clock, no threads.
Imported only for containers that have such an option; for all others `codec.encode` does the whole work.

    codec.split ─▶ multiline ─▶ selection ─▶ redaction ─▶ parsing, severity ─▶ LogRecord
                   lines of a    streams,     what         JSON, logfmt         `wire`
                   record        patterns,    matches
                                 rate limit

`encoder.py` joins these stages behind the contract of `codec/contract.py`. The stages from redaction on are a `Writer`:
`writer.py` is the specification, and `native.pyx` does the same for JSON lines at a small fraction of the cost.
`rewriting.py` is a shorter way for options that look at each line by itself.
"""

from __future__ import annotations

import logging
from types import ModuleType

from otellogdriver.codec.contract import Codec, EncodeOptions, Encoder
from otellogdriver.lines.encoder import LineEncoder
from otellogdriver.lines.multiline import multiline
from otellogdriver.lines.redaction import Redaction
from otellogdriver.lines.rewriting import RewritingEncoder
from otellogdriver.lines.selection import Selection
from otellogdriver.lines.writer import PythonWriter, Rules, Writer
from otellogdriver.settings.line_options import LineSettings

log = logging.getLogger(__name__)


def line_encoder(settings: LineSettings, codec: Codec, options: EncodeOptions) -> Encoder:
    """The encoder of one feed: it remembers how far the rate limit is used. `options` are those that it will get."""
    rules = Rules(
        parse=settings.parse,
        parse_time=settings.parse_time,
        severity=settings.severity == "auto",
        redaction=Redaction(settings.redact_pattern) if settings.redact_pattern else None,
        keep_bytes=options.keep_bytes,
        strip_ansi=settings.strip_ansi,
    )
    native = _native(codec.name)
    python = PythonWriter(rules)
    writer: Writer = native.NativeWriter(rules, python) if native else python
    joining = multiline(settings.multiline_pattern, settings.multiline_timeout)
    selects = settings.include_pattern or settings.exclude_pattern or settings.rate_limit
    if joining is None and not selects and rules.redaction is None and not rules.strip_ansi:
        return RewritingEncoder(codec, writer)
    selection = Selection(
        options.streams,
        settings.include_pattern,
        settings.exclude_pattern,
        settings.rate_limit,
        settings.rate_burst or settings.rate_limit,
    )
    return LineEncoder(codec, joining, selection, writer, rules.redaction is not None)


def _native(codec: str) -> ModuleType | None:
    """What goes with the codec: C with the native one."""
    if codec != "native":
        return None
    try:
        from otellogdriver.lines import native
    except ImportError as error:
        log.warning("the native line writer cannot be imported (%s); the Python one costs far more CPU", error)
        return None
    return native
