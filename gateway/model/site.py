"""The site: its configured limits, the inputs of the facility, and what is in force for all its EVSEs.

An input without recent messages is stale, a state of its own and never zero: `Inputs.fresh` returns None for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, TypeAlias, TypeVar

from pydantic import Field

from gateway.model.battery import ASSUMED_CAPACITY_WH
from gateway.model.command import Energy, Magnitude, Percent, Signed, SiteMode
from gateway.model.grid_meter import CERTAIN_FLOW_W, GridMeter
from gateway.model.grid_report import GridReport, Interconnections
from gateway.model.message import Moment, ReceivedMessage
from protocols.frozen import frozen

Hertz = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]
Volt = Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=64)]


class InputKind(StrEnum):
    """Kinds of inputs of the facility."""

    GRID = "grid"
    LOAD = "load"
    PV = "pv"
    STORAGE = "storage"
    METER = "meter"
    SWITCH = "switch"
    PRICE = "price"
    FORECAST = "forecast"
    STORM = "storm"
    ARRIVAL = "arrival"
    LENT = "lent"
    REPAID = "repaid"


class Input(ReceivedMessage):
    """Members of every input."""

    ts: Moment = Field(description="time of measurement or creation")


class Grid(Input):
    """Grid at the point of connection; power + is import."""

    present: bool
    frequency_hz: Hertz | None = None
    voltage_v: Volt | None = None
    power_w: Signed | None = None


class Load(Input):
    """Consumption of the site without its vehicles."""

    power_w: Magnitude


class Pv(Input):
    """Generation of the site."""

    power_w: Magnitude


class StorageModule(ReceivedMessage):
    """Module of a storage, as its monitoring reports it; of used cells the weakest one counts."""

    name: Name
    new_wh: Annotated[float, Field(gt=0, le=1e7, allow_inf_nan=False)] = Field(description="energy when new")
    soh: Annotated[float, Field(ge=0, le=1.2, allow_inf_nan=False)] = Field(description="state of health, 1 is new")
    voltage_v: Annotated[float, Field(gt=0, le=2000, allow_inf_nan=False)]
    resistance_ohm: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
    temperature_c: Annotated[float, Field(ge=-60, le=150, allow_inf_nan=False)] | None = None
    soc_pct: Percent | None = None


class Storage(Input):
    """Stationary storage of the site; power + is charge. `modules` form `strings` of equal length in parallel.

    The limits do not depend on the number of strings: the modules share the power equally in any arrangement.
    """

    power_w: Signed
    soc_pct: Percent | None = None
    capacity_wh: Energy | None = None
    max_charge_w: Magnitude | None = None
    max_discharge_w: Magnitude | None = None
    modules: Annotated[tuple[StorageModule, ...], Field(min_length=1, max_length=512, strict=False)] | None = None
    strings: Annotated[int, Field(ge=1, le=64)] = 1


class Meter(Input):
    """Demand meter: energy imported in the running window."""

    energy_wh: Energy
    window_start: Moment
    window_s: Annotated[float, Field(ge=60, le=86_400)] = 1800.0
    power_w: Signed | None = None


class Switch(Input):
    """Main switch: `open` only with position feedback (confirmed open)."""

    open: bool


class PricePeriod(ReceivedMessage):
    """Price of energy in a period, per kWh."""

    start: Moment
    duration_s: Annotated[float, Field(gt=0, le=7 * 86_400)]
    import_per_kwh: Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
    export_per_kwh: Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)] | None = None


class Price(Input):
    """Coming prices."""

    currency: Annotated[str, Field(min_length=3, max_length=3)] | None = None
    prices: Annotated[tuple[PricePeriod, ...], Field(min_length=1, max_length=1024, strict=False)]


class ForecastPeriod(ReceivedMessage):
    """Expected load and generation in a period."""

    start: Moment
    duration_s: Annotated[float, Field(gt=0, le=7 * 86_400)]
    load_w: Magnitude | None = None
    pv_w: Magnitude | None = None


class Forecast(Input):
    """Forecast of load and generation."""

    series: Annotated[tuple[ForecastPeriod, ...], Field(min_length=1, max_length=1024, strict=False)]


class Storm(Input):
    """Storm warning, and the state of charge to keep while it holds."""

    active: bool
    starts: Moment | None = Field(default=None, description="expected start, if not now; charging begins before")
    until: Moment | None = None
    min_soc_pct: Percent | None = None


class ArrivingCar(ReceivedMessage):
    """An expected vehicle."""

    vehicle: Name
    at: Moment
    evse: Name | None = None
    soc_pct: Percent | None = None
    capacity_wh: Energy | None = None
    departure: Moment | None = None


class Arrival(Input):
    """All expected vehicles; a new message replaces the list."""

    arrivals: Annotated[tuple[ArrivingCar, ...], Field(max_length=256, strict=False)]


class VehiclePosition(ReceivedMessage):
    """Position and state of charge of a vehicle, as its operator reports; absent members are unchanged."""

    vehicle: Name
    at: Moment | None = Field(default=None, description="time of the report, if not ts")
    place: Name | None = Field(default=None, description="a place of the agreement file")
    soc_pct: Percent | None = None
    available: bool | None = Field(default=None, description="false: broken down or in use; true: can be called again")


class VehiclePositions(Input):
    """Positions of vehicles under agreements, from their providers. A message is valid for its vehicles only."""

    cars: Annotated[tuple[VehiclePosition, ...], Field(max_length=512, strict=False)]


class EnergyReturn(ReceivedMessage):
    """Energy returned to a vehicle after an outage, or paid for. The `id` counts once."""

    id: Name
    vehicle: Name
    energy_wh: Energy
    soc_pct: Percent | None = Field(default=None, description="state of charge afterwards")


class EnergyReturns(Input):
    """Energy returned to vehicles after an outage."""

    payments: Annotated[tuple[EnergyReturn, ...], Field(max_length=512, strict=False)]


AnyInput: TypeAlias = (
    Grid | Load | Pv | Storage | Meter | Switch | Price | Forecast | Storm | Arrival | VehiclePositions | EnergyReturns
)
_KINDS: dict[InputKind, tuple[type[AnyInput], float]] = {  # model, and after how many seconds it is stale
    InputKind.GRID: (Grid, 10.0),
    InputKind.LOAD: (Load, 15.0),
    InputKind.PV: (Pv, 60.0),
    InputKind.STORAGE: (Storage, 60.0),
    InputKind.METER: (Meter, 120.0),
    InputKind.SWITCH: (Switch, 10.0),
    InputKind.PRICE: (Price, 2 * 86_400.0),
    InputKind.FORECAST: (Forecast, 2 * 86_400.0),
    InputKind.STORM: (Storm, 86_400.0),
    InputKind.ARRIVAL: (Arrival, 2 * 86_400.0),
    InputKind.LENT: (VehiclePositions, 7 * 86_400.0),
    InputKind.REPAID: (EnergyReturns, 366 * 86_400.0),
}
INPUTS = {kind: model for kind, (model, _) in _KINDS.items()}
STALE_AFTER_S = {kind: stale_after_s for kind, (_, stale_after_s) in _KINDS.items()}
_KIND_OF: dict[type[Input], InputKind] = {model: kind for kind, model in INPUTS.items()}
SET_BACK_S = 1.0  # a smaller step of the clock is a correction
PERIODIC = frozenset({InputKind.GRID, InputKind.LOAD, InputKind.PV, InputKind.STORAGE})  # measured at equal intervals
STALE_PERIODS = 3.0  # an input is stale after so many of its own periods, where that is longer
STALE_AT_MOST_S = 60.0
INTERVALS, FEWEST_INTERVALS = 3, 2  # of which the middle one counts, of two the shorter


class Freshness(StrEnum):
    """Freshness of an input."""

    NEVER = "never"
    FRESH = "fresh"
    STALE = "stale"


def switching_part(value: Input | None) -> object:
    """Return the part of an input whose changes take effect at once: of a measurement its state, else all of it."""
    match value:
        case Grid():
            return value.present
        case Switch():
            return value.open
        case Load() | Pv() | Storage() | Meter():
            return type(value)
    return value


@frozen
class Reading:
    """An input and until when (monotonic time) it is fresh."""

    value: AnyInput
    until: float
    received: float = 0.0  # Unix time of the gateway's clock


AnInput = TypeVar("AnInput", bound=Input)


@dataclass(slots=True)
class Inputs:
    """Latest input of each kind.

    `stale_after_s` is extended for a meter that reports seldom or late, up to `stale_at_most_s`: to `STALE_PERIODS` of
    the middle one of its last intervals, and its least age on arrival: one is longer after a pause, one is shorter
    where the delay varies.
    """

    stale_after_s: dict[InputKind, float] = field(default_factory=lambda: dict(STALE_AFTER_S))
    readings: dict[InputKind, Reading] = field(default_factory=dict)
    stale_at_most_s: float = STALE_AT_MOST_S
    _intervals: dict[InputKind, deque[tuple[float, float]]] = field(default_factory=dict)  # (interval, age on arrival)

    def put(self, kind: InputKind, value: AnyInput, now: float, wall: float) -> None:
        """Store a value; one measured before the stored one (a retained copy, a late packet) is ignored.

        After the gateway's clock was set back a value with an earlier time is newer, and is stored.
        """
        last = self.readings.get(kind)
        if last is not None and last.value.ts > value.ts and wall >= last.received - SET_BACK_S:
            return
        age_s = max(0.0, wall - value.ts)
        allowed_s = self.stale_after_s[kind]
        if kind in PERIODIC:
            interval_s = 0.0 if last is None else min(value.ts - last.value.ts, wall - last.received)
            allowed_s = max(allowed_s, min(self._extended_s(kind, interval_s, age_s), self.stale_at_most_s))
        self.readings[kind] = Reading(value, now - age_s + allowed_s, wall)

    def _extended_s(self, kind: InputKind, interval_s: float, age_s: float) -> float:
        """Return how old a reading of a meter may be by its own period and delay; a repeated message is none."""
        intervals = self._intervals.setdefault(kind, deque(maxlen=INTERVALS))
        if interval_s > 0:
            intervals.append((interval_s, age_s))
        if len(intervals) < FEWEST_INTERVALS:  # one may be a pause
            return 0.0
        period_s = sorted(one for one, _ in intervals)[(len(intervals) - 1) // 2]
        return STALE_PERIODS * period_s + min(age for _, age in intervals)

    def freshness(self, kind: InputKind, now: float) -> Freshness:
        """Return whether a kind was never received, is fresh or is stale."""
        reading = self.readings.get(kind)
        if reading is None:
            return Freshness.NEVER
        return Freshness.FRESH if now < reading.until else Freshness.STALE

    def each_freshness(self, now: float) -> dict[InputKind, Freshness]:
        """Return whether each kind that was received is fresh or stale."""
        return {
            kind: Freshness.FRESH if now < reading.until else Freshness.STALE for kind, reading in self.readings.items()
        }

    def fresh(self, kind: type[AnInput], now: float) -> AnInput | None:
        """Return the value if it is fresh."""
        reading = self.readings.get(_KIND_OF[kind])
        if reading is not None and now < reading.until and isinstance(reading.value, kind):
            return reading.value
        return None

    def next_change(self, now: float) -> float | None:
        """Return when the next input becomes stale."""
        return min((reading.until for reading in self.readings.values() if reading.until > now), default=None)


@dataclass(frozen=True, slots=True)
class SitePolicy:
    """Limits and policy as configured. None is no limit."""

    site: str
    import_limit_w: float | None = None
    export_limit_w: float | None = None
    min_soc_pct: float = 0.0
    floor_hysteresis_pct: float = 2.0
    discharge_without_soc: bool = False
    idle_power_w: float = 0.0
    ramp_w_per_s: float = 2500.0
    mode: SiteMode = SiteMode.MANUAL
    grid_forming: frozenset[str] = frozenset()  # EVSEs whose chargers can form an island
    assumed_capacity_wh: float = ASSUMED_CAPACITY_WH
    vehicle_capacity_wh: Mapping[str, float] = field(default_factory=dict, hash=False)  # by vehicle, as configured
    vehicle_floor_pct: Mapping[str, float] = field(default_factory=dict, hash=False)
    vehicle_trip_wh: Mapping[str, float] = field(default_factory=dict, hash=False)  # trip home, with its margin


@dataclass(slots=True)
class Site:
    """State in force for all EVSEs."""

    policy: SitePolicy
    inputs: Inputs = field(default_factory=Inputs)
    emergency_stop: str | None = None  # the command or person that stopped
    mode: SiteMode = SiteMode.MANUAL
    peak_limit_w: float | None = None
    reserve_pct: float | None = None
    reserve_wh: float | None = None
    backup: bool = False
    at_rest: bool = False  # after an emergency stop, until a mode is commanded: nothing but commands moves power
    islanded: bool = False
    off_grid: bool = False  # no grid supplies the site, as energy management reports it
    supply_held: bool = False  # after an emergency stop without a grid: no island is formed before a command

    island_w: float | None = None  # power of all EVSEs together that the island needs now, + charge
    grid_before: GridReport | None = None  # last report of an earlier run
    grid_meter: GridMeter = field(default_factory=GridMeter)
    interconnections: Interconnections = field(default_factory=Interconnections)
    _judged: tuple[Grid, GridReport] | None = None  # each reading of the grid is judged once

    def operate_islanded(self, islanded: bool, island_w: float | None = None) -> bool:
        """Apply whether the site runs as an island, and what it needs of all EVSEs; True where it begins or ends."""
        changed, self.islanded, self.island_w = self.islanded is not islanded, islanded, island_w
        return changed

    def describe_grid(self, nominal_v: float) -> None:
        """Apply the nominal voltage of the input `grid`."""
        self.grid_meter.nominal_v = nominal_v

    def restore_grid(self, report: GridReport | None) -> None:
        """Restore the last report of an earlier run."""
        self.grid_before = report

    @property
    def last_grid(self) -> GridReport | None:
        """Last report of the grid, however old; None where none was ever received. A dead grid is not present, nor is
        one that a charger has lost, unless power has been measured since."""
        reported, lost_at = self._reported_grid, self.interconnections.lost_at
        if lost_at is None or (reported is not None and not reported.present) or self._power_measured_since(lost_at):
            return reported
        return GridReport(False, lost_at)

    def _power_measured_since(self, at: float) -> bool:
        reading = self.inputs.readings.get(InputKind.GRID)
        if reading is None or not isinstance(grid := reading.value, Grid) or grid.ts < at:
            return False
        return grid.voltage_v is not None and abs(grid.power_w or 0.0) > CERTAIN_FLOW_W

    @property
    def _reported_grid(self) -> GridReport | None:
        reading = self.inputs.readings.get(InputKind.GRID)
        if reading is None or not isinstance(grid := reading.value, Grid):
            return self.grid_before
        if self._judged is None or self._judged[0] is not grid:
            dead = grid.present and self.grid_meter.dead(grid.voltage_v, grid.frequency_hz, grid.power_w)
            self._judged = grid, GridReport(grid.present and not dead, grid.ts, dead)
        return self._judged[1]
