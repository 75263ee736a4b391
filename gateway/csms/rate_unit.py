"""Units of charging profiles that a station takes, and the power of an ampere, which is that of one phase."""

from __future__ import annotations

import math

from gateway.csms import metering
from gateway.csms.evse import Evse
from gateway.csms.station import Station
from protocols.ocpp.enums import v21
from protocols.ocpp.vendor import Channel

Unit = v21.ChargingRateUnitEnumType


def allow_units(station: Station, units: str) -> None:
    """Apply the units that the station reports: `Current`, `Power` of 1.6, `A`, `W` of 2.x.

    A fallback profile that was rejected is sent in the other unit at once.
    """
    allowed, before = {unit.strip().casefold() for unit in units.split(",")}, station.rate_unit
    if allowed & {"power", "w"}:
        station.rate_unit = Unit.w
    elif allowed & {"current", "a"}:
        station.rate_unit = Unit.a
    if station.rate_unit is not before:
        for evse in station.evses.values():
            evse.fallback.retry_at = 0.0
            station.describe(evse)


def volt_phases(station: Station, evse: Evse) -> float:
    """Return voltage times phases: of the vendor profile, else as measured; three phases where nothing is known, as the
    standard assumes."""
    setpoint = station.vendor_profile.setpoint
    if setpoint.unit == "A":
        return setpoint.voltage_v * setpoint.phases
    meter = evse.meter
    meter.volt_phases = metering.volt_phases(meter.samples) or meter.volt_phases
    return meter.volt_phases or (meter.voltage_v or setpoint.voltage_v) * 3


def rate_unit(station: Station) -> Unit:
    """Return the unit of charging profiles: that of the vendor profile, else the one that the station takes."""
    channel = station.vendor_profile.setpoint
    if channel.channel is Channel.LIMIT and channel.unit == "A":
        return Unit.a
    return Unit.a if station.rate_unit == Unit.a else Unit.w


def in_unit(station: Station, evse: Evse, power_w: float) -> tuple[Unit, float]:
    """Return the unit of the station and a signed power in it, in the sign of the vendor profile."""
    unit, vendor = rate_unit(station), station.vendor_profile
    if unit is Unit.w or vendor.setpoint.unit == "A":
        limit = vendor.setpoint.channel is Channel.LIMIT
        return unit, vendor.wire_value(power_w) if limit else round(power_w, 1) + 0.0
    value = power_w / volt_phases(station, evse)
    value = math.copysign(math.floor(abs(value) * 10) / 10, value)
    return unit, (value if vendor.setpoint.sign == -1 else -value) + 0.0
