"""Port of the store, implemented by `memory.py` and `sql.py`; both pass the same tests."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from gateway.model.journal import CommandEnded, Entry, Kept, Phase, Record, ResultDelivered, ResultGiven, StoredCommand


class StoreError(Exception):
    """A store that failed: disk full, locked, unreachable. The text is for a person."""


class RecordRefused(StoreError):
    """Records that the store can never write: a duplicate id, a value out of range."""


class Unfinished(StoreError):
    """A write that has begun and not completed in time; `landed` completes with it, or with its StoreError."""

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
    """Store of commands, results, journal and telemetry."""

    async def open(self) -> None:
        """Connect and check the schema; StoreError with what to do."""

    async def close(self) -> None:
        """Close all connections; may be called twice."""

    async def write(self, records: Sequence[Record]) -> None:
        """Write all records or none, in order, durably. StoreError if it failed, RecordRefused if it always will."""

    async def find_command(self, command_id: str) -> StoredCommand | None:
        """Return a command of the retention time by its id."""

    async def recent_commands(self, limit: int) -> list[StoredCommand]:
        """Return the newest commands, newest first."""

    async def in_force(self) -> list[StoredCommand]:
        """Return commands that have not ended, oldest first."""

    async def undelivered(self, limit: int) -> list[StoredCommand]:
        """Return commands with an unacknowledged result, oldest first."""

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
        """Return journal entries, oldest first; with a limit, the newest of them."""

    async def kept(self, limit: int) -> list[Kept]:
        """Return stored records in the order of their last write: all active ones and the newest `limit` ended ones."""

    async def sample(self, samples: Sequence[Sample]) -> None:
        """Write telemetry. StoreError if it failed."""

    async def samples(self, evse: str, since: float, until: float, limit: int = 10_000) -> list[Sample]:
        """Return telemetry of an EVSE, oldest first."""

    async def prune(self, commands_before: float, entries_before: float, samples_before: float | None = None) -> int:
        """Delete older rows (Unix time) that are no longer in force; return their number."""


def change(record: ResultGiven | ResultDelivered | CommandEnded) -> dict[str, Any]:
    """Return the members of a StoredCommand that a record changes, with their new values."""
    match record:
        case ResultGiven():
            return {record.phase.value: record.result}
        case ResultDelivered():
            return {f"{Phase(record.phase).value}_delivered": True}
        case CommandEnded():
            return {"in_force": False, "ended": record.wall}
