"""Tasks of a station beside the processing of its messages; all of them end with its connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine

log = logging.getLogger("v2x.csms")


class BackgroundTasks:
    """Tasks that are cancelled together. An error of one is logged and ends it alone."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, *works: Coroutine[object, None, object]) -> None:
        """Run coroutines one after the other beside the processing of messages, until the connection ends."""
        task = asyncio.get_running_loop().create_task(self._guard(works))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: [work.close() for work in works])  # those that have not begun

    def cancel_tasks(self) -> None:
        """Cancel all tasks."""
        for task in list(self._tasks):
            task.cancel()

    async def _guard(self, works: tuple[Coroutine[object, None, object], ...]) -> None:
        try:
            for work in works:
                await work
        except Exception:
            log.exception("%s: background task failed", self._name)
