"""`[energy]` of `gateway.toml`: every key of energy management with its default and meaning."""

from __future__ import annotations

from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from gateway.authority.site_limits import SiteLimits
from gateway.authority.soc_floors import ASSUMED_CAPACITY_WH
from gateway.energy.billing import BillingPeriod
from gateway.energy.resilience.grid_watch import GridLimits
from gateway.energy.resilience.phase import IslandSettings
from gateway.model.message import Moment

Watts = Annotated[float, Field(ge=0, le=1e8, allow_inf_nan=False)]
Percent = Annotated[float, Field(ge=0, le=100)]
Price = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=64)]
SITE = "site"  # the one tier of a site without tiers


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TierTable(_Table):
    """A group of loads behind one contactor."""

    name: Name = Field(description="as the facility calls it")
    priority: int = Field(ge=0, le=99, description="0 is the last to be shed")
    expected_w: Watts = Field(description="its usual draw, in W")
    critical: bool = Field(default=False, description="shed only if the sources cannot supply it, never to save energy")
    inrush: Annotated[float, Field(ge=1, le=10)] = Field(
        default=1.5, description="inrush when it is restored, times its usual draw"
    )
    wants_hours: Annotated[float, Field(ge=0, le=96)] = Field(
        default=0.0, description="supplied only while all tiers down to it would last this long, in h"
    )


class SeasonTable(_Table):
    """A raised reserve by calendar, charged when it begins: it is raised six hours before."""

    start: Moment = Field(description="RFC 3339 with its zone")
    end: Moment = Field(description="RFC 3339 with its zone")
    pct: Percent = Field(description="the reserve in this season")
    why: Name = Field(default="the calendar", description="reason shown in the state")


class CarTable(_Table):
    """A known vehicle, beyond what it states itself."""

    vehicle: Name = Field(description="its identity, such as the EVCCID")
    capacity_wh: Annotated[float, Field(gt=0, le=1e6)] | None = Field(
        default=None, description="its capacity, if it does not state it"
    )
    home_km: Annotated[float, Field(ge=0, le=1000)] = Field(default=0.0, description="distance of the trip home, in km")
    wh_per_km: Annotated[float, Field(ge=0, le=2000)] = Field(
        default=160.0, description="its consumption, in Wh per km"
    )
    floor_pct: Percent = Field(default=0.0, description="its owner's floor")


class StorageTable(_Table):
    """The site's stationary storage; where the gateway controls it, `site/state` has its set-point."""

    controlled: bool = Field(
        default=False, description="energy.storage_w is applied: by the facility, or by `[[storages]]` of this gateway"
    )
    forming: bool = Field(default=False, description="it can form an island")
    capacity_wh: Annotated[float, Field(gt=0, le=1e8)] | None = Field(
        default=None, description="if the facility does not report it"
    )
    max_charge_w: Watts = Field(default=0.0, description="if the facility does not report it")
    max_discharge_w: Watts = Field(default=0.0, description="if the facility does not report it")
    floor_pct: Percent = Field(default=10.0, description="never discharged below this")
    ceiling_pct: Percent = Field(default=95.0, description="never charged above this")
    round_trip: Annotated[float, Field(gt=0, le=1)] = Field(default=0.88, description="round-trip efficiency")
    wear_per_kwh: Annotated[float, Field(ge=0, le=1e6)] = Field(
        default=4.0, description="degradation cost of a kWh through it"
    )


class EnergySection(_Table):
    """Energy management of the site, on the grid and in an outage.

    Prices are in the unit of the facility's prices.
    """

    enabled: bool = Field(default=True, description="whether this gateway manages the site's energy")
    step_s: Annotated[float, Field(ge=0.2, le=10)] = Field(default=1.0, description="interval of the real-time loop")
    contract_w: Watts | None = Field(default=None, description="most the average of a demand window may be, in W")
    window_s: Annotated[float, Field(ge=60, le=86_400)] = Field(default=1800.0, description="length of a demand window")
    demand_charge_per_kw: Price = Field(default=0.0, description="price of each kW of the highest window")
    billing_period: BillingPeriod = Field(
        default="month", description="period over which the highest window counts: it begins again with each"
    )
    time_zone: Name | None = Field(
        default=None, description="time zone of the site, such as Asia/Tokyo; absent: that of the host"
    )
    import_per_kwh: Price | None = Field(default=None, description="price while the facility reports none")
    export_per_kwh: Price = Field(default=0.0, description="revenue of a kWh while the facility reports no price")
    assumed_capacity_wh: Annotated[float, Field(gt=0, le=1e6)] = Field(
        default=ASSUMED_CAPACITY_WH, description="capacity of a vehicle's battery that is not known, in Wh"
    )
    car_wear_per_kwh: Annotated[float, Field(ge=0, le=1e6)] = Field(
        default=5.0, description="degradation cost of a kWh out of a vehicle"
    )
    plan: bool = Field(default=True, description="whether a look-ahead plan is optimised; false: rules only")
    plan_every_s: Annotated[float, Field(ge=60, le=3600)] = Field(
        default=300.0, description="interval between two plans"
    )
    plan_hours: Annotated[float, Field(ge=4, le=72)] = Field(default=36.0, description="horizon of a plan")
    meter_delay_s: Annotated[float, Field(ge=0, le=60)] = Field(
        default=0.0, description="delay of the grid meter, if its time stamps do not show it"
    )
    nominal_v: Annotated[float, Field(gt=0, le=1e5)] = Field(default=200.0, description="of the grid input's voltage")
    nominal_hz: Literal[50, 60] = Field(default=50, description="of the grid")
    confirm_s: Annotated[float, Field(ge=0, le=60)] = Field(
        default=1.0, description="a loss of mains is confirmed after this"
    )
    reconnect_s: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=300.0, description="the grid must be healthy for this long before power flows again"
    )
    return_ramp_s: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=300.0, description="ramp of the power after an outage"
    )
    recharge_hours: Annotated[float, Field(ge=0.5, le=72)] = Field(
        default=8.0, description="after an outage, batteries without a departure are recharged within this"
    )
    island: bool = Field(
        default=False, description="there is a main switch, and vehicles or storage that can form an island"
    )
    soft_transfer: bool = Field(default=False, description="the switch synchronises, so that supply is not interrupted")
    parallel_forming: bool = Field(default=False, description="grid-forming is handed over without a gap")
    forming: tuple[Name, ...] = Field(default=(), description="EVSEs that can form an island", max_length=256)
    reserve_pct: Percent = Field(default=0.0, description="kept in every battery on the grid for an outage")
    off_grid_pct: Percent = Field(default=10.0, description="how far batteries may be used in an outage")
    storm_pct: Percent = Field(default=80.0, description="the reserve while a storm warning holds")
    calendar: tuple[SeasonTable, ...] = Field(default=(), max_length=100)
    tiers: tuple[TierTable, ...] = Field(default=(), max_length=32)
    cars: tuple[CarTable, ...] = Field(default=(), max_length=2000)
    storage: StorageTable = StorageTable()

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                ZoneInfo(name)
            except (KeyError, ValueError, OSError) as error:  # ZoneInfoNotFoundError is a KeyError
                raise ValueError(f"{name} is not a time zone of this host, such as Asia/Tokyo") from error
        return name

    @model_validator(mode="after")
    def _tier_names_differ(self) -> EnergySection:
        names = [tier.name for tier in self.tiers]
        if len(set(names)) != len(names):
            raise ValueError("two load tiers have the same name")
        return self

    @property
    def autonomy_tier(self) -> str:
        """Name under which the autonomy of the critical load tiers is published: the last one of them to be supplied.

        Without critical tiers that of the first tier, without tiers `SITE`.
        """
        tiers = sorted(self.tiers, key=lambda tier: tier.priority)
        critical = [tier.name for tier in tiers if tier.critical] or [tier.name for tier in tiers[:1]]
        return critical[-1] if critical else SITE

    def zone(self) -> ZoneInfo | None:
        """Return the time zone of the site; None: that of the host."""
        return None if self.time_zone is None else ZoneInfo(self.time_zone)

    def grid_limits(self) -> GridLimits:
        return GridLimits(
            nominal_v=self.nominal_v,
            nominal_hz=float(self.nominal_hz),
            confirm_s=self.confirm_s,
            reconnect_s=self.reconnect_s,
            longest_reconnect_s=max(3600.0, self.reconnect_s),
        )

    def island_settings(self) -> IslandSettings:
        return IslandSettings(
            capable=self.island,
            soft_transfer=self.soft_transfer,
            parallel_forming=self.parallel_forming,
            ramp_s=self.return_ramp_s,
        )

    def site_limits(self, import_w: float | None, export_w: float | None, peak_w: float | None) -> SiteLimits:
        return SiteLimits(import_w, export_w, self.contract_w, peak_w)
