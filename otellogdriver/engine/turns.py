"""Turns for small pieces of work on the event loop, so that a thousand of them at once hold up nothing else.

The loop runs everything that is ready before it looks at its sockets again. Whoever takes a turn first shares each of
the loop's rounds with at most MOST others of its kind; the rest wait in order.
"""

from __future__ import annotations

import asyncio
from collections import deque

MOST = 8
"""Turns in one round of the loop: about a millisecond of what followers do."""


class Turns:
    """One for each kind of work; used on the event loop only."""

    def __init__(self) -> None:
        self._left = MOST
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._due = False

    async def take(self) -> None:
        """Return when it is the caller's turn."""
        loop = asyncio.get_running_loop()
        if not self._due:
            self._due = True
            loop.call_soon(self._next_round)
        if self._left > 0 and not self._waiting:
            self._left -= 1
            return
        turn = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _next_round(self) -> None:
        self._left = MOST
        self._due = False
        while self._waiting and self._left > 0:
            turn = self._waiting.popleft()
            if not turn.done():  # who waited may be gone
                turn.set_result(None)
                self._left -= 1
        if self._waiting:
            self._due = True
            asyncio.get_running_loop().call_soon(self._next_round)
