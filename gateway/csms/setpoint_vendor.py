"""Set-points for stations of 1.6 and 2.0.1, which no standard lets discharge: as their vendor profile says."""

from __future__ import annotations

import math

from gateway.csms import charging_profile
from gateway.csms.station import Evse, Station
from gateway.csms.transactions import Transaction
from gateway.model.station import Answer, Outcome
from protocols.ocpp.io import Answered
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
    safe = await charging_profile.install_safe(station, evse)
    if safe.answer is not Answer.APPLIED and power_w:
        return Outcome(safe.answer, safe.code, f"the safe profile could not be installed: {safe.text}")
    say, hold = station.ways.setpoint, math.ceil(hold_s)
    unit = "A" if say.unit == "A" else "W"
    period = {"startPeriod": 0, "limit": station.ways.wire_value(power_w)}
    schedule: Payload = {"duration": hold, "chargingRateUnit": unit, "chargingSchedulePeriod": [period]}
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
    reply = await station.call("SetVariables", {"setVariableData": [entry]})
    if isinstance(reply, Answered) and reply.violation is None:
        status = reply.payload["setVariableResult"][0]["attributeStatus"]
        return Outcome(Answer.APPLIED) if status == "Accepted" else Outcome(Answer.REFUSED, status)
    return charging_profile.read_status(reply)
