"""The desk's books as rows that outlive the process, and taken up again: what is owed is not forgotten in a blackout.

One row for what is going on (needs, calls, cars there, where cars were seen), one for each outage with its loans and
its part of the audit chain. A row that cannot be read is left out and named. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

import msgspec

from gateway.blue_switch.audit import Entry, SiteRecord
from gateway.blue_switch.callout import SiteNeed, Trip
from gateway.blue_switch.coordinator import Coordinator
from gateway.blue_switch.handback import Loan
from gateway.blue_switch.outages import Outage
from gateway.blue_switch.registry import Status
from gateway.blue_switch.views import plain

DESK = "desk"
PAYMENTS = 10_000


def changed(desk: Coordinator, since_seq: int) -> set[str]:
    """Outages that may have changed since an entry of the chain: those it speaks of since, and the one that goes on."""
    found = {desk.current.id} if desk.current is not None else set()
    for one in reversed(desk.audit.entries):
        if one.seq <= since_seq:
            break
        found.add(str(one.data.get("outage", "")))
    return found & set(desk.outages)


def rows(desk: Coordinator, outages: Iterable[str]) -> dict[str, tuple[str, float | None]]:
    """What goes on, and these outages. By key: the JSON to keep, and when it ended (None: it goes on)."""
    loose = [asdict(one) for one in desk.audit.entries if "outage" not in one.data]
    body: dict[str, Any] = {
        "needs": [asdict(one) for one in desk.needs.values()],
        "current": desk.current.id if desk.current is not None else None,
        "loans": [asdict(one) for one in desk.loans.values()],
        "calls": [plain(one) for one in desk.calls.values()],
        "cars": [
            {"vehicle": one.vehicle, "place": one.place, "soc_pct": one.soc_pct, "status": one.status.value}
            | {"seen_at": one.seen_at}
            for one in desk.registry.cars.values()
            if one.seen_at > 0
        ],
        "payments": sorted(desk.payments)[-PAYMENTS:],
        "entries": loose,
    }
    found: dict[str, tuple[str, float | None]] = {DESK: (json.dumps(body), None)}
    for outage in (desk.outages[one] for one in outages):
        own = {
            "id": outage.id,
            "began": outage.began,
            "ended": outage.ended,
            "records": [asdict(one) for one in outage.records.values()],
            "loans": [asdict(one) for one in outage.loans],
            "entries": [asdict(one) for one in desk.audit.entries if one.data.get("outage") == outage.id],
        }
        found[outage.id] = (json.dumps(own), outage.ended)
    return found


def restore(desk: Coordinator, kept: Mapping[str, str]) -> list[str]:
    """Take up what was kept, into a new desk; answers the keys that could not be read."""
    bad: list[str] = []
    entries: list[Entry] = []
    for key, body in kept.items():
        if key == DESK:
            continue
        try:
            told = json.loads(body)
            records = [msgspec.convert(one, SiteRecord) for one in told["records"]]
            loans = [msgspec.convert(one, Loan) for one in told["loans"]]
            entries += [msgspec.convert(one, Entry) for one in told["entries"]]
            desk.outages[key] = Outage(key, told["began"], told["ended"], {one.site: one for one in records}, loans)
        except (ValueError, KeyError, TypeError, msgspec.ValidationError):
            bad.append(key)
    if DESK in kept:
        try:
            entries += _take_up(desk, json.loads(kept[DESK]))
        except (ValueError, KeyError, TypeError, msgspec.ValidationError):
            bad.append(DESK)
    desk.audit.entries = sorted(entries, key=lambda one: one.seq)
    if entries:  # what is older than the oldest outage in the store is kept no longer
        desk.audit.start = (desk.audit.entries[0].seq, desk.audit.entries[0].before)
    return bad


def _take_up(desk: Coordinator, told: dict[str, Any]) -> list[Entry]:
    entries = [msgspec.convert(one, Entry) for one in told["entries"]]
    needs = [msgspec.convert(one, SiteNeed) for one in told["needs"]]
    loans = [msgspec.convert(one, Loan) for one in told["loans"]]
    inf = float("inf")
    calls = [
        msgspec.convert({key: inf if value is None else value for key, value in one.items()}, Trip)
        for one in told["calls"]
    ]
    desk.current = desk.outages.get(told["current"] or "")
    desk.needs = {one.site: one for one in needs if desk.atlas.knows(one.site) and desk.current is not None}
    cars = desk.registry.cars
    desk.loans = {(one.site, one.vehicle): one for one in loans if one.vehicle in cars}
    desk.calls = {one.vehicle: one for one in calls if one.vehicle in cars}
    desk.payments = set(told["payments"])
    for one in told["cars"]:
        car = cars.get(one["vehicle"])
        if car is not None and desk.atlas.knows(one["place"]):
            status = Status(one["status"])
            cars[car.vehicle] = replace(
                car, place=one["place"], soc_pct=one["soc_pct"], status=status, seen_at=one["seen_at"]
            )
    return entries
