"""Energy balance of each deployed vehicle: energy discharged, energy to return, and when that is settled.

The balance refers to energy in the vehicle's battery, from its base to its departure. The way to the site counts too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.authority.soc_floors import METER_EFFICIENCY
from gateway.blue_switch.agreement import Agreement, GiveBack
from gateway.blue_switch.registry import ProvidedVehicle

SETTLED_WH = 200.0  # measuring error


@dataclass(frozen=True, slots=True)
class Deployment:
    """Stay of one vehicle at one site, in an outage.

    `discharged_wh` and `charged_wh` are differences of the meter's registers, `returned_wh` was charged afterwards.
    """

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

    def metered(self, discharged_wh: float, charged_wh: float, soc_pct: float | None) -> Deployment:
        """Apply the registers since arrival and the state of charge."""
        lowest, arrived = self.lowest_pct, self.arrived_pct
        if arrived is None and discharged_wh < SETTLED_WH and charged_wh < SETTLED_WH:
            arrived = soc_pct  # a vehicle often reports its state of charge a little after its arrival
        if soc_pct is not None:
            lowest = soc_pct if lowest is None else min(lowest, soc_pct)
        return replace(
            self,
            arrived_pct=arrived,
            discharged_wh=max(self.discharged_wh, discharged_wh),
            charged_wh=max(self.charged_wh, charged_wh),
            lowest_pct=lowest,
            left_pct=soc_pct if soc_pct is not None else self.left_pct,
        )

    def ended_at(self, wall: float, soc_pct: float | None) -> Deployment:
        """Apply the vehicle's departure."""
        return replace(self, left_at=wall, left_pct=soc_pct if soc_pct is not None else self.left_pct)

    def with_returned(self, wh: float, soc_pct: float | None) -> Deployment:
        """Apply energy charged at a meter (or paid for) afterwards; a reported state of charge takes precedence."""
        left = soc_pct
        if left is None and self.left_pct is not None:
            left = min(100.0, self.left_pct + 100 * wh * METER_EFFICIENCY / self.capacity_wh)
        return replace(self, returned_wh=self.returned_wh + wh, left_pct=left)

    @property
    def net_meter_wh(self) -> float:
        """Return the energy that the meter's registers have not shown as returned."""
        return max(0.0, self.discharged_wh - self.charged_wh - self.returned_wh)

    @property
    def floor_kept(self) -> bool | None:
        """Return whether the floor was respected (to half a percent), None without any state of charge."""
        if self.lowest_pct is None:
            return None
        return self.lowest_pct >= min(self.floor_pct, self.arrived_pct or 100.0) - 0.5


@dataclass(frozen=True, slots=True)
class EnergyToReturn:
    """Energy to return for a deployment, Wh: charged into the battery, or billed at the meter."""

    vehicle: str
    charge_wh: float
    bill_wh: float
    why: str

    @property
    def total_wh(self) -> float:
        """Sum of both."""
        return self.charge_wh + self.bill_wh

    @property
    def settled(self) -> bool:
        """Return whether nothing more than the measuring error remains."""
        return self.charge_wh <= SETTLED_WH and self.bill_wh <= SETTLED_WH


def return_level_pct(deployment: Deployment, agreement: Agreement) -> float | None:
    """Return the SoC up to which the agreement has the vehicle charged; None where it requires none or it is unknown.

    Where the SoC on arrival is unknown, it is the last one and what the meter counted since.
    """
    left_pct = deployment.left_pct
    match agreement.give_back:
        case GiveBack.TO_LEVEL:
            return agreement.return_pct
        case GiveBack.AS_ARRIVED if deployment.arrived_pct is not None:
            return deployment.arrived_pct + 100 * deployment.way_wh / deployment.capacity_wh
        case GiveBack.AS_ARRIVED if left_pct is not None:
            return left_pct + 100 * (deployment.net_meter_wh + deployment.way_wh) / deployment.capacity_wh
    return None


def energy_to_return(deployment: Deployment, car: ProvidedVehicle) -> EnergyToReturn:
    """Return the balance by the agreement's rule; without a state of charge the meter's registers count."""
    vehicle, agreement = deployment.vehicle, car.agreement
    match agreement.give_back:
        case GiveBack.GIFT:
            return EnergyToReturn(vehicle, 0.0, 0.0, "the agreement gives the energy away")
        case GiveBack.BILLED:
            return EnergyToReturn(vehicle, 0.0, deployment.net_meter_wh, "the agreement has it billed")
        case GiveBack.TO_LEVEL:
            missing_wh, why = deployment.net_meter_wh, f"to be brought back to {agreement.return_pct:.0f} %"
        case GiveBack.AS_ARRIVED:
            missing_wh = deployment.net_meter_wh + deployment.way_wh
            why = "to be brought back as it came, and the way here"
    level_pct = return_level_pct(deployment, agreement)
    if level_pct is not None and deployment.left_pct is not None:
        missing_wh = (level_pct - deployment.left_pct) / 100 * deployment.capacity_wh
    return EnergyToReturn(vehicle, max(0.0, missing_wh), 0.0, why)
