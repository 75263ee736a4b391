"""Transactions of all stations: reported in order, late, twice, out of order, or not at all.

A transaction is identified by its station and id. 2.x reports it in numbered events that may arrive hours late and in
any order (E04, E12, E13); 1.6 requests an id at the start and reports the end. This registry holds one consistent state
of each; it reports no events itself.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any
from zlib import crc32

MAX_TRANSACTIONS = 20_000  # ended ones, of all stations
LONGEST_TRANSACTION_S = 60 * 86_400  # ids grow by one a second or less
SET_BACK_AFTER = 2  # events with a lower seqNo in a row
MAX_EVENTS = 32  # recent events of one transaction by which a repetition is recognised
EPOCH_2020 = 1_577_836_800  # Unix time of 2020-01-01T00:00:00Z


@dataclass(slots=True)
class Transaction:
    """One transaction. Times are Unix time as reported by the station; energies in Wh, + both ways."""

    ref: str
    station: str
    id: str
    evse: int
    connector: int | None = None
    id_token: str | None = None
    started_at: float | None = None
    stopped_at: float | None = None
    stop_reason: str | None = None
    operation_mode: str | None = None
    charging_state: str | None = None
    meter_start_wh: float | None = None
    meter_start_out_wh: float | None = None
    last_message_at: float = 0.0  # Unix time
    presumed: bool = False  # ended by the gateway because its end seemed lost; a later message resumes it
    energy_charged_wh: float | None = None
    energy_discharged_wh: float | None = None
    reservation: int | None = None
    remote_start: int | None = None
    allowed: tuple[str, ...] = ()  # energy transfers permitted since its start (2.1 Q02)
    bidirectional: bool | None = None  # requested by the vehicle; None before its charging needs (2.1)
    started_mark: str | None = None  # 1.6: identifies a repeated StartTransaction
    start_received_at: float | None = None  # 2.x: Unix time
    announced: bool = False  # its start has been reported to the gateway
    number: int = 0  # order of arrival
    unsaved: bool = False  # its last change is not stored, and its message therefore not answered
    sequence: int = -1  # 2.x: highest seqNo
    behind: int = 0  # events in a row with a lower one
    seen: deque[int] = field(default_factory=lambda: deque(maxlen=MAX_EVENTS))

    @property
    def active(self) -> bool:
        """True until its end is known."""
        return self.stopped_at is None

    def has_token(self, token: str) -> bool:
        """Return True if it was started with that idToken, compared without case."""
        return self.id_token is not None and self.id_token.casefold() == token.casefold()

    def resume(self) -> None:
        """Continue a transaction whose end was only presumed."""
        if self.presumed:
            self.stopped_at, self.stop_reason, self.presumed, self.announced = None, None, False, False

    def in_order(self, sequence: int) -> bool:
        """Return True unless an event comes after later ones. A seqNo that stays lower has been set back."""
        if sequence >= self.sequence or self.behind >= SET_BACK_AFTER:
            self.sequence, self.behind = sequence, 0
            return True
        self.behind += 1
        return False

    def measured(self, charged_wh: float | None, discharged_wh: float | None, *, late: bool = False) -> None:
        """Record the registers of the meter; the first value of each is that of the start. A late one that is lower
        than the last one is ignored."""
        if charged_wh is not None:
            known = self.energy_charged_wh
            self.energy_charged_wh = max(charged_wh, known) if late and known is not None else charged_wh
            self.meter_start_wh = charged_wh if self.meter_start_wh is None else self.meter_start_wh
        if discharged_wh is not None:
            known = self.energy_discharged_wh
            self.energy_discharged_wh = max(discharged_wh, known) if late and known is not None else discharged_wh
            self.meter_start_out_wh = discharged_wh if self.meter_start_out_wh is None else self.meter_start_out_wh

    def repeats(self, mark: int) -> bool:
        """Return True if the event with this digest was processed before; it is recorded."""
        if mark in self.seen:
            return True
        self.seen.append(mark)
        return False

    @property
    def essentials(self) -> tuple[object, ...]:
        """Values that are stored before the message with them is answered; meter and state are reported again."""
        return (
            self.evse,
            self.connector,
            self.id_token,
            self.started_at,
            self.stopped_at,
            self.reservation,
            self.remote_start,
        )

    def as_row(self) -> dict[str, Any]:
        """Return the stored values."""
        row = dict(zip(_STORED_KEYS, _stored_values(self), strict=True))
        row["seen"] = list(self.seen)
        for name in _OMITTED:
            if row[name] is None:
                del row[name]
        return row

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Transaction:
        """Return the transaction of a stored row. Raises KeyError or TypeError for an invalid one."""
        known = {name: row[key] for name, key in zip(_STORED, _STORED_KEYS, strict=True) if key in row}
        known["allowed"] = tuple(known.get("allowed", ()))
        return cls(**known, seen=deque(row.get("seen", ()), maxlen=MAX_EVENTS))


def digest(*mark: object) -> int:
    """Return the digest of what identifies an event, which is the same after a restart."""
    return crc32(repr(mark).encode())


_VOLATILE = ("announced", "unsaved", "seen", "sequence", "behind")
_STORED = tuple(one.name for one in fields(Transaction) if one.name not in _VOLATILE)
_OMITTED = ("bidirectional", "start_received_at")  # where they are None
_STORED_NAMES = {"last_message_at": "heard_at"}  # fields whose stored name differs
_STORED_KEYS = tuple(_STORED_NAMES.get(name, name) for name in _STORED)
_stored_values = attrgetter(*_STORED)


class Transactions:
    """Registry of the transactions of all stations, in order of arrival."""

    def __init__(self) -> None:
        self._all: OrderedDict[tuple[str, str], Transaction] = OrderedDict()
        self._active: defaultdict[str, dict[int, Transaction]] = defaultdict(dict)  # by station and EVSE
        self._marks: dict[tuple[str, str], Transaction] = {}  # 1.6: by StartTransaction
        self.last_number = 0
        self.first_number: int | None = None  # 1.6: ids from here on are stored; 0 after a restart with the store
        self._count = 0

    def restore(self, transaction: Transaction) -> None:
        """Add a stored transaction; oldest first."""
        self._count = max(self._count, transaction.number)
        self._all[(transaction.station, transaction.id)] = transaction
        if transaction.started_mark is not None:
            self.mark(transaction, transaction.started_mark)
        if transaction.active:
            self._active[transaction.station][transaction.evse] = transaction
        self._remove_oldest()

    def next_number(self, wall: float) -> int:
        """Return a new id for a 1.6 transaction, larger than any before it, also than those before a restart: ids
        continue from the last stored one, and from the seconds since 2020, which no station can use up."""
        self.last_number = max(self.last_number + 1, int(wall) - EPOCH_2020)
        if self.first_number is None:
            self.first_number = self.last_number
        return self.last_number

    def restore_number(self, last: int) -> None:
        """Apply the stored last id: all ids that were given are known."""
        self.last_number, self.first_number = max(self.last_number, last), 0

    def mark(self, transaction: Transaction, mark: str) -> None:
        """Record what identifies a repetition of its start."""
        transaction.started_mark = mark
        self._marks[transaction.station, mark] = transaction

    def started(self, station: str, mark: str) -> Transaction | None:
        """Return the transaction whose start has that mark."""
        return self._marks.get((station, mark))

    def get(self, station: str, transaction: str) -> Transaction | None:
        """Return the transaction with that id."""
        return self._all.get((station, transaction))

    def by_ref(self, ref: str) -> Transaction | None:
        """Return the transaction with that reference, `<station>/<id>`."""
        station, _, transaction = ref.partition("/")
        return self.get(station, transaction)

    def open(self, station: str, transaction: str, evse: int) -> Transaction:
        """Return the transaction with that id, a new one if it is unknown."""
        known = self._all.get((station, transaction))
        if known is not None:
            return known
        self._count += 1
        new = Transaction(f"{station}/{transaction}", station, transaction, evse, number=self._count)
        self._all[(station, transaction)] = new
        self._remove_oldest()
        return new

    def open_unknown(self, station: str, transaction: str) -> Transaction:
        """Return the transaction with that id; one that is unknown, and has ended, is older than all others."""
        known = self._all.get((station, transaction))
        if known is not None:
            return known
        new = self._all[(station, transaction)] = Transaction(f"{station}/{transaction}", station, transaction, 0)
        self._all.move_to_end((station, transaction), last=False)
        return new

    def archive(self, transaction: Transaction) -> None:
        """Free the id of an ended transaction, which the station uses again, and keep the record under another one."""
        del self._all[(transaction.station, transaction.id)]
        self._deactivate(transaction)
        transaction.id = f"{transaction.id}@{transaction.number}"
        transaction.ref = f"{transaction.station}/{transaction.id}"
        self._all[(transaction.station, transaction.id)] = transaction

    def may_be_lost(self, number: int, wall: float) -> bool:
        """Return True for the id of a 1.6 transaction that this gateway may have given before its store was lost.

        0, -1 and the largest integers are what stations send without a transaction. An id of another station is none of
        this one, and no unknown id was given while the store is intact.
        """
        present = int(wall) - EPOCH_2020
        before = present + 1 if self.first_number is None else self.first_number
        if not max(0, present - LONGEST_TRANSACTION_S) < number < before:
            return False
        return all(known != str(number) for _, known in self._all)

    def activate(self, transaction: Transaction) -> Transaction | None:
        """Make it the active one of its EVSE; return another one that was active, whose end was lost."""
        at_station = self._active[transaction.station]
        before = at_station.get(transaction.evse)
        at_station[transaction.evse] = transaction
        return before if before is not None and before is not transaction and before.active else None

    def _deactivate(self, transaction: Transaction) -> None:
        if self._active[transaction.station].get(transaction.evse) is transaction:
            del self._active[transaction.station][transaction.evse]

    def move(self, transaction: Transaction, evse: int) -> None:
        """Assign it to another EVSE, where its start is to be reported."""
        self._deactivate(transaction)
        transaction.evse, transaction.announced = evse, False

    def active_at(self, station: str, evse: int) -> Transaction | None:
        """Return the active transaction of an EVSE."""
        found = self._active[station].get(evse) if station in self._active else None
        return found if found is not None and found.active else None

    def active_of(self, station: str) -> list[Transaction]:
        """Return the active transactions of a station."""
        return [t for t in self._active.get(station, {}).values() if t.active]

    def concurrent(self, token: str, besides: Transaction | None) -> bool:
        """Return True if the token is in another active transaction."""
        return any(
            t.active and t is not besides and t.has_token(token) for at in self._active.values() for t in at.values()
        )

    def of(self, station: str | None, token: str | None = None, active: bool | None = None) -> Iterator[Transaction]:
        """Yield the transactions of a station, or of all stations, newest first."""
        for t in reversed(self._all.values()):
            if station not in (None, t.station) or (active is not None and t.active is not active):
                continue
            if token is None or t.has_token(token):
                yield t

    def _remove_oldest(self) -> None:
        while len(self._all) > MAX_TRANSACTIONS:
            key, oldest = next(iter(self._all.items()))
            if oldest.active:
                self._all.move_to_end(key)  # active ones stay, the oldest ended one is removed
                key = next((k for k, t in self._all.items() if not t.active), key)
            removed = self._all.pop(key)
            if removed.started_mark is not None:
                self._marks.pop((removed.station, removed.started_mark), None)
