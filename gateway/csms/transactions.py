"""Transactions as stations tell them: early, late, twice, out of order, or not at all.

A transaction is known by its station and id. 2.x tells its life in numbered events that may come hours later and in any
order (E04, E12, E13); 1.6 asks us for an id at the start and tells the end. The book keeps one truth of each and says
what is new in a message; it reports nothing itself.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any
from zlib import crc32

KEPT = 20_000  # ended transactions of all stations
SEEN = 32  # event numbers of one transaction that are remembered to know a repetition


@dataclass(slots=True)
class Transaction:
    """One transaction. Times are Unix time as the station told them; energies in Wh, + both ways."""

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
    heard_at: float = 0.0  # Unix time of the last message about it
    presumed: bool = False  # we ended it because its end seemed lost; it may still speak
    energy_charged_wh: float | None = None
    energy_discharged_wh: float | None = None
    reservation: int | None = None
    remote_start: int | None = None
    allowed: tuple[str, ...] = ()  # energy transfers permitted since it began (2.1 Q02)
    started_mark: str | None = None  # 1.6: by what a repeated start is known
    announced: bool = False  # whether the core was told that it began
    number: int = 0  # of the order in which the gateway heard of it
    unkept: bool = False  # what was last told of it is not on disk, and so was not answered
    seen: deque[int] = field(default_factory=lambda: deque(maxlen=SEEN))

    @property
    def active(self) -> bool:
        """Whether it has not ended, as far as we were told."""
        return self.stopped_at is None

    def revive(self) -> None:
        """It speaks although its end seemed lost."""
        if self.presumed:
            self.stopped_at, self.stop_reason, self.presumed, self.announced = None, None, False, False

    def repeats(self, *mark: object) -> bool:
        """Whether this event was told before; it is remembered from now on."""
        known = crc32(repr(mark).encode())  # the same after a restart, which hash() is not
        if known in self.seen:
            return True
        self.seen.append(known)
        return False

    @property
    def gist(self) -> tuple[object, ...]:
        """What of it must not be lost once it was told; the meter and the state are told again and again."""
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
        """All of it that outlives the process, as plain values."""
        row = {name: getattr(self, name) for name in _LASTING}
        row["seen"] = list(self.seen)
        return row

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Transaction:
        """The transaction of such a row; KeyError or TypeError where it is none."""
        known = {name: row[name] for name in _LASTING if name in row}
        known["allowed"] = tuple(known.get("allowed", ()))
        return cls(**known, seen=deque(row.get("seen", ()), maxlen=SEEN))


_LASTING = tuple(one.name for one in fields(Transaction) if one.name not in ("announced", "unkept", "seen"))


class Transactions:
    """The book of all transactions of all stations, in the order they were heard of."""

    def __init__(self) -> None:
        self._all: OrderedDict[tuple[str, str], Transaction] = OrderedDict()
        self._active: dict[tuple[str, int], Transaction] = {}
        self._marks: dict[tuple[str, str], Transaction] = {}  # 1.6 starts, to know a repetition
        self.last_number = 0
        self._heard_of = 0

    def restore(self, transaction: Transaction) -> None:
        """One of an earlier life of the gateway; oldest first."""
        self._heard_of = max(self._heard_of, transaction.number)
        self._all[(transaction.station, transaction.id)] = transaction
        if transaction.started_mark is not None:
            self.mark(transaction, transaction.started_mark)
        if transaction.active:
            self._active[(transaction.station, transaction.evse)] = transaction
        self._forget_old()

    def next_number(self, wall: float) -> int:
        """An id for a 1.6 transaction. Larger than any before it, also those given before a restart: ids count on from
        the last one kept, and from the seconds since 2020, which a station cannot use up."""
        self.last_number = max(self.last_number + 1, int(wall) - 1_577_836_800)
        return self.last_number

    def mark(self, transaction: Transaction, mark: str) -> None:
        """By what a repetition of its start is known."""
        transaction.started_mark = mark
        self._marks[transaction.station, mark] = transaction

    def started(self, station: str, mark: str) -> Transaction | None:
        """The transaction whose start bore that mark."""
        return self._marks.get((station, mark))

    def get(self, station: str, transaction: str) -> Transaction | None:
        """The transaction of that id."""
        return self._all.get((station, transaction))

    def by_ref(self, ref: str) -> Transaction | None:
        """The transaction of that reference, `<station>/<id>`."""
        station, _, transaction = ref.partition("/")
        return self.get(station, transaction)

    def open(self, station: str, transaction: str, evse: int) -> Transaction:
        """The transaction of that id, new where it is not known."""
        known = self._all.get((station, transaction))
        if known is not None:
            return known
        self._heard_of += 1
        new = Transaction(f"{station}/{transaction}", station, transaction, evse, number=self._heard_of)
        self._all[(station, transaction)] = new
        self._forget_old()
        return new

    def activate(self, transaction: Transaction) -> Transaction | None:
        """It is now the one on its EVSE; returns another that was, whose end was lost."""
        place = (transaction.station, transaction.evse)
        before = self._active.get(place)
        self._active[place] = transaction
        return before if before is not None and before is not transaction and before.active else None

    def move(self, transaction: Transaction, evse: int) -> None:
        """It runs on that EVSE; it is not announced there yet."""
        place = (transaction.station, transaction.evse)
        if self._active.get(place) is transaction:
            del self._active[place]
        transaction.evse, transaction.announced = evse, False

    def active_at(self, station: str, evse: int) -> Transaction | None:
        """The transaction that runs on an EVSE."""
        found = self._active.get((station, evse))
        return found if found is not None and found.active else None

    def active_of(self, station: str) -> list[Transaction]:
        """The transactions that run on a station."""
        return [t for (name, _), t in self._active.items() if name == station and t.active]

    def concurrent(self, token: str, besides: Transaction | None) -> bool:
        """Whether a token is in another running transaction."""
        folded = token.casefold()
        return any(
            t.active and t is not besides and t.id_token is not None and t.id_token.casefold() == folded
            for t in self._active.values()
        )

    def of(self, station: str, token: str | None = None, active: bool | None = None) -> Iterator[Transaction]:
        """Those of a station, newest first."""
        for t in reversed(self._all.values()):
            if t.station != station or (active is not None and t.active is not active):
                continue
            if token is None or (t.id_token is not None and t.id_token.casefold() == token.casefold()):
                yield t

    def _forget_old(self) -> None:
        while len(self._all) > KEPT:
            key, oldest = next(iter(self._all.items()))
            if oldest.active:
                self._all.move_to_end(key)  # what runs is kept, and the next oldest goes
                key = next((k for k, t in self._all.items() if not t.active), key)
            gone = self._all.pop(key)
            if gone.started_mark is not None:
                self._marks.pop((gone.station, gone.started_mark), None)
