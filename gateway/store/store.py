"""Store of commands, results, journal and telemetry: the interface, and the implementation in memory.

`MemoryStore` is lost at the end of the process: for tests, the demo and emulation. `sql.py` stores in a database; both
pass the same tests.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import groupby
from statistics import fmean
from typing import Any, NamedTuple, Protocol

from gateway.model.journal import (
    CommandEnded,
    CommandOpened,
    Entry,
    Forgotten,
    Kept,
    Phase,
    Record,
    ResultDelivered,
    ResultGiven,
    StoredCommand,
)


class StoreError(Exception):
    """A store that failed: disk full, locked, unreachable. The text is for a person."""


class StoreFull(StoreError):
    """A store that cannot be written, with a disk that is full; it works again when there is space."""


class StoreOutdated(StoreError):
    """A database of an earlier version of the gateway, which has to be migrated first."""


class RecordRefused(StoreError):
    """Records that the store can never write: a duplicate id, a value out of range."""


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
        """Return commands that have not ended, in the order in which they were journalled."""

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

    async def samples(
        self, evse: str, since: float, until: float, limit: int = 10_000, every_s: float = 0.0
    ) -> list[Sample]:
        """Return telemetry of an EVSE, oldest first.

        With `every_s` one sample of each such period, with mean power and SoC and the highest energies.
        """

    async def prune(self, commands_before: float, entries_before: float, samples_before: float | None = None) -> int:
        """Delete older rows (Unix time) that are no longer in force; return their number."""


class MemoryStore:
    """Store with a bounded journal."""

    def __init__(self, max_entries: int = 100_000) -> None:
        self._commands: dict[str, StoredCommand] = {}
        self._entries: deque[Entry] = deque(maxlen=max_entries)
        self._kept: dict[tuple[str, str], Kept] = {}
        self._samples: deque[Sample] = deque(maxlen=max_entries)
        self._seq = 0

    async def open(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing to do: the contents stay until the object is deleted."""

    async def write(self, records: Sequence[Record]) -> None:
        """Write all records, or none."""
        for record in records:
            if isinstance(record, CommandOpened) and record.id in self._commands:
                raise RecordRefused(f"the id {record.id} is in the store already")
        for record in records:
            match record:
                case Entry():
                    self._seq += 1
                    self._entries.append(replace(record, seq=self._seq))
                case CommandOpened():
                    opened = {one.name: getattr(record, one.name) for one in fields(record)}
                    self._commands[record.id] = StoredCommand(**opened)
                case ResultGiven() | ResultDelivered() | CommandEnded():
                    if command := self._commands.get(record.command):
                        self._commands[record.command] = replace(command, **change(record))
                case Kept():
                    self._kept.pop((record.kind, record.key), None)
                    self._kept[record.kind, record.key] = record
                case Forgotten():
                    self._kept.pop((record.kind, record.key), None)

    async def find_command(self, command_id: str) -> StoredCommand | None:
        """Return a command by its id."""
        return self._commands.get(command_id)

    async def recent_commands(self, limit: int) -> list[StoredCommand]:
        """Return the newest commands, newest first."""
        return list(reversed(self._commands.values()))[:limit]

    async def in_force(self) -> list[StoredCommand]:
        """Return commands that have not ended."""
        return [command for command in self._commands.values() if command.in_force]

    async def undelivered(self, limit: int) -> list[StoredCommand]:
        """Return commands with an unacknowledged result."""
        waiting = [
            command
            for command in self._commands.values()
            if (command.first and not command.first_delivered) or (command.final and not command.final_delivered)
        ]
        return waiting[:limit]

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
        """Return the newest `limit` entries that match, oldest first."""
        found = [
            entry
            for entry in self._entries
            if (since is None or entry.wall >= since)
            and (until is None or entry.wall < until)
            and (evse is None or entry.evse == evse)
            and (command is None or entry.command == command)
            and (after_seq is None or (entry.seq or 0) > after_seq)
        ]
        return found[-limit:] if after_seq is None else found[:limit]

    async def kept(self, limit: int) -> list[Kept]:
        """Return all active records and the newest ended ones."""
        ended = [one for one in self._kept.values() if one.ended is not None]
        ended.sort(key=lambda one: one.ended or 0.0)
        left_out = {(one.kind, one.key) for one in ended[: max(0, len(ended) - limit)]}
        return sorted((o for k, o in self._kept.items() if k not in left_out), key=lambda one: one.wall)

    async def sample(self, samples: Sequence[Sample]) -> None:
        """Write telemetry."""
        self._samples.extend(samples)

    async def samples(
        self, evse: str, since: float, until: float, limit: int = 10_000, every_s: float = 0.0
    ) -> list[Sample]:
        """Return telemetry of an EVSE, oldest first."""
        found = [one for one in self._samples if one.evse == evse and since <= one.wall < until]
        if every_s:
            found.sort(key=lambda one: one.wall)
            found = [_mean(list(group)) for _, group in groupby(found, key=lambda one: one.wall // every_s)]
        return found[:limit]

    async def prune(self, commands_before: float, entries_before: float, samples_before: float | None = None) -> int:
        """Delete older rows that have ended; return their number."""
        old = [c.id for c in self._commands.values() if c.received < commands_before and not c.in_force]
        for command_id in old:
            del self._commands[command_id]
        kept = [entry for entry in self._entries if entry.wall >= entries_before]
        gone = len(self._entries) - len(kept) + len(old)
        self._entries.clear()
        self._entries.extend(kept)
        over = [key for key, one in self._kept.items() if one.ended is not None and one.ended < entries_before]
        for key in over:
            del self._kept[key]
        gone += len(over)
        if samples_before is not None:
            fresh = [one for one in self._samples if one.wall >= samples_before]
            gone += len(self._samples) - len(fresh)
            self._samples.clear()
            self._samples.extend(fresh)
        return gone


def _mean(samples: Sequence[Sample]) -> Sample:
    """Return samples of one period as one."""
    columns = [[value for value in column if value is not None] for column in zip(*samples, strict=True)][2:]
    power, soc, charged, discharged = columns
    means = (fmean(power) if power else None, fmean(soc) if soc else None)
    return Sample(samples[0].evse, samples[0].wall, *means, max(charged, default=None), max(discharged, default=None))


def change(record: ResultGiven | ResultDelivered | CommandEnded) -> dict[str, Any]:
    """Return the members of a StoredCommand that a record changes, with their new values."""
    match record:
        case ResultGiven():
            return {record.phase.value: record.result}
        case ResultDelivered():
            return {f"{Phase(record.phase).value}_delivered": True}
        case CommandEnded():
            return {"in_force": False, "ended": record.wall}
