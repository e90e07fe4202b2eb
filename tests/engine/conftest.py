"""As in tests/e2e: all engines are of the version that ENGINE names."""

from __future__ import annotations

from tests.e2e.conftest import _programs as _programs
