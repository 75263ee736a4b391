"""Persistence of the vehicle lending state, so that energy to return survives a restart.

One row for the current state (needs, calls, active deployments, last reported positions), one for each outage with its
deployments and its entries of the audit chain; rows that changed are written. A row that cannot be read is left out and
reported. The member names are those of the first databases.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, TypeAlias

import msgspec

from gateway.blue_switch.audit import Entry
from gateway.blue_switch.callout import SiteNeed, Trip
from gateway.blue_switch.coordinator import Coordinator
from gateway.blue_switch.handback import Deployment
from gateway.blue_switch.outages import Outage, SiteRecord
from gateway.blue_switch.registry import Status
from gateway.model.journal import Kept
from gateway.store.journal import Journal

log = logging.getLogger("v2x")

KIND = "blue_switch"
CURRENT = "desk"  # key of the row with the current state
MAX_PAYMENTS = 10_000

Row: TypeAlias = dict[str, Any]


class _CarRow(msgspec.Struct):
    vehicle: str
    place: str
    soc_pct: float
    status: Status
    seen_at: float


class _CurrentRow(msgspec.Struct):
    needs: list[SiteNeed]
    current: str | None
    loans: list[Row]
    calls: list[Row]
    cars: list[_CarRow]
    payments: set[str]
    entries: list[Entry]


class _OutageRow(msgspec.Struct):
    began: float
    ended: float | None
    records: list[SiteRecord]
    loans: list[Row]
    entries: list[Entry]


def changed(coordinator: Coordinator, since_seq: int) -> set[str]:
    """Return the outages that may have changed since an entry: the current one and those with later entries."""
    found = {coordinator.current.id} if coordinator.current is not None else set()
    for one in reversed(coordinator.audit.entries):
        if one.seq <= since_seq:
            break
        found.add(str(one.data.get("outage", "")))
    return found & set(coordinator.outages)


def rows(coordinator: Coordinator, outages: Iterable[str]) -> dict[str, tuple[str, float | None]]:
    """Return the row of the current state and those of these outages, by key: JSON, and end of the outage."""
    body: Row = {
        "needs": [asdict(one) for one in coordinator.needs.values()],
        "current": coordinator.current.id if coordinator.current is not None else None,
        "loans": [_deployment_row(one) for one in coordinator.deployments.values()],
        "calls": [_trip_row(one) for one in coordinator.calls.values()],
        "cars": [
            {"vehicle": one.vehicle, "place": one.place, "soc_pct": one.soc_pct, "status": one.status.value}
            | {"seen_at": one.seen_at}
            for one in coordinator.registry.cars.values()
            if one.seen_at > 0
        ],
        "payments": sorted(coordinator.payments)[-MAX_PAYMENTS:],
        "entries": [asdict(one) for one in coordinator.audit.entries if "outage" not in one.data],
    }
    found: dict[str, tuple[str, float | None]] = {CURRENT: (json.dumps(body), None)}
    for outage in (coordinator.outages[one] for one in outages):
        own = {
            "id": outage.id,
            "began": outage.began,
            "ended": outage.ended,
            "records": [asdict(one) for one in outage.records.values()],
            "loans": [_deployment_row(one) for one in outage.deployments],
            "entries": [asdict(one) for one in coordinator.audit.entries if one.data.get("outage") == outage.id],
        }
        found[outage.id] = (json.dumps(own), outage.ended)
    return found


def restore_rows(coordinator: Coordinator, kept: Mapping[str, str]) -> list[str]:
    """Restore stored rows into a new coordinator; return the keys of rows that cannot be read."""
    unreadable: list[str] = []
    entries: list[Entry] = []
    for key, body in sorted(kept.items(), key=lambda item: item[0] == CURRENT):  # it refers to an outage
        try:
            entries += (
                _restore_current(coordinator, body) if key == CURRENT else _restore_outage(coordinator, key, body)
            )
        except (ValueError, msgspec.MsgspecError):
            unreadable.append(key)
    coordinator.audit.entries = sorted(entries, key=lambda one: one.seq)
    if entries:  # entries older than the oldest stored outage were deleted
        coordinator.audit.start = (coordinator.audit.entries[0].seq, coordinator.audit.entries[0].before)
    return unreadable


def _restore_outage(coordinator: Coordinator, key: str, body: str) -> list[Entry]:
    row = msgspec.json.decode(body, type=_OutageRow)
    records = {one.site: one for one in row.records}
    coordinator.outages[key] = Outage(key, row.began, row.ended, records, [_deployment(one) for one in row.loans])
    return row.entries


def _restore_current(coordinator: Coordinator, body: str) -> list[Entry]:
    row = msgspec.json.decode(body, type=_CurrentRow)
    cars, atlas = coordinator.registry.cars, coordinator.atlas
    deployments, calls = [_deployment(one) for one in row.loans], [_trip(one) for one in row.calls]
    coordinator.current = coordinator.outages.get(row.current or "")
    if coordinator.current is not None:
        coordinator.needs = {one.site: one for one in row.needs if one.site in atlas}
    coordinator.deployments = {(one.site, one.vehicle): one for one in deployments if one.vehicle in cars}
    coordinator.calls = {one.vehicle: one for one in calls if one.vehicle in cars}
    coordinator.payments = row.payments
    for one in row.cars:
        car = cars.get(one.vehicle)
        if car is not None and one.place in atlas:
            cars[car.vehicle] = replace(
                car, place=one.place, soc_pct=one.soc_pct, status=one.status, seen_at=one.seen_at
            )
    return row.entries


def _deployment_row(deployment: Deployment) -> Row:
    row = asdict(deployment)
    row["paid_wh"] = row.pop("returned_wh")
    return row


def _deployment(row: Row) -> Deployment:
    return msgspec.convert({**row, "returned_wh": row.get("paid_wh", 0.0)}, Deployment)


def _trip_row(trip: Trip) -> Row:
    """Return a trip as JSON, which has no infinity."""
    return {key: None if value == math.inf else value for key, value in asdict(trip).items()}


def _trip(row: Row) -> Trip:
    return msgspec.convert({key: math.inf if value is None else value for key, value in row.items()}, Trip)


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
