"""Giving back: what each car gave, what it is owed, and when that is settled.

The books are kept in energy at the car's battery: what it had when it left its base, what it has when it goes. The way
here and home counts too, for nobody lends a car to have it back empty.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.blue_switch.agreement import GiveBack
from gateway.blue_switch.registry import ETA, LentCar

SETTLED_WH = 200.0  # less than this is measuring error


@dataclass(frozen=True, slots=True)
class Loan:
    """One car's stay at one site, in the books of an outage.

    Energies in Wh: `taken_wh`, `charged_wh` at the meter (registers' differences).
    """

    vehicle: str
    site: str
    agreement: str
    arrived_at: float
    arrived_pct: float | None
    floor_pct: float
    capacity_wh: float
    way_wh: float = 0.0
    taken_wh: float = 0.0
    charged_wh: float = 0.0
    lowest_pct: float | None = None
    left_at: float | None = None
    left_pct: float | None = None
    paid_wh: float = 0.0
    outage: str = ""

    def metered(self, taken_wh: float, charged_wh: float, soc_pct: float | None) -> Loan:
        """The registers since arrival, and the state of charge."""
        lowest, came = self.lowest_pct, self.arrived_pct
        if came is None and taken_wh < SETTLED_WH and charged_wh < SETTLED_WH:
            came = soc_pct  # a car often tells its state of charge a little after it has come
        if soc_pct is not None:
            lowest = soc_pct if lowest is None else min(lowest, soc_pct)
        return replace(
            self,
            arrived_pct=came,
            taken_wh=max(self.taken_wh, taken_wh),
            charged_wh=max(self.charged_wh, charged_wh),
            lowest_pct=lowest,
            left_pct=soc_pct if soc_pct is not None else self.left_pct,
        )

    def gone(self, wall: float, soc_pct: float | None) -> Loan:
        """The car has left."""
        return replace(self, left_at=wall, left_pct=soc_pct if soc_pct is not None else self.left_pct)

    def given_back(self, wh: float, soc_pct: float | None) -> Loan:
        """Energy charged at a meter (or paid for) after it left; its own state of charge tells more than our sum."""
        left = soc_pct
        if left is None and self.left_pct is not None:
            left = min(100.0, self.left_pct + 100 * wh * ETA / self.capacity_wh)
        return replace(self, paid_wh=self.paid_wh + wh, left_pct=left)

    @property
    def floor_kept(self) -> bool | None:
        """Whether the floor held (to half a percent), None where the car never told its state of charge."""
        return (
            None if self.lowest_pct is None else self.lowest_pct >= min(self.floor_pct, self.arrived_pct or 100.0) - 0.5
        )


@dataclass(frozen=True, slots=True)
class Owed:
    """What is still owed for a loan, in Wh in the battery, or to be billed at the meter."""

    vehicle: str
    charge_wh: float
    bill_wh: float
    why: str

    @property
    def settled(self) -> bool:
        return self.charge_wh <= SETTLED_WH and self.bill_wh <= SETTLED_WH


def owed(loan: Loan, car: LentCar) -> Owed:
    """By the agreement's way of giving back. Without a state of charge the meter's registers are taken."""
    net_meter_wh = max(0.0, loan.taken_wh - loan.charged_wh - loan.paid_wh)
    kind = car.agreement.give_back
    if kind is GiveBack.GIFT:
        return Owed(loan.vehicle, 0.0, 0.0, "the agreement gives the energy away")
    if kind is GiveBack.BILLED:
        return Owed(loan.vehicle, 0.0, net_meter_wh, "the agreement has it billed")
    if kind is GiveBack.TO_LEVEL:
        if loan.left_pct is not None:
            missing = (car.agreement.return_pct - loan.left_pct) / 100 * loan.capacity_wh
        else:
            missing = net_meter_wh
        return Owed(loan.vehicle, max(0.0, missing), 0.0, f"to be brought back to {car.agreement.return_pct:.0f} %")
    if loan.left_pct is not None and loan.arrived_pct is not None:
        missing = (loan.arrived_pct - loan.left_pct) / 100 * loan.capacity_wh + loan.way_wh
    else:
        missing = net_meter_wh + loan.way_wh
    return Owed(loan.vehicle, max(0.0, missing), 0.0, "to be brought back as it came, and the way here")
