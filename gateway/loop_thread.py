"""A thread with an event loop of its own, for work that must not wait for turns of a busy loop.

Work in it takes two turns of the loop that hands it over: one to do so and one to learn the outcome.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import TypeVar

STOP_WITHIN_S = 5.0
T = TypeVar("T")


class LoopThread:
    """The thread begins with the first work, and ends with `stop`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def began(self) -> bool:
        """True from its first work to its end."""
        return self._loop is not None

    async def run(self, work: Coroutine[object, None, T]) -> T:
        """Return what a coroutine returns in the thread; it is cancelled with its caller, but not waited for."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._started()))

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.SelectorEventLoop()
            self._thread = threading.Thread(target=self._loop.run_forever, name=self._name, daemon=True)
            self._thread.start()
        return self._loop

    async def stop(self) -> None:
        """Cancel what runs, and end the thread."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        await self.run(_cancel_others())
        self._loop = self._thread = None
        loop.call_soon_threadsafe(loop.stop)
        await asyncio.to_thread(thread.join, STOP_WITHIN_S)
        if not thread.is_alive():
            loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=STOP_WITHIN_S)
