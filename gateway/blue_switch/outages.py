"""One outage: its period, sites and deployments, and the audit report of it as JSON and Markdown.

An outage begins with the first site in need and ends with the last. A deployment belongs to the outage in which the
vehicle arrived, also when it ends or is settled later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.blue_switch.audit import GENESIS, Audit, first_broken
from gateway.blue_switch.handback import Deployment, EnergyToReturn, energy_to_return
from gateway.blue_switch.registry import VehicleRegistry
from gateway.model.foreign_text import markdown
from gateway.model.message import rfc3339


@dataclass(frozen=True, slots=True)
class SiteRecord:
    """Supply of one site in an outage: period, time without supply, energy served and not served (Wh)."""

    site: str
    began: float
    ended: float | None
    dark_s: float = 0.0
    served_wh: float = 0.0
    critical_unserved_wh: float = 0.0


@dataclass(slots=True)
class Outage:
    """Times are Unix time; `deployments` are those that have ended."""

    id: str
    began: float
    ended: float | None = None
    records: dict[str, SiteRecord] = field(default_factory=dict)
    deployments: list[Deployment] = field(default_factory=list)

    def supplied(
        self, site: str, seconds: float, served_wh: float, critical_unserved_wh: float, unsupplied: bool
    ) -> None:
        """Add the supply of a site since the last call."""
        record = self.records.get(site)
        if record is not None and record.ended is None:
            self.records[site] = replace(
                record,
                dark_s=record.dark_s + (seconds if unsupplied else 0.0),
                served_wh=record.served_wh + served_wh,
                critical_unserved_wh=record.critical_unserved_wh + critical_unserved_wh,
            )

    def summary(self, registry: VehicleRegistry, active: Sequence[Deployment]) -> dict[str, Any]:
        """Return the entry in the list of outages."""
        balances = self.balances(registry, active)
        return {
            "id": self.id,
            "began": rfc3339(self.began),
            "ended": None if self.ended is None else rfc3339(self.ended),
            "sites": sorted(self.records),
            "cars": len(balances),
            "given_wh": round(sum(deployment.discharged_wh for deployment, _ in balances), 1),
            "owed_wh": round(sum(balance.total_wh for _, balance in balances), 1),
            "all_settled": all(balance.settled for _, balance in balances),
        }

    def report(self, registry: VehicleRegistry, active: Sequence[Deployment], chain: Audit) -> dict[str, Any]:
        """Return the audit report as JSON, with the outage's entries of the chain."""
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
            for one in self.records.values()
        ]
        pairs = self.balances(registry, active)
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
                "given_wh": round(one.discharged_wh, 1),
                "charged_wh": round(one.charged_wh, 1),
                "owed_wh": round(balance.total_wh, 1),
                "owed_because": balance.why,
                "settled": balance.settled,
            }
            for one, balance in pairs
        ]
        broken = first_broken(chain.entries, chain.start)
        return {
            "id": self.id,
            "began": rfc3339(self.began),
            "sites": places,
            "cars": cars,
            "given_wh": round(sum(round(one.discharged_wh, 1) for one, _ in pairs), 1),
            "floors_kept": all(one.floor_kept is not False for one, _ in pairs),
            "all_settled": all(balance.settled for _, balance in pairs),
            "entries": [one.as_json() for one in chain.of_outage(self.id)],
            "chain": {"whole": broken is None, "last": chain.entries[-1].hash if chain.entries else GENESIS},
        }

    def balances(
        self, registry: VehicleRegistry, active: Sequence[Deployment]
    ) -> list[tuple[Deployment, EnergyToReturn]]:
        """Return every deployment of this outage, the active ones included, with its energy to return."""
        own = [*self.deployments, *(one for one in active if one.outage == self.id)]
        cars = registry.cars
        return [(one, energy_to_return(one, cars[one.vehicle])) for one in own if one.vehicle in cars]


def report_markdown(made: Mapping[str, Any]) -> str:
    """Return the report of an outage as Markdown."""
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
        lines.append(
            f"| {markdown(one['site'])} | {one['began']} | {ended} | {one['dark_s']} | {one['critical_unserved_wh']} |"
        )
    lines += [
        "",
        "## Vehicles",
        "",
        "| vehicle | site | arrived | left | discharged, kWh | lowest, % | floor, % | to return, kWh |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in made["cars"]:
        lowest = "unknown" if one["lowest_pct"] is None else f"{one['lowest_pct']:.1f}"
        vehicle, site, left = markdown(one["vehicle"]), markdown(one["site"]), one["left"] or "at the site"
        lines.append(
            f"| {vehicle} | {site} | {one['arrived']} | {left} "
            f"| {one['given_wh'] / 1000:.1f} | {lowest} | {one['floor_pct']:.1f} | {one['owed_wh'] / 1000:.1f} |"
        )
    lines += ["", "## Events", ""]
    lines += [f"{one['seq']}. {one['at']} {markdown(one['text'])}" for one in made["entries"]]
    state = "complete and unaltered" if made["chain"]["whole"] else "BROKEN"
    lines += ["", f"The chain of entries is {state}; its last hash is `{made['chain']['last']}`.", ""]
    return "\n".join(lines)
