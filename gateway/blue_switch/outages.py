"""One outage: its period, sites and deployments, and the report of it.

An outage begins with the first site in need and ends with the last. A deployment belongs to the outage in which the
vehicle arrived, also when it ends or is settled later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.blue_switch.audit import Audit, SiteRecord, report
from gateway.blue_switch.handback import Deployment, EnergyToReturn, energy_to_return
from gateway.blue_switch.registry import VehicleRegistry
from gateway.model.moment import rfc3339


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
            "given_wh": round(sum(deployment.taken_wh for deployment, _ in balances), 1),
            "owed_wh": round(sum(balance.total_wh for _, balance in balances), 1),
            "all_settled": all(balance.settled for _, balance in balances),
        }

    def report(self, registry: VehicleRegistry, active: Sequence[Deployment], chain: Audit) -> dict[str, Any]:
        """Return the audit report as JSON, with the outage's entries of the chain."""
        own = [one for one in chain.entries if one.data.get("outage") == self.id]
        made = report(self.records.values(), self.balances(registry, active), own, chain)
        return {"id": self.id, "began": rfc3339(self.began)} | made

    def balances(
        self, registry: VehicleRegistry, active: Sequence[Deployment]
    ) -> list[tuple[Deployment, EnergyToReturn]]:
        """Return every deployment of this outage, the active ones included, with its energy to return."""
        own = [*self.deployments, *(one for one in active if one.outage == self.id)]
        cars = registry.cars
        return [(one, energy_to_return(one, cars[one.vehicle])) for one in own if one.vehicle in cars]
