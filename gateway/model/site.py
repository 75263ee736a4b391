"""The site: its limits as installed, what the facility tells about it, and what is in force for all its EVSEs.

An input that has gone quiet is stale, a state of its own and never a zero: readers ask for `fresh` and get None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from gateway.model.command import Energy, Magnitude, Percent, Signed, SiteMode
from gateway.model.evse import ASSUMED_CAPACITY_WH
from gateway.model.moment import Moment

Hertz = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]
Volt = Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=64)]


class InputKind(StrEnum):
    """What a facility may tell."""

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


class Input(BaseModel):
    """What every input carries."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    ts: Moment = Field(description="when it was measured or made")


class Grid(Input):
    """The grid at the point of connection; power + is import."""

    present: bool
    frequency_hz: Hertz | None = None
    voltage_v: Volt | None = None
    power_w: Signed | None = None


class Load(Input):
    """What the site consumes without its cars."""

    power_w: Magnitude


class Pv(Input):
    """What the site generates."""

    power_w: Magnitude


class StorageModule(BaseModel):
    """One module of a storage, as its monitor reports it; of used cells the weakest one counts."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Name
    new_wh: Annotated[float, Field(gt=0, le=1e7, allow_inf_nan=False)] = Field(description="its energy when it was new")
    soh: Annotated[float, Field(ge=0, le=1.2, allow_inf_nan=False)] = Field(description="what is left of it, 1 is new")
    voltage_v: Annotated[float, Field(gt=0, le=2000, allow_inf_nan=False)]
    resistance_ohm: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
    temperature_c: Annotated[float, Field(ge=-60, le=150, allow_inf_nan=False)] | None = None
    soc_pct: Percent | None = None


class Storage(Input):
    """The site's stationary storage; power + is charge. `modules` stand in `strings` of equal length side by side."""

    power_w: Signed
    soc_pct: Percent | None = None
    capacity_wh: Energy | None = None
    max_charge_w: Magnitude | None = None
    max_discharge_w: Magnitude | None = None
    modules: Annotated[tuple[StorageModule, ...], Field(min_length=1, max_length=512, strict=False)] | None = None
    strings: Annotated[int, Field(ge=1, le=64)] = 1


class Meter(Input):
    """The demand meter: energy imported in the window that is running."""

    energy_wh: Energy
    window_start: Moment
    window_s: Annotated[float, Field(ge=60, le=86_400)] = 1800.0
    power_w: Signed | None = None


class Switch(Input):
    """The main switch: `open` only when it is proven open."""

    open: bool


class PricePeriod(BaseModel):
    """The price of energy for a while, per kWh."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    start: Moment
    duration_s: Annotated[float, Field(gt=0, le=7 * 86_400)]
    import_per_kwh: Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
    export_per_kwh: Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)] | None = None


class Price(Input):
    """Prices ahead."""

    currency: Annotated[str, Field(min_length=3, max_length=3)] | None = None
    prices: Annotated[tuple[PricePeriod, ...], Field(min_length=1, max_length=1024, strict=False)]


class ForecastPeriod(BaseModel):
    """What is expected for a while."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    start: Moment
    duration_s: Annotated[float, Field(gt=0, le=7 * 86_400)]
    load_w: Magnitude | None = None
    pv_w: Magnitude | None = None


class Forecast(Input):
    """Load and generation ahead."""

    series: Annotated[tuple[ForecastPeriod, ...], Field(min_length=1, max_length=1024, strict=False)]


class Storm(Input):
    """A storm warning, and what must be in the cars while it holds."""

    active: bool
    starts: Moment | None = Field(default=None, description="when it is expected, if not now; filling begins before")
    until: Moment | None = None
    min_soc_pct: Percent | None = None


class ArrivingCar(BaseModel):
    """A car that is expected."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    vehicle: Name
    at: Moment
    evse: Name | None = None
    soc_pct: Percent | None = None
    capacity_wh: Energy | None = None
    departure: Moment | None = None


class Arrival(Input):
    """All cars that are expected; a new message replaces the list."""

    arrivals: Annotated[tuple[ArrivingCar, ...], Field(max_length=256, strict=False)]


class LentCarSeen(BaseModel):
    """Where a lent car is and how full, as its operator knows it. A value that is absent is not known anew."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    vehicle: Name
    at: Moment | None = Field(default=None, description="when it was seen, if not at ts")
    place: Name | None = Field(default=None, description="a place of the agreement file")
    soc_pct: Percent | None = None
    available: bool | None = Field(default=None, description="false: broken down or in use; true: can be called again")


class Lent(Input):
    """Positions of lent cars, from those who lend them. Each message stands for the cars in it only."""

    cars: Annotated[tuple[LentCarSeen, ...], Field(max_length=512, strict=False)]


class Repayment(BaseModel):
    """Energy given back to a lent car after an outage, or paid for. The `id` counts once."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: Name
    vehicle: Name
    energy_wh: Energy
    soc_pct: Percent | None = Field(default=None, description="the car's state of charge afterwards")


class Repaid(Input):
    """Energy given back for what lent cars gave."""

    payments: Annotated[tuple[Repayment, ...], Field(max_length=512, strict=False)]


AnyInput: TypeAlias = Grid | Load | Pv | Storage | Meter | Switch | Price | Forecast | Storm | Arrival | Lent | Repaid
INPUTS: dict[InputKind, type[AnyInput]] = {
    InputKind.GRID: Grid,
    InputKind.LOAD: Load,
    InputKind.PV: Pv,
    InputKind.STORAGE: Storage,
    InputKind.METER: Meter,
    InputKind.SWITCH: Switch,
    InputKind.PRICE: Price,
    InputKind.FORECAST: Forecast,
    InputKind.STORM: Storm,
    InputKind.ARRIVAL: Arrival,
    InputKind.LENT: Lent,
    InputKind.REPAID: Repaid,
}
_KIND_OF: dict[type[Input], InputKind] = {shape: kind for kind, shape in INPUTS.items()}
STALE_AFTER_S: dict[InputKind, float] = {
    InputKind.GRID: 10.0,
    InputKind.LOAD: 15.0,
    InputKind.PV: 60.0,
    InputKind.STORAGE: 60.0,
    InputKind.METER: 120.0,
    InputKind.SWITCH: 10.0,
    InputKind.PRICE: 2 * 86_400.0,
    InputKind.FORECAST: 2 * 86_400.0,
    InputKind.STORM: 86_400.0,
    InputKind.ARRIVAL: 2 * 86_400.0,
    InputKind.LENT: 7 * 86_400.0,
    InputKind.REPAID: 366 * 86_400.0,
}


SET_BACK_S = 1.0  # a clock that differs by less was not set, only corrected


class Freshness(StrEnum):
    """Whether an input can be used."""

    NEVER = "never"
    FRESH = "fresh"
    STALE = "stale"


def acted_on(value: Input | None) -> object:
    """What of an input somebody acts on at once: of a measurement its switching part, of everything else all of it."""
    match value:
        case Grid():
            return value.present
        case Switch():
            return value.open
        case Load() | Pv() | Storage() | Meter():
            return type(value)
    return value


@dataclass(frozen=True, slots=True)
class Reading:
    """An input and until when (monotonic time) it may be used."""

    value: AnyInput
    until: float
    heard: float = 0.0  # Unix time by our clock


AnInput = TypeVar("AnInput", bound=Input)


@dataclass(slots=True)
class Inputs:
    """What the facility has told, each with its age."""

    stale_after_s: dict[InputKind, float] = field(default_factory=lambda: dict(STALE_AFTER_S))
    readings: dict[InputKind, Reading] = field(default_factory=dict)

    def take(self, kind: InputKind, value: AnyInput, now: float, wall: float) -> None:
        """Keep a value; one measured before the last one kept (a retained copy, a late packet) changes nothing.

        But where the clock was set back since, what is new looks older than what is held, and is taken.
        """
        held = self.readings.get(kind)
        if held is not None and held.value.ts > value.ts and wall >= held.heard - SET_BACK_S:
            return
        age_s = max(0.0, wall - value.ts)
        self.readings[kind] = Reading(value, now - age_s + self.stale_after_s[kind], wall)

    def freshness(self, kind: InputKind, now: float) -> Freshness:
        """Never told, fresh or stale."""
        reading = self.readings.get(kind)
        if reading is None:
            return Freshness.NEVER
        return Freshness.FRESH if now < reading.until else Freshness.STALE

    def fresh(self, kind: type[AnInput], now: float) -> AnInput | None:
        """The value, if it may be used now."""
        reading = self.readings.get(_KIND_OF[kind])
        if reading is not None and now < reading.until and isinstance(reading.value, kind):
            return reading.value
        return None

    def next_change(self, now: float) -> float | None:
        """When the next input goes stale."""
        return min((reading.until for reading in self.readings.values() if reading.until > now), default=None)


@dataclass(frozen=True, slots=True)
class SitePolicy:
    """What the operator has set. None is no limit."""

    site: str
    import_limit_w: float | None = None
    export_limit_w: float | None = None
    min_soc_pct: float = 0.0
    floor_hysteresis_pct: float = 2.0
    discharge_without_soc: bool = False
    idle_power_w: float = 0.0
    ramp_w_per_s: float = 2500.0
    mode: SiteMode = SiteMode.MANUAL
    assumed_capacity_wh: float = ASSUMED_CAPACITY_WH
    vehicle_capacity_wh: Mapping[str, float] = field(default_factory=dict, hash=False)  # by vehicle, as configured


@dataclass(slots=True)
class Site:
    """What is in force for all EVSEs."""

    policy: SitePolicy
    inputs: Inputs = field(default_factory=Inputs)
    emergency_stop: str | None = None  # the command that stopped, or who did
    mode: SiteMode = SiteMode.MANUAL
    peak_limit_w: float | None = None
    reserve_pct: float | None = None
    reserve_wh: float | None = None
    backup: bool = False
    islanded: bool = False
