"""Cars with round numbers, and the shares that they get."""

from __future__ import annotations

from typing import Any

from gateway.energy.dispatch import share, share_command
from gateway.energy.resource import Resource

WALL = 1_800_000_000.0
PERFECT: dict[str, Any] = {"charge_efficiency": 1.0, "discharge_efficiency": 1.0}


def car(name: str = "A", **more: Any) -> Resource:
    """Car of 40 kWh at 50 %, without losses: 20 kWh to either end, 6 kW each way."""
    base: dict[str, Any] = {"max_charge_w": 6000.0, "max_discharge_w": 6000.0, "soc_pct": 50.0, "capacity_wh": 40_000.0}
    return Resource(name, **(base | PERFECT | more))


def powers(target_w: float, *fleet: Resource) -> list[float]:
    return [*share(target_w, fleet, WALL).power_w.values()]


def parts(total_w: float, *fleet: Resource) -> list[float]:
    return [*share_command(total_w, fleet).values()]
