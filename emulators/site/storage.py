"""Stationary storage: a battery pack, new or second-life, with its converter.

It follows a commanded power, or controls the exchange of the site with the grid to zero. + is charge.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from emulators.battery.pack import Battery
from emulators.charger.hardware.power_stage import Contactors, PowerStage, StageSpec

EFFICIENCY = ((0.0, 0.80), (0.02, 0.85), (0.05, 0.905), (0.1, 0.935), (0.2, 0.955), (0.5, 0.962), (1.0, 0.955))
STORAGE_STAGE = StageSpec(
    max_charge_w=10_000.0,
    max_discharge_w=10_000.0,
    max_current_a=60.0,
    min_voltage_v=40.0,
    max_voltage_v=800.0,
    min_power_w=50.0,
    standby_w=30.0,
    efficiency=EFFICIENCY,
    forming=True,
)

Policy = Literal["idle", "self_consumption", "standby"]
STANDBY_CHARGE_W = 500.0  # to keep a standby storage full


@dataclass(slots=True)
class Storage:
    """A storage system. `policy` "idle" follows commands only; "self_consumption" compensates the exchange with the
    grid; "standby" keeps the storage full to supply a protected board (an uninterruptible power supply)."""

    battery: Battery
    stage: PowerStage = field(default_factory=lambda: PowerStage(STORAGE_STAGE, step_s=1.0))
    policy: Policy = "idle"
    floor_pct: float = 10.0
    ceiling_pct: float = 95.0
    deadband_w: float = 100.0

    def __post_init__(self) -> None:
        self.stage.connect(self.battery)
        self.stage.contactors = Contactors.CLOSED

    @property
    def soc_pct(self) -> float:
        return self.battery.soc_pct

    def power_w(self, now: float) -> float:
        """Return the present power at the AC side."""
        return self.stage.reading(now).ac_power_w

    def command(self, power_w: float, now: float) -> None:
        """Set the power, within floor and ceiling."""
        if (power_w < 0 and self.soc_pct <= self.floor_pct) or (power_w > 0 and self.soc_pct >= self.ceiling_pct):
            power_w = 0.0
        if power_w != self.stage.setpoint_w:
            self.stage.set_point(power_w, now)

    def rest(self, now: float) -> None:
        """End the compensation of the exchange with the grid, in an island that another source forms: its converter has
        tripped with the grid, and its meter has nothing to compensate."""
        if self.policy == "self_consumption":
            self.command(0.0, now)

    def control(self, grid_w: float, now: float) -> None:
        """Apply the policy while on grid: reduce the exchange (+ is import), or keep the storage full. Each step."""
        if self.policy == "standby":
            self.command(min(STANDBY_CHARGE_W, self.stage.spec.max_charge_w), now)
            return
        if self.policy != "self_consumption":
            return
        target = self.stage.setpoint_w - grid_w * 0.7
        limit = self.stage.spec.max_charge_w
        if abs(grid_w) > self.deadband_w or abs(self.stage.setpoint_w) > limit:
            self.command(max(-limit, min(limit, target)), now)
        else:
            self.command(self.stage.setpoint_w, now)
