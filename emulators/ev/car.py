"""A car at the plug: its pack, what it tells a charger about it, and what its owner wants.

Limits and energy requests are what ISO 15118-20 carries (dynamic control); CHAdeMO and -2 sessions use the same
numbers. The car speaks no protocol here: `ev/session.py` does. Profiles are files in `profiles/`, read by
`ev/profile.py`; when it comes and goes is `ev/driver.py`. + is into the car.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field

from emulators.battery.pack import GENERIC_63, Pack, PackSpec
from protocols.frozen import frozen

STEP_W = 100.0  # W: limits are told in steps, so that they change seldom
STEP_A = 0.5  # A
FLOOR_HYSTERESIS_PCT = 0.5  # a floor once reached holds until the charge is this much above it


@frozen
class Quirks:
    """What real cars do that the standard does not say; all off by default."""

    negative_discharge_limits: bool = False  # tells discharge limits with a minus sign
    late_frames_s: float = 0.0  # waits this much longer with each request
    ends_session_at_pct: float | None = None  # ends the session by itself when this SoC is reached in discharge
    no_discharge_below_c: float | None = None  # refuses to discharge with a pack colder than this, °C
    renegotiates_every_s: float | None = None  # asks for a renegotiation again and again
    silent_after_s: float | None = None  # stops speaking in mid-session, the link open
    frozen_soc: bool = False  # keeps telling the SoC it arrived with
    ignores_stop: bool = False  # does not follow the charger's wish to end


@frozen
class CarSpec:
    """A model of car, with its owner's settings. Powers and currents are magnitudes at the inlet."""

    name: str = "ccs-63"
    pack: PackSpec = GENERIC_63
    evcc_id: str = "WMIV1234567890ABCDEX"
    connector: str = "ccs2"  # ccs1 | ccs2 | chademo | type2
    protocols: tuple[str, ...] = ("iso20",)  # iso20 | iso2 | din | chademo, in the car's order of preference
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
    min_soc_pct: float = 20.0  # to drive home with
    max_soc_pct: float = 100.0
    v2x_min_soc_pct: float = 25.0  # the window in which the owner lends the pack
    v2x_max_soc_pct: float = 95.0
    aux_w: float = 150.0  # drawn from the pack while its contactors are closed: electronics, pumps
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


CCS_63 = CarSpec(source="a CCS car of the middle class with DC_BPT; figures are ours")


@frozen
class Limits:
    """What the car allows now; magnitudes ≥ 0. An SECC takes the discharge ones as absolute values anyway."""

    max_charge_w: float
    max_discharge_w: float
    max_charge_a: float
    max_discharge_a: float
    min_charge_w: float
    min_discharge_w: float
    min_voltage_v: float
    max_voltage_v: float


@frozen
class EnergyRequests:
    """Wh from now to each goal, negative when it is already passed (ISO 15118-20, dynamic control mode)."""

    target_wh: float
    minimum_wh: float
    maximum_wh: float
    v2x_minimum_wh: float
    v2x_maximum_wh: float


class Car:
    """A car that exists: a pack with a state of charge, and a way of meeting the current that passes its inlet.

    Where the power stage is in the same world, connect it to the car itself (it is a `Battery`) and set `coupled`: the
    stage then moves the charge and `carry` only looks. Where the charger is another process, `carry` each present
    current that the session tells.
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
        self.departure_at = departure_at  # s, monotonic time of the world; None: not planned
        self.contactors_closed = False
        self.coupled = False  # a power stage of this world moves the charge
        self.metal: Callable[[float], None] | None = None  # brings that stage up to a time
        self.energy_in_wh = 0.0  # at the inlet
        self.energy_out_wh = 0.0
        self.aux_wh = 0.0
        self.target_soc_pct = spec.target_soc_pct
        self.min_soc_pct = spec.min_soc_pct
        self.v2x_min_soc_pct = spec.v2x_min_soc_pct
        self.discharge_permitted = True  # the driver's "do not empty my car"
        self.violations: list[str] = []  # what a charger did to it that it must not
        self._arrived_soc_pct = self.pack.soc_pct
        self._at: float | None = None
        self._current_a = 0.0
        self._floored = False
        self._limits_of: tuple[object, ...] = ()
        self._energy_of: tuple[object, ...] = ()
        self._limits: Limits
        self._energy: EnergyRequests

    # What it tells

    @property
    def soc_pct(self) -> float:
        """True state of charge, 0..100 as shown to the driver."""
        return self.pack.soc_pct

    @property
    def told_soc_pct(self) -> float:
        """What it tells the charger; the quirk `frozen_soc` lives here."""
        return self._arrived_soc_pct if self.spec.quirks.frozen_soc else self.pack.soc_pct

    @property
    def voltage_v(self) -> float:
        """At the inlet, behind the car's contactors."""
        return self.pack.voltage_v

    def limits(self) -> Limits:
        """Of this moment: model, pack, temperature and the owner's window, in steps as cars tell them."""
        pack = self.pack
        key = (pack.charge, pack.temperature_c, self.v2x_min_soc_pct, self.discharge_permitted, self.spec)
        if key != self._limits_of:
            self._limits_of, self._limits = key, self._compute_limits()
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
            self._floored = True
        elif soc > floor + FLOOR_HYSTERESIS_PCT:
            self._floored = False
        return self._floored

    def energy(self) -> EnergyRequests:
        """The dynamic-mode energy requests, from the SoC it tells."""
        between, soc, spec = self.pack.energy_between_wh, self.told_soc_pct, self.spec
        key = (soc, self.pack.capacity_ah, self.target_soc_pct, self.min_soc_pct, self.v2x_min_soc_pct)
        if key == self._energy_of:
            return self._energy
        self._energy_of = key
        self._energy = EnergyRequests(
            target_wh=between(soc, self.target_soc_pct),
            minimum_wh=between(soc, self.min_soc_pct),
            maximum_wh=between(soc, spec.max_soc_pct),
            v2x_minimum_wh=between(soc, self.v2x_min_soc_pct),
            v2x_maximum_wh=between(soc, spec.v2x_max_soc_pct),
        )
        return self._energy

    def departure_in_s(self, now: float) -> float | None:
        """Seconds until the owner wants to leave; None when that is open."""
        return None if self.departure_at is None else max(0.0, self.departure_at - now)

    def wants_to_end(self) -> str | None:
        """Why the car would end the session by itself now; None when it would not."""
        stop = self.spec.quirks.ends_session_at_pct
        if stop is not None and self._current_a < 0 and self.pack.soc_pct <= stop:
            return f"ends at {stop:g} %"
        return None

    # What happens to it

    def carry(self, current_a: float, now: float) -> None:
        """The session says that this current flows from now on, + into the car."""
        self.advance(now)
        self._current_a = current_a

    def advance(self, now: float) -> None:
        """Let the last current have flowed until now; a power stage of this world does it by itself."""
        if self.coupled and self.metal is not None:
            self.metal(now)
        if not self.coupled and self._at is not None and now > self._at and self.contactors_closed:
            self.flow(self._current_a, now - self._at)
        self._at = now

    def drive(self, energy_wh: float, seconds: float = 1800.0) -> float:
        """Drive with this much energy from the pack; returns what the pack could give, Wh."""
        before = self.pack.energy_out_wh
        left = energy_wh
        while left > 1e-9 and self.pack.soc_pct > 0:
            step = min(left, energy_wh / 30)
            self.pack.flow(self.pack.current_for(-step * 3600 / (seconds / 30)), seconds / 30)
            left -= step
        self.pack.flow(0.0, 0.0)
        return self.pack.energy_out_wh - before

    def plug(self) -> None:
        """Arrive at a charger: the SoC it may keep telling is that of now."""
        self._arrived_soc_pct = self.pack.soc_pct
        self._at = None
        self._current_a = 0.0

    # As a battery for a power stage in the same world

    def max_charge_a(self) -> float:
        return self.pack.max_charge_a() if self.contactors_closed else 0.0

    def max_discharge_a(self) -> float:
        return self.pack.max_discharge_a() if self.contactors_closed else 0.0

    def current_for(self, power_w: float) -> float:
        return self.pack.current_for(power_w)

    def flow(self, current_a: float, seconds: float) -> float:
        """Let a current pass the inlet; the car's own electronics draw from the pack besides. Wh at the inlet."""
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

    def examine(self, current_a: float) -> str | None:
        """What is wrong with this current by the limits the car told, with a tolerance; also kept in `violations`."""
        limits = self.limits()
        allowed = limits.max_charge_a if current_a > 0 else limits.max_discharge_a
        if abs(current_a) <= allowed * 1.05 + 2.0:
            return None
        way = "into" if current_a > 0 else "out of"
        found = f"{abs(current_a):.1f} A {way} the car, allowed {allowed:.1f} A"
        self.violations.append(found)
        return found
