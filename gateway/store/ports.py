"""What the core asks of a store. `memory.py` and `sql.py` implement it; both pass the same tests."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from gateway.model.journal import Entry, Kept, Record, StoredCommand


class StoreError(Exception):
    """The store could not do what was asked: disk full, locked, unreachable. The sentence names it for a person."""


class RecordRefused(StoreError):
    """The store works, and will never take these records: an id twice, a value it cannot hold."""


class Unfinished(StoreError):
    """The write has begun and has not ended in time; `landed` ends with it, with its StoreError where it has one."""

    def __init__(self, landed: asyncio.Future[None]) -> None:
        super().__init__("the store did not answer in time")
        self.landed = landed


class Sample(NamedTuple):
    """One sample of telemetry; `wall` is Unix time, power is + into the vehicle."""

    evse: str
    wall: float
    power_w: float | None = None
    soc_pct: float | None = None
    energy_charged_wh: float | None = None
    energy_discharged_wh: float | None = None


class Store(Protocol):
    """Where commands, results and the journal live."""

    async def open(self) -> None:
        """Connect and check the schema; StoreError with what to do."""

    async def close(self) -> None:
        """Let go; safe to call twice."""

    async def write(self, records: Sequence[Record]) -> None:
        """Keep all of them or none, in order; durable when it returns. StoreError if not, RecordRefused if never."""

    async def find_command(self, command_id: str) -> StoredCommand | None:
        """A command of the last 7 days."""

    async def recent_commands(self, limit: int) -> list[StoredCommand]:
        """The newest commands, newest first."""

    async def in_force(self) -> list[StoredCommand]:
        """Commands that have not ended, oldest first."""

    async def undelivered(self, limit: int) -> list[StoredCommand]:
        """Commands with a result that no broker has acknowledged, oldest first."""

    async def entries(
        self,
        *,
        since: float | None = None,
        until: float | None = None,
        evse: str | None = None,
        command: str | None = None,
        limit: int = 1000,
        after_seq: int | None = None,
    ) -> list[Entry]:
        """Lines of the journal, oldest first; with a limit, the newest of them."""

    async def kept(self, limit: int) -> list[Kept]:
        """What was kept and not forgotten, in the order it was last kept: all that goes on, the newest of the ended."""

    async def sample(self, samples: Sequence[Sample]) -> None:
        """Keep telemetry. StoreError otherwise."""

    async def samples(self, evse: str, since: float, until: float, limit: int = 10_000) -> list[Sample]:
        """Telemetry of an EVSE, oldest first."""

    async def prune(self, commands_before: float, entries_before: float, samples_before: float | None = None) -> int:
        """Forget what is older (Unix time) and no longer in force; how many rows went."""
