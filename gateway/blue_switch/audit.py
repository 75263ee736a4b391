"""Audit chain of vehicle lending, and the report of an outage.

Each entry carries the hash of the one before it (SHA-256 over its canonical JSON), so the last hash, kept elsewhere,
proves that no earlier entry was added, removed or altered.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from gateway.blue_switch.handback import Deployment, EnergyToReturn
from gateway.model.moment import rfc3339

GENESIS = "0" * 64
Start: TypeAlias = tuple[int, str]  # number of the oldest stored entry, and the hash before it
Scalar: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `wall` is Unix time, `before` the hash of the entry before."""

    seq: int
    wall: float
    kind: str
    subject: str
    text: str
    data: dict[str, Scalar]
    before: str
    hash: str

    def as_json(self) -> dict[str, Any]:
        """Return the entry as published."""
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

    @property
    def last_seq(self) -> int:
        """Number of the newest entry, 0 without any."""
        return self.entries[-1].seq if self.entries else 0

    def add(self, wall: float, kind: str, subject: str, text: str, **data: Scalar) -> Entry:
        """Append an entry."""
        before = self.entries[-1].hash if self.entries else self.start[1]
        seq = self.entries[-1].seq + 1 if self.entries else self.start[0]
        plain = json.loads(json.dumps(data, sort_keys=True, allow_nan=False))
        digest = _hash(seq, wall, kind, subject, text, plain, before)
        entry = Entry(seq, wall, kind, subject, text, plain, before, digest)
        self.entries.append(entry)
        return entry


def first_broken(entries: Sequence[Entry], start: Start = (1, GENESIS)) -> int | None:
    """Return the index of the first entry that does not fit the chain, None if all do; `start` is where it begins."""
    first, before = start
    for index, one in enumerate(entries):
        fits = one.hash == _hash(one.seq, one.wall, one.kind, one.subject, one.text, one.data, one.before)
        if not fits or one.before != before or one.seq != first + index:
            return index
        before = one.hash
    return None


def _hash(seq: int, wall: float, kind: str, subject: str, text: str, data: Mapping[str, Scalar], before: str) -> str:
    canonical = json.dumps([seq, wall, kind, subject, text, data, before], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class SiteRecord:
    """Supply of one site in an outage: period, time without supply, energy served and not served (Wh)."""

    site: str
    began: float
    ended: float | None
    dark_s: float = 0.0
    served_wh: float = 0.0
    critical_unserved_wh: float = 0.0


def report(
    sites: Iterable[SiteRecord],
    deployments: Iterable[tuple[Deployment, EnergyToReturn]],
    own: Sequence[Entry],
    chain: Audit,
) -> dict[str, Any]:
    """Return the report of an outage as JSON. `own` are its entries of the chain."""
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
    pairs = list(deployments)
    cars = [
        {
            "vehicle": one.vehicle,
            "agreement": one.agreement,
            "site": one.site,
            "arrived": rfc3339(one.arrived_at),
            "left": None if one.left_at is None else rfc3339(one.left_at),
            "arrived_pct": one.arrived_pct,
            "left_pct": one.left_pct,
            "lowest_pct": one.lowest_pct,
            "floor_pct": round(one.floor_pct, 1),
            "floor_kept": one.floor_kept,
            "given_wh": round(one.taken_wh, 1),
            "charged_wh": round(one.charged_wh, 1),
            "owed_wh": round(balance.total_wh, 1),
            "owed_because": balance.why,
            "settled": balance.settled,
        }
        for one, balance in pairs
    ]
    broken = first_broken(chain.entries, chain.start)
    return {
        "sites": places,
        "cars": cars,
        "given_wh": round(sum(round(one.taken_wh, 1) for one, _ in pairs), 1),
        "floors_kept": all(one.floor_kept is not False for one, _ in pairs),
        "all_settled": all(balance.settled for _, balance in pairs),
        "entries": [one.as_json() for one in own],
        "chain": {"whole": broken is None, "last": chain.entries[-1].hash if chain.entries else GENESIS},
    }


def report_markdown(made: Mapping[str, Any]) -> str:
    """Return the same report as Markdown."""
    lines = [
        "# Report of an outage",
        "",
        "## Sites",
        "",
        "| site | began | ended | without supply, s | critical load not served, Wh |",
        "|---|---|---|---|---|",
    ]
    for one in made["sites"]:
        ended = one["ended"] or "ongoing"
        lines.append(f"| {one['site']} | {one['began']} | {ended} | {one['dark_s']} | {one['critical_unserved_wh']} |")
    lines += [
        "",
        "## Vehicles",
        "",
        "| vehicle | site | arrived | left | discharged, kWh | lowest, % | floor, % | to return, kWh |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in made["cars"]:
        lowest = "unknown" if one["lowest_pct"] is None else f"{one['lowest_pct']:.1f}"
        lines.append(
            f"| {one['vehicle']} | {one['site']} | {one['arrived']} | {one['left'] or 'at the site'} "
            f"| {one['given_wh'] / 1000:.1f} | {lowest} | {one['floor_pct']:.1f} | {one['owed_wh'] / 1000:.1f} |"
        )
    lines += ["", "## Events", ""]
    lines += [f"{one['seq']}. {one['at']} {one['text']}" for one in made["entries"]]
    state = "complete and unaltered" if made["chain"]["whole"] else "BROKEN"
    lines += ["", f"The chain of entries is {state}; its last hash is `{made['chain']['last']}`.", ""]
    return "\n".join(lines)
