"""Sessions of EVSEs that the gateway hosts, as records beside the transactions of charging stations.

A record has the energies between its start and its end, from the registers that the driver reports. It is stored when
it begins and ends, and in between at intervals; what was active when the gateway ended has its last stored values.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence

import msgspec

from gateway.model.event import Event, Metered, SessionEnded, SessionStarted
from gateway.model.journal import Kept
from gateway.model.message import rfc3339
from protocols.ports import Clock

log = logging.getLogger("v2x.drivers")

KIND = "hosted_session"
MOST = 5000  # records
WRITE_EVERY_S = 60.0
RESTARTED = "GatewayRestart"
Row = dict[str, str | float | None]


class SessionRecord(msgspec.Struct, forbid_unknown_fields=True):
    """One session. Times are Unix time, energies in Wh, + both ways."""

    evse: str
    id: str
    started_at: float
    vehicle: str | None = None
    stopped_at: float | None = None
    stop_reason: str | None = None
    charged_wh: float | None = None
    discharged_wh: float | None = None
    last_at: float = 0.0

    @property
    def ref(self) -> str:
        """Reference, unique among all transactions."""
        return f"{self.evse}/{self.id}"


class HostedSessions:
    """Records of all hosted EVSEs. `later` stores a record."""

    def __init__(self, evses: Collection[str], clock: Clock, later: Callable[[Kept], None]) -> None:
        self._evses, self._clock, self._later = frozenset(evses), clock, later
        self._all: OrderedDict[str, SessionRecord] = OrderedDict()  # oldest first
        self._active: dict[str, SessionRecord] = {}
        self._registers: dict[str, tuple[float | None, float | None]] = {}  # as reported last, by EVSE
        self._written: dict[str, float] = {}  # wall time, by EVSE

    def restore(self, kept: Sequence[Kept]) -> None:
        """Restore stored records; sessions that were active have ended with the gateway."""
        for one in kept:
            if one.kind != KIND:
                continue
            try:
                record = msgspec.json.decode(one.body, type=SessionRecord)
            except msgspec.MsgspecError as error:
                log.warning("the stored session %s cannot be read: %s", one.key, error)
                continue
            self._add(record)
            if record.stopped_at is None:
                self._end(record, record.last_at, RESTARTED)

    def observe(self, event: Event) -> None:
        """Process an event of a driver."""
        if not isinstance(event, SessionStarted | SessionEnded | Metered) or event.evse not in self._evses:
            return
        evse = event.evse
        wall = self._clock.wall()
        match event:
            case SessionStarted(session=session, vehicle=vehicle):
                self._started(evse, session, vehicle, wall)
            case SessionEnded(reason=reason) if evse in self._active:
                self._end(self._active[evse], wall, reason)
            case Metered():
                self._metered(evse, event, wall)

    def rows(self, evse: str | None, token: str | None, active: bool | None) -> Iterator[Row]:
        """Yield the records as the transactions of stations, newest first."""
        for one in reversed(self._all.values()):
            fits = token is None or (one.vehicle or "").casefold() == token.casefold()
            if fits and evse in (None, one.evse) and active in (None, one.stopped_at is None):
                yield _row(one)

    def row(self, ref: str) -> Row | None:
        """Return one record."""
        found = self._all.get(ref)
        return None if found is None else _row(found)

    def hosts(self, name: str) -> bool:
        """Return True for an EVSE that is hosted here."""
        return name in self._evses

    # parts

    def _started(self, evse: str, session: str, vehicle: str | None, wall: float) -> None:
        active = self._active.get(evse)
        if active is not None and active.id == session:
            active.vehicle = vehicle or active.vehicle
            return
        if active is not None:
            self._end(active, wall, "another session began")
        known = self._registers.get(evse, (None, None))
        record = SessionRecord(evse, session, wall, vehicle, last_at=wall)
        record.charged_wh, record.discharged_wh = (None if one is None else 0.0 for one in known)
        self._add(record)
        self._active[evse] = record
        self._write(record, wall)

    def _metered(self, evse: str, event: Metered, wall: float) -> None:
        before, now = self._registers.get(evse, (None, None)), (event.energy_charged_wh, event.energy_discharged_wh)
        self._registers[evse] = now
        record = self._active.get(evse)
        if record is None:
            return
        record.charged_wh = _grown(record.charged_wh, before[0], now[0])
        record.discharged_wh = _grown(record.discharged_wh, before[1], now[1])
        record.last_at = wall
        if wall - self._written.get(evse, 0.0) >= WRITE_EVERY_S:
            self._write(record, wall)

    def _end(self, record: SessionRecord, wall: float, reason: str) -> None:
        record.stopped_at, record.stop_reason = wall, reason
        if self._active.get(record.evse) is record:
            del self._active[record.evse]
        self._write(record, wall)

    def _add(self, record: SessionRecord) -> None:
        self._all[record.ref] = record
        while len(self._all) > MOST:
            self._all.popitem(last=False)

    def _write(self, record: SessionRecord, wall: float) -> None:
        self._written[record.evse] = wall
        self._later(Kept(KIND, record.ref, msgspec.json.encode(record).decode(), wall, record.stopped_at))


def _grown(total_wh: float | None, before_wh: float | None, now_wh: float | None) -> float | None:
    """Return the energy of a session after a reading; a register that begins anew adds nothing."""
    if now_wh is None:
        return total_wh
    return (total_wh or 0.0) + (max(0.0, now_wh - before_wh) if before_wh is not None else 0.0)


def _row(one: SessionRecord) -> Row:
    return {
        "ref": one.ref,
        "station": one.evse,
        "evse": one.evse,
        "transactionId": one.id,
        "idToken": one.vehicle,
        "evseId": None,
        "connectorId": None,
        "startedAt": rfc3339(one.started_at),
        "stoppedAt": None if one.stopped_at is None else rfc3339(one.stopped_at),
        "stopReason": one.stop_reason,
        "operationMode": None,
        "chargingState": None,
        "meterStart": None,
        "meterStop": None,
        "energy_charged_wh": one.charged_wh,
        "energy_discharged_wh": one.discharged_wh,
    }
