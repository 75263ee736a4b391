"""Persistence of the vehicle lending state, so that energy to return survives a restart.

One row for the current state (needs, calls, active deployments, last reported positions), one for each outage with its
deployments and its entries of the audit chain; rows that changed are written. A row that cannot be read is left out and
reported. The member names are those of the first databases.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from gateway.blue_switch.audit import Entry
from gateway.blue_switch.coordinator import Coordinator, Sighting, StoredState
from gateway.blue_switch.handback import Deployment
from gateway.blue_switch.outages import Outage, SiteRecord
from gateway.blue_switch.trips import SiteNeed, Trip
from gateway.model.journal import Kept
from gateway.store.journal import Journal

log = logging.getLogger("v2x")

KIND = "blue_switch"
CURRENT = "desk"  # key of the row with the current state
MAX_PAYMENTS = 10_000


class _DeploymentRow(msgspec.Struct, rename={"discharged_wh": "taken_wh", "returned_wh": "paid_wh"}):
    vehicle: str
    site: str
    agreement: str
    arrived_at: float
    arrived_pct: float | None
    floor_pct: float
    capacity_wh: float
    way_wh: float = 0.0
    discharged_wh: float = 0.0
    charged_wh: float = 0.0
    lowest_pct: float | None = None
    left_at: float | None = None
    left_pct: float | None = None
    returned_wh: float = 0.0
    outage: str = ""


class _NeedRow(msgspec.Struct, omit_defaults=True):
    site: str
    draw_w: float
    stored_wh: float
    bays: int
    until: float
    connectors: tuple[str, ...]
    priority: int
    store_wh: float = 0.0  # not in the first databases
    store_w: float = 0.0


class _TripRow(msgspec.Struct):
    vehicle: str
    agreement: str
    site: str
    lane: int
    start: str
    call_by: float
    leave_at: float
    arrive_at: float
    supply_from: float
    supply_until: float
    brings_wh: float
    way_wh: float
    leaves_pct: float
    then: str = ""
    free_from: float | None = None  # JSON has no infinity
    gap_s: float = 0.0
    fills_until: float = 0.0  # not in the first databases


class _CurrentRow(msgspec.Struct):
    needs: list[_NeedRow]
    current: str | None
    loans: list[_DeploymentRow]
    calls: list[_TripRow]
    cars: list[Sighting]
    payments: list[str]
    entries: list[Entry]


class _OutageRow(msgspec.Struct):
    id: str
    began: float
    ended: float | None
    records: list[SiteRecord]
    loans: list[_DeploymentRow]
    entries: list[Entry]


def changed(coordinator: Coordinator, since_seq: int) -> set[str]:
    """Return the outages that may have changed since an entry: the current one and those with later entries."""
    found = {coordinator.current.id} if coordinator.current is not None else set()
    for one in reversed(coordinator.audit.entries):
        if one.seq <= since_seq:
            break
        if one.outage is not None:
            found.add(one.outage)
    return found & set(coordinator.outages)


def rows(coordinator: Coordinator, outages: Iterable[str]) -> dict[str, tuple[str, float | None]]:
    """Return the row of the current state and those of these outages, by key: JSON, and end of the outage."""
    state = _CurrentRow(
        needs=[msgspec.convert(one, _NeedRow, from_attributes=True) for one in coordinator.needs.values()],
        current=coordinator.current.id if coordinator.current is not None else None,
        loans=_deployment_rows(coordinator.deployments.values()),
        calls=[_trip_row(one) for one in coordinator.calls.values()],
        cars=[
            Sighting(one.vehicle, one.place, one.soc_pct, one.status, one.seen_at)
            for one in coordinator.registry.cars.values()
            if one.seen_at > 0
        ],
        payments=sorted(coordinator.payments)[-MAX_PAYMENTS:],
        entries=coordinator.audit.of_outage(None),
    )
    found: dict[str, tuple[str, float | None]] = {CURRENT: (msgspec.json.encode(state).decode(), None)}
    for outage in (coordinator.outages[one] for one in outages):
        row = _OutageRow(
            id=outage.id,
            began=outage.began,
            ended=outage.ended,
            records=list(outage.records.values()),
            loans=_deployment_rows(outage.deployments),
            entries=coordinator.audit.of_outage(outage.id),
        )
        found[outage.id] = (msgspec.json.encode(row).decode(), outage.ended)
    return found


def restore_rows(coordinator: Coordinator, kept: Mapping[str, str]) -> list[str]:
    """Restore stored rows into a new coordinator; return the keys of rows that cannot be read."""
    unreadable: list[str] = []
    entries: list[Entry] = []
    outages: dict[str, Outage] = {}
    state = StoredState()
    for key, body in kept.items():
        try:
            if key == CURRENT:
                current = msgspec.json.decode(body, type=_CurrentRow)
                state = _state(current)
                entries += current.entries
            else:
                row = msgspec.json.decode(body, type=_OutageRow)
                records = {one.site: one for one in row.records}
                outages[key] = Outage(key, row.began, row.ended, records, _deployments(row.loans))
                entries += row.entries
        except (ValueError, msgspec.MsgspecError):
            unreadable.append(key)
    coordinator.restore(outages, state, entries)
    return unreadable


def _state(row: _CurrentRow) -> StoredState:
    calls = [_trip(one) for one in row.calls]
    needs = [msgspec.convert(one, SiteNeed, from_attributes=True) for one in row.needs]
    return StoredState(row.current, needs, _deployments(row.loans), calls, row.payments, row.cars)


def _deployment_rows(deployments: Iterable[Deployment]) -> list[_DeploymentRow]:
    return [msgspec.convert(one, _DeploymentRow, from_attributes=True) for one in deployments]


def _deployments(rows: Iterable[_DeploymentRow]) -> list[Deployment]:
    return [msgspec.convert(one, Deployment, from_attributes=True) for one in rows]


def _trip_row(trip: Trip) -> _TripRow:
    row = msgspec.convert(trip, _TripRow, from_attributes=True)
    row.free_from = None if trip.free_from == math.inf else trip.free_from
    return row


def _trip(row: _TripRow) -> Trip:
    row.free_from = math.inf if row.free_from is None else row.free_from
    return msgspec.convert(row, Trip, from_attributes=True)


class BlueSwitchPersistence:
    """Persistence of one coordinator."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._written: dict[str, str] = {}
        self._seq = 0

    def keep(self, coordinator: Coordinator, wall: float) -> None:
        """Queue the rows that differ from what was written."""
        outages = changed(coordinator, self._seq)
        self._seq = coordinator.audit.last_seq
        for key, (body, ended) in rows(coordinator, outages).items():
            if self._written.get(key) != body:
                self._written[key] = body
                self._journal.later(Kept(KIND, key, body, wall, ended))

    def restore(self, coordinator: Coordinator, kept: Sequence[Kept]) -> None:
        """Restore the stored rows into a new coordinator; before vehicles are reported."""
        rows = {one.key: one.body for one in kept if one.kind == KIND}
        for key in restore_rows(coordinator, rows):
            log.warning("the Blue Switch row %s cannot be read and is left out", key)
        self._written = rows
        self._seq = coordinator.audit.last_seq
