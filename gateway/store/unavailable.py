"""Store in the place of one that cannot be opened because the disk is full, until it can be.

Nothing is written and nothing that was stored is known: an emergency stop or a reserve may be in force. So the site is
at rest, as after an emergency stop: no command with power can be journalled, and energy management moves none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from gateway.model.journal import AT_REST, Kept, Record, StoredCommand
from gateway.store.journal import PROBE
from gateway.store.store import MemoryStore, Sample, Store, StoreError
from protocols.ports import Clock

RETRY_S = 5.0  # between attempts to open a store whose disk is full


class StoreReturned(Exception):
    """The store can be opened again: the gateway starts anew with what is stored."""


async def wait_for_space(make: Callable[[], Store], clock: Clock) -> None:
    """Raise StoreReturned when the store can be opened and written again."""
    while True:
        await clock.sleep(RETRY_S)
        store = make()
        with contextlib.suppress(StoreError):
            try:
                await store.open()
                await store.write([PROBE])
            finally:
                await store.close()
            raise StoreReturned


class UnavailableStore(MemoryStore):
    """Refuses every write with the reason."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self._reason = reason

    async def write(self, records: Sequence[Record]) -> None:
        """Raise StoreError."""
        raise StoreError(self._reason)

    async def find_command(self, command_id: str) -> StoredCommand | None:
        """Raise StoreError."""
        raise StoreError(self._reason)

    async def kept(self, limit: int) -> list[Kept]:
        """Return that the site is at rest."""
        return [Kept(*AT_REST, "{}", 0.0)]

    async def sample(self, samples: Sequence[Sample]) -> None:
        """Raise StoreError."""
        raise StoreError(self._reason)
