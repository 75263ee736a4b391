"""Set-points for stations of 1.6 and 2.0.1, which no standard lets discharge: as their vendor profile says."""

from __future__ import annotations

import math

from gateway.csms import charging_profile
from gateway.csms.evse import Evse
from gateway.csms.station import Station
from gateway.csms.transactions import Transaction
from gateway.model.station import Outcome
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.vendor import Channel


async def order(station: Station, evse: Evse, transaction: Transaction, power_w: float, hold_s: float) -> Outcome:
    """Say a signed set-point over the channel of the station's profile."""
    channel = station.ways.setpoint.channel
    if channel is Channel.DATA_TRANSFER:
        return await _by_message(station, evse, transaction, power_w, hold_s)
    if channel is Channel.VARIABLE:
        return await _by_variable(station, power_w)
    return await _by_limit(station, evse, transaction, power_w, hold_s)  # also a station that can only be limited


async def _by_limit(station: Station, evse: Evse, transaction: Transaction, power_w: float, hold_s: float) -> Outcome:
    """A TxProfile whose limit may be negative; its duration is the dead-man, the safe profile lies beneath."""
    refused = await charging_profile.beneath(station, evse, power_w)
    if refused is not None:
        return refused
    say = station.ways.setpoint
    unit = "A" if say.unit == "A" else "W"
    period = {"startPeriod": 0, "limit": station.ways.wire_value(power_w)}
    schedule: Payload = {"chargingRateUnit": unit, "chargingSchedulePeriod": [period]}
    if evse.safe.held:  # 0 W that lapses into nothing would charge without limit
        schedule = {"duration": math.ceil(hold_s), **schedule}
    number = charging_profile.POWER_PROFILE + evse.number
    return await charging_profile.send_profile(
        station, evse, number, say.stack_level, "TxProfile", "Absolute", schedule, transaction=transaction
    )


async def _by_message(station: Station, evse: Evse, transaction: Transaction, power_w: float, hold_s: float) -> Outcome:
    say = station.ways.setpoint
    data = station.ways.data(power_w, hold_s, evse.number, transaction.id)
    body = {"vendorId": say.vendor_id, "messageId": say.message_id, "data": data}
    return charging_profile.read_status(await station.call("DataTransfer", body))


async def _by_variable(station: Station, power_w: float) -> Outcome:
    say, value = station.ways.setpoint, str(station.ways.wire_value(power_w))
    if station.version is Version.V16:
        return charging_profile.read_status(await station.call("ChangeConfiguration", {"key": say.key, "value": value}))
    entry = {"attributeValue": value, "component": {"name": say.component}, "variable": {"name": say.variable}}
    return charging_profile.read_set(await station.call("SetVariables", {"setVariableData": [entry]}))
