"""Server-sent events: each client receives the latest state of its view, at most once a second.

A client that reads slowly only misses states in between: the next one is rendered when the last one has been sent. What
several clients show is rendered once. The second is one of the viewer: an emulation may run faster.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable

INTERVAL_S = 1.0
SHORTEST_WAIT_S = 0.01
SAME = 0.9  # of the interval: a client that comes a little early renders, too
ALIVE_AFTER_S = 15.0  # proxies close a quiet connection, and the page marks its values as old
ALIVE = "event: alive\n\n"
MAX_STREAMS = 100
MAX_RENDERED = 200

Render = Callable[[], Awaitable[str]]


class Streams:
    """Streams of all clients; `MAX_STREAMS` at a time."""

    def __init__(self, now: Callable[[], float] = time.monotonic, interval_s: float = INTERVAL_S) -> None:
        self._now, self._interval_s = now, interval_s
        self._rendered: OrderedDict[Hashable, tuple[float, str]] = OrderedDict()
        self._closing = asyncio.Event()
        self.number = 0

    def close(self) -> None:
        """End all streams."""
        self._closing.set()

    async def latest(self, key: Hashable, render: Render) -> str:
        """Return the text of `key`, not older than about the interval."""
        found, now = self._rendered.get(key), self._now()
        if found is not None and now - found[0] < SAME * self._interval_s:
            return found[1]
        text = await render()
        self._rendered[key] = (now, text)
        self._rendered.move_to_end(key)
        while len(self._rendered) > MAX_RENDERED:
            self._rendered.popitem(last=False)
        return text

    async def events(self, key: Hashable, render: Render, allowed: Callable[[], bool]) -> AsyncGenerator[str, None]:
        """Yield an event for each change of the text while the session is `allowed` to read."""
        self.number += 1
        last, sent = "", self._now()
        try:
            while allowed() and not self._closing.is_set():
                began = self._now()
                text = await self.latest(key, render)
                if text != last:
                    yield event(text)
                    last, sent = text, self._now()
                elif self._now() - sent >= ALIVE_AFTER_S:
                    yield ALIVE
                    sent = self._now()
                await self._wait(began)
        finally:
            self.number -= 1

    async def _wait(self, since: float) -> None:
        """Wait for the rest of the interval, or the end."""
        while not self._closing.is_set() and (left_s := since + self._interval_s - self._now()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(left_s, SHORTEST_WAIT_S)):
                    await self._closing.wait()


def event(text: str) -> str:
    """Return a text as one unnamed event."""
    return "".join(f"data: {one}\n" for one in text.splitlines()) + "\n"
