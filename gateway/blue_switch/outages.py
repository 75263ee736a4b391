"""One outage in the books: when, which sites, which loans; and the report drawn from it.

An outage begins with the first site in need and ends with the last. Loans belong to the outage in which the car
arrived, however late it leaves or is given back what it is owed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.blue_switch.audit import Audit, SiteRecord, report
from gateway.blue_switch.handback import Loan, Owed, owed
from gateway.blue_switch.registry import Registry
from gateway.model.moment import rfc3339


@dataclass(slots=True)
class Outage:
    """Times are Unix time; `loans` are those that have ended."""

    id: str
    began: float
    ended: float | None = None
    records: dict[str, SiteRecord] = field(default_factory=dict)
    loans: list[Loan] = field(default_factory=list)

    def supplied(self, site: str, seconds: float, served_wh: float, critical_unserved_wh: float, dark: bool) -> None:
        """What a site got since it was last told."""
        record = self.records.get(site)
        if record is not None and record.ended is None:
            self.records[site] = replace(
                record,
                dark_s=record.dark_s + (seconds if dark else 0.0),
                served_wh=record.served_wh + served_wh,
                critical_unserved_wh=record.critical_unserved_wh + critical_unserved_wh,
            )

    def summary(self, registry: Registry, there: Sequence[Loan]) -> dict[str, Any]:
        """A line of the list of outages."""
        debts = self.debts(registry, there)
        return {
            "id": self.id,
            "began": rfc3339(self.began),
            "ended": None if self.ended is None else rfc3339(self.ended),
            "sites": sorted(self.records),
            "cars": len(debts),
            "given_wh": round(sum(loan.taken_wh for loan, _ in debts), 1),
            "owed_wh": round(sum(debt.charge_wh + debt.bill_wh for _, debt in debts), 1),
            "all_settled": all(debt.settled for _, debt in debts),
        }

    def report(self, registry: Registry, there: Sequence[Loan], chain: Audit) -> dict[str, Any]:
        """The audit report as JSON, with its own part of the chain."""
        own = [one for one in chain.entries if one.data.get("outage") == self.id]
        made = report(self.records.values(), self.debts(registry, there), own, chain)
        return {"id": self.id, "began": rfc3339(self.began)} | made

    def debts(self, registry: Registry, there: Sequence[Loan]) -> list[tuple[Loan, Owed]]:
        """Every loan of this outage, also of cars that are still there, and what is owed for it."""
        mine = [*self.loans, *(loan for loan in there if loan.outage == self.id)]
        return [(loan, owed(loan, registry.cars[loan.vehicle])) for loan in mine if loan.vehicle in registry.cars]
