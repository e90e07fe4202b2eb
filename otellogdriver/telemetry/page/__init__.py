"""The status page: one HTML document with its style and script in it, and its Content-Security-Policy.

The sources are `index.html`, `page.css` and `page.js` beside this file. The policy allows exactly these two texts, and
connections to the page's own server; nothing is ever loaded from elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files


def _source(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


_STYLE, _SCRIPT = _source("page.css"), _source("page.js")

PAGE = (
    _source("index.html")
    .replace("<style></style>", f"<style>{_STYLE}</style>")
    .replace("<script></script>", f"<script>{_SCRIPT}</script>")
)

POLICY = (
    f"default-src 'none'; style-src {_hash(_STYLE)}; script-src {_hash(_SCRIPT)}; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
