"""Orders through the channels of a vendor profile, where no standard defines a message.

Set-points of stations of 1.6 and 2.0.1, which cannot discharge by the standard; and, in every version, the switch of an
EVSE between grid-forming and grid-following. Whether an EVSE may form a grid is not decided here: the caller has
confirmed that the main switch is open.
"""

from __future__ import annotations

import math

from gateway.csms import charging_profile, outcomes
from gateway.csms.charging_profile import Kind, Profile, Purpose, Unit
from gateway.csms.evse import Evse
from gateway.csms.station import Station
from gateway.csms.transactions import Transaction
from gateway.model.station import Answer, Outcome
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.vendor import Channel

BY_HARDWARE = "NoForming"  # reason code where the vendor profile has no channel


async def set_power(
    station: Station, evse: Evse, transaction: Transaction, power_w: float, valid_for_s: float
) -> Outcome:
    """Send a signed set-point through the channel of the vendor profile."""
    vendor, setpoint = station.vendor_profile, station.vendor_profile.setpoint
    if setpoint.channel is Channel.DATA_TRANSFER:
        data = vendor.data(power_w, valid_for_s, evse.number, transaction.id)
        body = {"vendorId": setpoint.vendor_id, "messageId": setpoint.message_id, "data": data}
        return outcomes.of_status(await station.call("DataTransfer", body))
    if setpoint.channel is Channel.VARIABLE:
        value = str(vendor.wire_value(power_w))
        if station.version is Version.V16:
            return await outcomes.of_key(station, setpoint.key, value)
        return await outcomes.of_variable(station, {"name": setpoint.component}, setpoint.variable, value)
    return await _limit(station, evse, transaction, power_w, valid_for_s)  # also a station that can only be limited


async def _limit(station: Station, evse: Evse, transaction: Transaction, power_w: float, valid_for_s: float) -> Outcome:
    """Send a TxProfile whose limit may be negative; its duration is the watchdog, the fallback profile is beneath."""
    refused = await charging_profile.require_fallback(station, evse, power_w)
    if refused is not None:
        return refused
    vendor = station.vendor_profile
    unit = Unit.a if vendor.setpoint.unit == "A" else Unit.w
    period = {"startPeriod": 0, "limit": vendor.wire_value(power_w)}
    schedule: Payload = {"chargingRateUnit": unit, "chargingSchedulePeriod": [period]}
    if evse.fallback.installed:  # otherwise 0 W that expires would permit charging without limit
        schedule = {"duration": math.ceil(valid_for_s), **schedule}
    number, level = charging_profile.SETPOINT_PROFILE + evse.number, vendor.setpoint.stack_level
    profile = Profile(number, level, Purpose.tx_profile, Kind.absolute, schedule, transaction)
    return await charging_profile.send_profile(station, evse, profile)


async def switch_forming(station: Station, evse: int, forms: bool) -> Outcome:
    """Select grid-forming or grid-following; `REFUSED` with `NoForming` where the vendor profile has no channel."""
    vendor, early = station.vendor_profile, station.version is Version.V16
    forming = vendor.forming
    if forming.channel is Channel.DATA_TRANSFER:
        body: Payload = {"vendorId": forming.vendor_id, "data": forming.message(forms, evse)}
        body |= {"messageId": forming.message_id} if forming.message_id else {}
        return outcomes.of_status(await station.call("DataTransfer", body))
    if forming.channel is Channel.VARIABLE and early and forming.key:
        return await outcomes.of_key(station, forming.key_of(evse), forming.value(forms))
    if forming.channel is Channel.VARIABLE and not early and forming.component:
        component = {"name": forming.component, "evse": {"id": evse}}
        return await outcomes.of_variable(station, component, forming.variable, forming.value(forms))
    text = f"The vendor profile {vendor.name} has no channel for grid-forming; only the hardware can select it."
    return Outcome(Answer.REFUSED, BY_HARDWARE, text)
