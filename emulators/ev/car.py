"""Emulated vehicle: battery pack, the limits and energy requests that it reports to a charger, settings of its owner.

Limits and energy requests are those of ISO 15118-20 (dynamic control); CHAdeMO and -2 sessions use the same values. The
protocol is in `ev/session.py`, the profiles are files in `profiles/`, visits are in `ev/driver.py`. + is charge.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from emulators.battery.pack import GENERIC_63, Pack, PackSpec
from protocols.iso15118.iso20.limits import Limits
from protocols.iso15118.iso20.setpoint import EnergyRequests

STEP_W = 100.0  # W: limits are reported in steps, so that they change seldom
STEP_A = 0.5  # A
TOLERANCE, TOLERANCE_A = 0.05, 2.0  # of a current above its limit
FLOOR_HYSTERESIS_PCT = 0.5  # discharge resumes when the SoC is this much above a floor that was reached


@dataclass(frozen=True, slots=True)
class Quirks:
    """Deviations of real vehicles from the standard; all off by default."""

    negative_discharge_limits: bool = False  # reports discharge limits with a minus sign
    late_frames_s: float = 0.0  # delay of each request
    ends_session_at_pct: float | None = None  # ends the session when discharge reaches this SoC
    no_discharge_below_c: float | None = None  # no discharge with a pack temperature below this, °C
    renegotiates_every_s: float | None = None  # requests renegotiation periodically
    silent_after_s: float | None = None  # sends no more messages after this time, with an open connection
    frozen_soc: bool = False  # reports the SoC of its arrival
    ignores_stop: bool = False  # ignores a stop notification of the charger


@dataclass(frozen=True, slots=True)
class CarSpec:
    """Vehicle model and settings of its owner. Powers and currents are magnitudes at the inlet."""

    name: str = "ccs-63"
    pack: PackSpec = GENERIC_63
    evcc_id: str = "WMIV1234567890ABCDEX"
    connector: str = "ccs2"  # ccs1 | ccs2 | chademo | type2
    protocols: tuple[str, ...] = (
        "iso20",
    )  # iso20 | iso2 | din | chademo, in order of preference; basic: duty cycle only
    services: tuple[str, ...] = ("dc_bpt", "dc")
    max_charge_w: float = 100_000.0
    max_discharge_w: float = 20_000.0
    max_charge_a: float = 250.0
    max_discharge_a: float = 60.0
    min_charge_w: float = 300.0
    min_discharge_w: float = 300.0
    min_voltage_v: float = 270.0
    max_voltage_v: float = 420.0
    target_soc_pct: float = 80.0
    min_soc_pct: float = 20.0  # for the trip home
    max_soc_pct: float = 100.0
    v2x_min_soc_pct: float = 25.0  # V2X window permitted by the owner
    v2x_max_soc_pct: float = 95.0
    aux_w: float = 150.0  # auxiliary consumption while contactors are closed
    loop_s: float = 0.25  # between two charge-loop requests
    quirks: Quirks = field(default_factory=Quirks)
    source: str = ""

    def __post_init__(self) -> None:
        order = (0, self.min_soc_pct, self.v2x_min_soc_pct, self.v2x_max_soc_pct, self.max_soc_pct, 100)
        if list(order) != sorted(order) or not self.min_soc_pct <= self.target_soc_pct <= self.max_soc_pct:
            raise ValueError(
                f"{self.name}: SoC settings must rise: 0 ≤ min ≤ v2x_min ≤ v2x_max ≤ max ≤ 100 with the target "
                f"between min and max, not {order} with target {self.target_soc_pct}"
            )


CCS_63 = CarSpec(source="a mid-size CCS car with DC_BPT; our estimates")


class Car:
    """One vehicle: a pack with a state of charge and the current at its inlet.

    With a power stage in the same process, connect the stage to the car (a `Battery`) and `couple` the car: the stage
    then moves the charge. With a charger in another process, `set_current` to each present current of the session.
    """

    def __init__(
        self,
        spec: CarSpec = CCS_63,
        soc_pct: float = 80.0,
        *,
        pack: Pack | None = None,
        name: str | None = None,
        departure_at: float | None = None,
        ambient_c: float = 20.0,
    ) -> None:
        self.spec = spec
        self.name = name or spec.name
        self.pack = pack or Pack(spec.pack, soc_pct, temperature_c=ambient_c, ambient_c=ambient_c)
        self.departure_at = departure_at  # s, monotonic time; None: unknown
        self.contactors_closed = False
        self.energy_in_wh = 0.0  # at the inlet
        self.energy_out_wh = 0.0
        self.aux_wh = 0.0
        self.target_soc_pct = spec.target_soc_pct
        self.min_soc_pct = spec.min_soc_pct
        self.v2x_min_soc_pct = spec.v2x_min_soc_pct
        self.discharge_permitted = True  # setting of the driver
        self.violations: list[str] = []  # of its limits by the charger, each when it began
        self._arrived_soc_pct = self.pack.soc_pct
        self._at: float | None = None
        self._current_a = 0.0
        self._advance_stage: Callable[[float], None] | None = None
        self._floor_reached = False
        self._checked_limits: Limits | None = None  # those of the last current that was checked
        self._violated = False
        self._limits_key: tuple[object, ...] = ()
        self._capacity: tuple[float, float] = (-1.0, 0.0)  # Ah of the pack, Wh between 0 and 100 %
        self._energy_key: tuple[object, ...] = ()
        self._limits: Limits
        self._energy: EnergyRequests

    # Reported values

    @property
    def soc_pct(self) -> float:
        """True state of charge, 0..100 as displayed."""
        return self.pack.soc_pct

    @property
    def reported_soc_pct(self) -> float:
        """State of charge as reported to the charger, with the quirk `frozen_soc`."""
        return self._arrived_soc_pct if self.spec.quirks.frozen_soc else self.pack.soc_pct

    @property
    def voltage_v(self) -> float:
        """Voltage of the pack, behind the contactors."""
        return self.pack.voltage_v

    @property
    def capacity_wh(self) -> float:
        """Energy at rest between the displayed 0 and 100 %."""
        pack_ah = self.pack.capacity_ah
        if self._capacity[0] != pack_ah:
            self._capacity = pack_ah, self.pack.energy_between_wh(0.0, 100.0)
        return self._capacity[1]

    def limits(self) -> Limits:
        """Return the present limits by model, pack, temperature and V2X window, in reporting steps."""
        pack = self.pack
        key = (pack.charge, pack.temperature_c, self.v2x_min_soc_pct, self.discharge_permitted, self.spec)
        if key != self._limits_key:
            self._limits_key, self._limits = key, self._compute_limits()
        return self._limits

    def _compute_limits(self) -> Limits:
        spec, pack, quirks = self.spec, self.pack, self.spec.quirks
        charge_a = min(spec.max_charge_a, pack.max_charge_a())
        discharge_a = min(spec.max_discharge_a, pack.max_discharge_a())
        if pack.soc_pct >= spec.max_soc_pct:
            charge_a = 0.0
        cold = quirks.no_discharge_below_c is not None and pack.temperature_c < quirks.no_discharge_below_c
        if cold or not self.discharge_permitted or self._below_floor():
            discharge_a = 0.0
        charge_a, discharge_a = (amps // STEP_A * STEP_A for amps in (charge_a, discharge_a))
        volts = pack.rest_v
        charge_w = min(spec.max_charge_w, charge_a * volts) // STEP_W * STEP_W
        discharge_w = min(spec.max_discharge_w, discharge_a * volts) // STEP_W * STEP_W
        return Limits(
            max_charge_w=charge_w,
            max_discharge_w=discharge_w,
            max_charge_a=charge_a,
            max_discharge_a=discharge_a,
            min_charge_w=min(spec.min_charge_w, charge_w),
            min_discharge_w=min(spec.min_discharge_w, discharge_w),
            min_voltage_v=spec.min_voltage_v,
            max_voltage_v=spec.max_voltage_v,
        )

    def _below_floor(self) -> bool:
        soc, floor = self.pack.soc_pct, self.v2x_min_soc_pct
        if soc <= floor + 1e-9:
            self._floor_reached = True
        elif soc > floor + FLOOR_HYSTERESIS_PCT:
            self._floor_reached = False
        return self._floor_reached

    def energy(self) -> EnergyRequests:
        """Return the energy requests of dynamic control mode, by the reported SoC."""
        soc, spec = self.reported_soc_pct, self.spec
        key = (soc, self.pack.capacity_ah, self.target_soc_pct, self.min_soc_pct, self.v2x_min_soc_pct)
        if key == self._energy_key:
            return self._energy
        self._energy_key = key
        levels = (self.target_soc_pct, self.min_soc_pct, spec.max_soc_pct, self.v2x_min_soc_pct, spec.v2x_max_soc_pct)
        target, minimum, maximum, minimum_v2x, maximum_v2x = self.pack.energies_to_wh(soc, levels)
        self._energy = EnergyRequests(
            target_wh=target,
            minimum_wh=minimum,
            maximum_wh=maximum,
            minimum_v2x_wh=minimum_v2x,
            maximum_v2x_wh=maximum_v2x,
        )
        return self._energy

    def departure_in_s(self, now: float) -> float | None:
        """Return the seconds to the planned departure; None without one."""
        return None if self.departure_at is None else max(0.0, self.departure_at - now)

    def session_end_reason(self) -> str | None:
        """Return why the vehicle would end the session now; None if it would not."""
        stop = self.spec.quirks.ends_session_at_pct
        if stop is not None and self._current_a < 0 and self.pack.soc_pct <= stop:
            return f"ends at {stop:g} %"
        return None

    # Energy flow

    def couple(self, advance_stage: Callable[[float], None]) -> None:
        """Let a power stage in the same process move the charge; the function advances it to a time."""
        self._advance_stage = advance_stage

    def decouple(self) -> None:
        """End the coupling with a power stage."""
        self._advance_stage = None

    def set_current(self, current_a: float, now: float) -> None:
        """Set the current that flows from now on, + is charge."""
        self.advance(now)
        self._current_a = current_a

    def advance(self, now: float) -> None:
        """Account the present current up to now; if coupled, the power stage does."""
        if self._advance_stage is not None:
            self._advance_stage(now)
        elif self._at is not None and now > self._at and self.contactors_closed:
            self.flow(self._current_a, now - self._at)
        self._at = now

    def drive(self, energy_wh: float, seconds: float = 1800.0) -> float:
        """Consume energy for driving; return the energy that the pack supplied, Wh."""
        before = self.pack.energy_out_wh
        remaining = energy_wh
        while remaining > 1e-9 and self.pack.soc_pct > 0:
            step = min(remaining, energy_wh / 30)
            self.pack.flow(self.pack.current_for(-step * 3600 / (seconds / 30)), seconds / 30)
            remaining -= step
        self.pack.flow(0.0, 0.0)
        return self.pack.energy_out_wh - before

    def plug(self) -> None:
        """Begin a stay at a charger."""
        self._arrived_soc_pct = self.pack.soc_pct
        self._at = self._checked_limits = None
        self._current_a, self._violated = 0.0, False

    # `Battery` of a power stage in the same process

    def max_charge_a(self) -> float:
        return self.pack.max_charge_a() if self.contactors_closed else 0.0

    def max_discharge_a(self) -> float:
        return self.pack.max_discharge_a() if self.contactors_closed else 0.0

    def current_for(self, power_w: float) -> float:
        return self.pack.current_for(power_w)

    def flow(self, current_a: float, seconds: float) -> float:
        """Apply a current at the inlet, besides the auxiliary consumption; return the energy at the inlet, Wh."""
        self._current_a = current_a
        if not self.contactors_closed:
            self.pack.flow(0.0, seconds)
            return 0.0
        aux_a = self.spec.aux_w / self.pack.rest_v if self.pack.charge > 0 else 0.0
        energy = self.pack.flow(current_a - aux_a, seconds)
        aux = self.spec.aux_w * seconds / 3600 if aux_a else 0.0
        self.aux_wh += aux
        inlet = energy + aux
        if inlet >= 0 and current_a > 0:
            self.energy_in_wh += inlet
        elif current_a < 0:
            self.energy_out_wh -= inlet
        else:
            inlet = 0.0
        return inlet

    def check_current(self, current_a: float) -> None:
        """Record in `violations` that the charger's current begins to exceed the reported limits, with a tolerance.

        Limits may change between a request and its response: the higher one of this and of the previous check applies.
        """
        limits = self.limits()
        before, self._checked_limits = self._checked_limits or limits, limits
        if current_a > 0:
            direction, allowed = "charge", max(limits.max_charge_a, before.max_charge_a)
        else:
            direction, allowed = "discharge", max(limits.max_discharge_a, before.max_discharge_a)
        began, self._violated = self._violated, abs(current_a) > allowed * (1 + TOLERANCE) + TOLERANCE_A
        if self._violated and not began:
            self.violations.append(f"{abs(current_a):.1f} A {direction} current, limit {allowed:.1f} A")
