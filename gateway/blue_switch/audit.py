"""The audit: a chain of entries that shows any later change, and the report of an outage drawn from it.

Each entry carries the hash of the one before it (SHA-256 over its canonical JSON). Whoever keeps the last hash, on
paper if need be, can later prove that nothing was added, removed or altered before it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.blue_switch.handback import Loan, Owed
from gateway.model.moment import rfc3339

GENESIS = "0" * 64
Start = tuple[int, str]  # number of the oldest entry that is kept, and the hash before it


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the audit. `wall` is Unix time."""

    seq: int
    wall: float
    kind: str
    subject: str
    text: str
    data: dict[str, Any]
    before: str
    hash: str

    def as_json(self) -> dict[str, Any]:
        return {
            "seq": self.seq,
            "at": rfc3339(self.wall),
            "kind": self.kind,
            "subject": self.subject,
            "text": self.text,
            "data": self.data,
            "before": self.before,
            "hash": self.hash,
        }


@dataclass(slots=True)
class Audit:
    """An append-only chain."""

    entries: list[Entry] = field(default_factory=list)
    start: Start = (1, GENESIS)

    def add(self, wall: float, kind: str, subject: str, text: str, **data: Any) -> Entry:
        """One more line; `data` must be JSON."""
        before = self.entries[-1].hash if self.entries else self.start[1]
        seq = self.entries[-1].seq + 1 if self.entries else self.start[0]
        plain = json.loads(json.dumps(data, sort_keys=True, allow_nan=False))
        entry = Entry(
            seq, wall, kind, subject, text, plain, before, _hash(seq, wall, kind, subject, text, plain, before)
        )
        self.entries.append(entry)
        return entry


def first_broken(entries: Sequence[Entry], start: Start = (1, GENESIS)) -> int | None:
    """The index of the first entry that does not fit the chain, None if all do; `start` is where it begins."""
    first, before = start
    for index, one in enumerate(entries):
        fits = one.hash == _hash(one.seq, one.wall, one.kind, one.subject, one.text, one.data, one.before)
        if not fits or one.before != before or one.seq != first + index:
            return index
        before = one.hash
    return None


def _hash(seq: int, wall: float, kind: str, subject: str, text: str, data: dict[str, Any], before: str) -> str:
    canonical = json.dumps([seq, wall, kind, subject, text, data, before], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class SiteRecord:
    """What a site went through: when, how long in the dark, what was and was not supplied (Wh)."""

    site: str
    began: float
    ended: float | None
    dark_s: float = 0.0
    served_wh: float = 0.0
    critical_unserved_wh: float = 0.0


def report(
    sites: Iterable[SiteRecord], loans: Iterable[tuple[Loan, Owed]], own: Sequence[Entry], chain: Audit
) -> dict[str, Any]:
    """The report of an outage as JSON; `report_markdown` is the same for people. `own` are its entries of the chain."""
    places = [
        {
            "site": one.site,
            "began": rfc3339(one.began),
            "ended": None if one.ended is None else rfc3339(one.ended),
            "hours": None if one.ended is None else round((one.ended - one.began) / 3600, 2),
            "dark_s": round(one.dark_s, 1),
            "served_wh": round(one.served_wh, 1),
            "critical_unserved_wh": round(one.critical_unserved_wh, 1),
        }
        for one in sites
    ]
    cars = [
        {
            "vehicle": loan.vehicle,
            "agreement": loan.agreement,
            "site": loan.site,
            "arrived": rfc3339(loan.arrived_at),
            "left": None if loan.left_at is None else rfc3339(loan.left_at),
            "arrived_pct": loan.arrived_pct,
            "left_pct": loan.left_pct,
            "lowest_pct": loan.lowest_pct,
            "floor_pct": round(loan.floor_pct, 1),
            "floor_kept": loan.floor_kept,
            "given_wh": round(loan.taken_wh, 1),
            "charged_wh": round(loan.charged_wh, 1),
            "owed_wh": round(debt.charge_wh + debt.bill_wh, 1),
            "owed_because": debt.why,
            "settled": debt.settled,
        }
        for loan, debt in loans
    ]
    broken = first_broken(chain.entries, chain.start)
    return {
        "sites": places,
        "cars": cars,
        "given_wh": round(sum(float(str(car["given_wh"])) for car in cars), 1),
        "floors_kept": all(car["floor_kept"] is not False for car in cars),
        "all_settled": all(bool(car["settled"]) for car in cars),
        "entries": [one.as_json() for one in own],
        "chain": {"whole": broken is None, "last": chain.entries[-1].hash if chain.entries else GENESIS},
    }


def report_markdown(made: dict[str, Any]) -> str:
    """The report for people."""
    lines = [
        "# Report of an outage",
        "",
        "## Sites",
        "",
        "| site | began | ended | dark, s | critical load not served, Wh |",
    ]
    lines.append("|---|---|---|---|---|")
    for one in made["sites"]:
        ended = one["ended"] or "goes on"
        lines.append(f"| {one['site']} | {one['began']} | {ended} | {one['dark_s']} | {one['critical_unserved_wh']} |")
    lines += ["", "## Cars", "", "| car | site | arrived | left | gave, kWh | lowest, % | floor, % | still owed, kWh |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for one in made["cars"]:
        lowest = "unknown" if one["lowest_pct"] is None else f"{one['lowest_pct']:.1f}"
        lines.append(
            f"| {one['vehicle']} | {one['site']} | {one['arrived']} | {one['left'] or 'is there'} "
            f"| {one['given_wh'] / 1000:.1f} | {lowest} | {one['floor_pct']:.1f} | {one['owed_wh'] / 1000:.1f} |"
        )
    lines += ["", "## What happened", ""]
    lines += [f"{one['seq']}. {one['at']} {one['text']}" for one in made["entries"]]
    state = "whole" if made["chain"]["whole"] else "BROKEN"
    lines += ["", f"The chain of entries is {state}; its last hash is `{made['chain']['last']}`.", ""]
    return "\n".join(lines)
