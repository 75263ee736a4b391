"""Hardware of a DC charger: converter, contactors, insulation and meter, simulated in fixed time steps.

Set-points are at the AC side in watts, + into the vehicle; current and voltage are at the connector. Independent of
the protocol that controls it (SECC, OCPP station, CHAdeMO). Time is an argument; nothing sleeps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from math import inf

from emulators.battery.chemistry import Curve
from emulators.battery.pack import Battery
from emulators.charger.hardware.meter import Meter
from protocols.frozen import frozen
from protocols.quantities import clamp

SHORT_STEP_S = 1e-6  # shorter steps are rounding errors of clocks
LONG_STEP_S = 60.0  # longest step without power flow
FORMING_MARGIN = 0.97  # of the power as a grid-forming source: the voltage of the battery falls under load
FULL_PCT = 99.0  # from here on no power is absorbed as a grid-forming source
OUT_OF_REACH = 1.5  # of the ratings: limits of the vehicle from here on never bind
EFFICIENCY = (
    *((0.0, 0.40), (0.02, 0.60), (0.05, 0.74), (0.1, 0.83)),
    *((0.2, 0.89), (0.4, 0.93), (0.7, 0.945), (1.0, 0.945)),
)


@frozen
class StageSpec:
    """Ratings of a converter. Magnitudes at the AC side for power, at the connector for current and voltage.

    One-way efficiency over the fraction of the rated power; default: as measured at bidirectional chargers of 10 kW,
    60 to 85 % at 0.5 to 1 kW and 93 to 95 % near the rated power, standby consumption included.
    """

    max_charge_w: float = 10_000.0
    max_discharge_w: float = 10_000.0
    max_current_a: float = 30.0
    min_voltage_v: float = 150.0
    max_voltage_v: float = 500.0
    min_power_w: float = 200.0  # lower set-points give no power
    ramp_w_per_s: float = 5_000.0
    standby_w: float = 25.0  # always, from the AC side
    efficiency: tuple[tuple[float, float], ...] = EFFICIENCY
    forming: bool = False  # capable of grid-forming


class Contactors(StrEnum):
    """State of the contactors."""

    OPEN = "open"
    CLOSED = "closed"
    WELDED = "welded"  # fault: permanently closed


class Fault(StrEnum):
    """Fault that stops the converter."""

    INSULATION = "insulation"
    WELD = "weld"
    GRID = "grid"
    OVERVOLTAGE = "overvoltage"
    INTERNAL = "internal"


@dataclass(slots=True)
class Bounds:
    """Limits of the vehicle as the SECC received them; magnitudes."""

    max_charge_a: float = inf
    max_discharge_a: float = inf
    max_charge_w: float = inf
    max_discharge_w: float = inf


@frozen
class Reading:
    """Measurements of the converter, + into the vehicle."""

    ac_power_w: float
    dc_power_w: float
    current_a: float
    voltage_v: float
    loss_w: float


@dataclass(slots=True)
class PowerStage:
    """One converter with one connector.

    The simulation advances in whole steps of `step_s` from the last command, so that results do not depend on how
    often it is read. Commands (`set_point`, contactors, bounds) take effect at the time they are given.
    """

    spec: StageSpec = field(default_factory=StageSpec)
    meter: Meter = field(default_factory=Meter)
    step_s: float = 0.1
    battery: Battery | None = None
    contactors: Contactors = Contactors.OPEN
    bounds: Bounds = field(default_factory=Bounds)
    insulation_ohm: float = 1_000_000.0
    faults: set[Fault] = field(default_factory=set)
    supply_limit_w: float = inf  # share of a supply that several connectors use; magnitude
    grid_present: bool = True
    setpoint_w: float = 0.0  # as commanded
    grid_forming_ordered: bool | None = None  # by its station; None: no order required
    island_w: float | None = None  # grid-forming: power that the island requires, instead of the set-point
    respects_bounds: bool = True  # False is a fault: ignores the limits of the vehicle
    follows_setpoint: bool = True  # False is a fault: keeps its power
    blocked: bool = False  # by the grid protection of its station
    loss_wh: float = 0.0
    _ac_w: float = 0.0
    _dc_w: float = 0.0
    _current_a: float = 0.0
    _precharge_v: float = 0.0
    _at: float | None = None
    _efficiency: Curve | None = None
    _dc_cache: tuple[float, float] | None = None

    # commands

    def connect(self, battery: Battery) -> None:
        """Connect a vehicle; contactors stay open."""
        self.battery = battery

    def disconnect(self) -> None:
        """Disconnect the vehicle; the power stops at once."""
        self.battery = None
        self._stop()
        if self.contactors is not Contactors.WELDED:
            self.contactors = Contactors.OPEN

    def set_point(self, ac_w: float, now: float) -> None:
        """Set the power at the AC side, + into the vehicle, within ramp and limits. A repeated value has no effect."""
        if ac_w != self.setpoint_w:
            self._settle(now)
            self.setpoint_w = ac_w

    def limit(self, bounds: Bounds, now: float) -> None:
        """Set the limits of the vehicle. Limits that are unchanged, or out of reach, do not interrupt a step."""
        if bounds == self.bounds:
            return
        changed = self.in_reach(bounds) != self.in_reach(self.bounds)
        if changed:
            self._settle(now)
        self.bounds = bounds
        if changed and self._current_a and (amps := self._bounded(self._current_a)) != self._current_a:
            self._current_a, self._dc_w = amps, amps * self.voltage_v
            self._ac_w = self._ac_for(self._dc_w)

    def in_reach(self, bounds: Bounds) -> tuple[float, float, float, float]:
        """Return limits of the vehicle, infinite where the ratings bind in any case."""
        power_w = OUT_OF_REACH * max(self.spec.max_charge_w, self.spec.max_discharge_w)
        current_a = max(self.spec.max_current_a, power_w / max(self.voltage_v, 1.0))
        return (
            inf if bounds.max_charge_a >= current_a else bounds.max_charge_a,
            inf if bounds.max_discharge_a >= current_a else bounds.max_discharge_a,
            inf if bounds.max_charge_w >= power_w else bounds.max_charge_w,
            inf if bounds.max_discharge_w >= power_w else bounds.max_discharge_w,
        )

    def precharge(self, target_v: float) -> float:
        """Set the output voltage with open contactors; return the voltage reached."""
        self._precharge_v = clamp(target_v, 0.0, self.spec.max_voltage_v)
        return self.voltage_v

    def close(self, now: float) -> None:
        """Close the contactors. The caller ensures equal voltages."""
        self._settle(now)
        if self.contactors is Contactors.OPEN:
            self.contactors = Contactors.CLOSED

    def open(self, now: float) -> None:
        """Open the contactors (welded ones stay closed) and stop the power."""
        self._settle(now)
        if self.contactors is Contactors.CLOSED:
            self.contactors = Contactors.OPEN
        self._precharge_v = 0.0
        self._stop()

    def form(self, ac_w: float | None, now: float) -> None:
        """Form the grid with this power, + into the vehicle; None ends it. Raises ValueError if not capable."""
        if ac_w is not None and not self.spec.forming:
            raise ValueError("this converter is grid-following only")
        if ac_w != self.island_w:
            self._settle(now)
            begins, self.island_w = self.island_w is None, ac_w
            if begins:
                self._step(0.0)  # a grid-forming source supplies at once, not with the next step

    def interrupt(self, now: float) -> None:
        """Stop the power at once, without the ramp: a restart, or contactors that the vehicle opens under load."""
        self._settle(now)
        self._stop()

    def trip(self, fault: Fault, now: float) -> None:
        """Trip a protection: no power until `reset`."""
        self._settle(now)
        self.faults.add(fault)
        self._stop()

    def block(self, blocked: bool, now: float) -> None:
        """Block the converter, which stops the power at once, or release it. Grid-forming is not affected."""
        if blocked != self.blocked:
            self._settle(now)
            self.blocked = blocked
            if blocked and self.island_w is None:
                self._stop()

    def reset(self, fault: Fault, now: float) -> None:
        """Clear a fault."""
        self._settle(now)
        self.faults.discard(fault)

    # sensors

    @property
    def voltage_v(self) -> float:
        """Voltage at the connector: the vehicle's with closed contactors, otherwise the output."""
        if self.battery is not None and self.contactors is not Contactors.OPEN:
            return self.battery.voltage_v
        return self._precharge_v

    @property
    def current_a(self) -> float:
        """Current at the connector in the last step, + into the vehicle."""
        return self._current_a

    @property
    def insulation_good(self) -> bool:
        """True from 100 Ω per volt of the maximum output voltage (IEC 61851-23)."""
        return self.insulation_ohm >= 100 * self.spec.max_voltage_v and Fault.INSULATION not in self.faults

    @property
    def available_charge_w(self) -> float:
        """Available charging power at the AC side, magnitude, without the limits of the vehicle."""
        return 0.0 if self.faults or not self._supplied else min(self.spec.max_charge_w, self.supply_limit_w)

    @property
    def available_discharge_w(self) -> float:
        """Available discharging power at the AC side, magnitude, without the limits of the vehicle."""
        return 0.0 if self.faults or not self._supplied else min(self.spec.max_discharge_w, self.supply_limit_w)

    @property
    def deliverable_w(self) -> float:
        """Power that can be supplied as a grid-forming source, W at the AC side."""
        battery = self.battery
        if battery is None:
            return 0.0
        amps = min(battery.max_discharge_a(), self.spec.max_current_a, self.bounds.max_discharge_a)
        ac_w = -self._ac_for(-amps * battery.voltage_v * FORMING_MARGIN)
        return max(0.0, min(self.spec.max_discharge_w, ac_w))

    @property
    def absorbable_w(self) -> float:
        """Power that can be absorbed as a grid-forming source, W at the AC side."""
        battery = self.battery
        if battery is None or battery.soc_pct >= FULL_PCT:
            return 0.0
        amps = min(battery.max_charge_a(), self.spec.max_current_a, self.bounds.max_charge_a)
        return max(0.0, min(self.spec.max_charge_w, amps * battery.voltage_v))

    @property
    def _supplied(self) -> bool:
        return self.grid_present or self.spec.forming

    @property
    def wanted_a(self) -> float:
        """Current that the set-point requires within faults and supply, without ramp and limits of the vehicle."""
        battery, target_w = self.battery, self._target()
        return 0.0 if battery is None else battery.current_for(self._dc_for(target_w)) if target_w else 0.0

    def reading(self, now: float) -> Reading:
        """Return the measurements."""
        self.advance(now)
        loss = self._ac_w - self._dc_w
        return Reading(self._ac_w, self._dc_w, self._current_a, self.voltage_v, loss)

    # simulation

    @property
    def due_at(self) -> float:
        """Time from which on a step is to be simulated."""
        return -inf if self._at is None else self._at + self.step_s - 1e-9

    def advance(self, now: float) -> None:
        """Simulate whole steps up to now."""
        if self._at is None:
            self._at = now
        while now - self._at >= self.step_s - 1e-9:
            quiet = self._ac_w == 0.0 and self._target() == 0.0
            count = int((now - self._at + 1e-9) / self.step_s) if quiet else 1
            step = min(count * self.step_s, LONG_STEP_S) if count > 1 else self.step_s
            self._step(step)
            self._at += step

    def _settle(self, now: float) -> None:
        """Simulate exactly up to now, before a command."""
        self.advance(now)
        if self._at is not None and now - self._at > SHORT_STEP_S:
            self._step(now - self._at)
            self._at = now

    def _target(self) -> float:
        """Return the target of the AC power: the set-point within faults, supply and contactors."""
        if self.battery is None or self.contactors is Contactors.OPEN:
            return 0.0
        if self.blocked and self.island_w is None:
            return 0.0
        target_w = self.setpoint_w if self.follows_setpoint else self._ac_w
        if self.island_w is not None:
            target_w = self.island_w
        target_w = clamp(target_w, -self.available_discharge_w, self.available_charge_w)
        return target_w if abs(target_w) >= self.spec.min_power_w or self.island_w is not None else 0.0

    def _step(self, seconds: float) -> None:
        hours = seconds / 3600
        target = self._target()
        reach = inf if self.island_w is not None else self.spec.ramp_w_per_s * seconds  # grid-forming: at once
        ac = clamp(target, self._ac_w - reach, self._ac_w + reach)
        if self.battery is None or self.contactors is Contactors.OPEN:
            ac = 0.0
        dc = self._dc_for(ac)
        energy = 0.0
        if self.battery is not None:
            amps = self._bounded(self.battery.current_for(dc)) if dc else 0.0
            energy = self.battery.flow(amps, seconds)
            self._current_a = amps
            if dc and hours > 0:
                dc = energy / hours
                ac = self._ac_for(dc)
        self._ac_w, self._dc_w = ac, dc
        drawn = ac if ac else (self.spec.standby_w if self._supplied else 0.0)
        self.loss_wh += (drawn - dc) * hours
        self.meter.add(drawn * hours, seconds)

    def _bounded(self, amps: float) -> float:
        battery, bounds, spec = self.battery, self.bounds, self.spec
        assert battery is not None
        volts = battery.voltage_v
        if not spec.min_voltage_v <= volts <= spec.max_voltage_v:
            return 0.0
        into = min(spec.max_current_a, battery.max_charge_a())
        out = min(spec.max_current_a, battery.max_discharge_a())
        if self.respects_bounds:
            into = min(into, bounds.max_charge_a, bounds.max_charge_w / volts)
            out = min(out, bounds.max_discharge_a, bounds.max_discharge_w / volts)
        return clamp(amps, -out, into)

    def _stop(self) -> None:
        self._ac_w = self._dc_w = self._current_a = 0.0

    # losses: standby consumption is part of the AC power, the rest passes through the converter

    def _eta(self, dc_w: float) -> float:
        if self._efficiency is None:
            self._efficiency = Curve(self.spec.efficiency)
        return self._efficiency(abs(dc_w) / max(self.spec.max_charge_w, self.spec.max_discharge_w))

    def _ac_for(self, dc_w: float) -> float:
        if dc_w == 0:
            return 0.0
        through = dc_w / self._eta(dc_w) if dc_w > 0 else dc_w * self._eta(dc_w)
        return through + self.spec.standby_w

    def _dc_for(self, ac_w: float) -> float:
        if ac_w == 0:
            return 0.0
        through = ac_w - self.spec.standby_w
        if ac_w > 0 > through:
            return 0.0
        if (cached := self._dc_cache) is not None and cached[0] == ac_w:
            return cached[1]
        dc = through
        for _ in range(6):
            dc = through * self._eta(dc) if through > 0 else through / self._eta(dc)
        self._dc_cache = (ac_w, dc)
        return dc
