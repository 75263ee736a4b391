"""System clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager


class SystemClock:
    """Implements `protocols.ports.Clock` on the running event loop."""

    def now(self) -> float:
        """Monotonic time, s."""
        return time.monotonic()

    def wall(self) -> float:
        """Unix time, s."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Sleep for a time, s."""
        await asyncio.sleep(seconds)

    def timeout_at(self, deadline: float | None) -> AbstractAsyncContextManager[asyncio.Timeout]:
        """Raise TimeoutError inside the block at `deadline`; None for no deadline."""
        return asyncio.timeout(None if deadline is None else max(0.0, deadline - time.monotonic()))

    def call_at(self, when: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        """Call back at a monotonic time."""
        return asyncio.get_running_loop().call_later(max(0.0, when - time.monotonic()), callback)
