"""The set-point in force, read from the composite schedule that the station reports."""

from __future__ import annotations

from gateway.csms import outcomes
from gateway.csms.charging_profile import Unit, present_at, rate_unit, volt_phases
from gateway.csms.evse import Evse
from gateway.csms.station import Station
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.times import parse
from protocols.ocpp.vendor import Channel

READ_TIMEOUT_S = 3.0  # orders wait for it


async def composite_power(station: Station, evse: Evse) -> float | None:
    """Return the set-point in force from the station's composite schedule, in W; None where it reports none."""
    body: Payload = {"duration": 60, "chargingRateUnit": rate_unit(station)}
    body["connectorId" if station.version is Version.V16 else "evseId"] = evse.number
    clock = station.context.clock
    try:
        async with clock.timeout_at(clock.now() + READ_TIMEOUT_S):
            answer = await station.query(v21.Action.get_composite_schedule, body)
    except TimeoutError:
        return None
    if answer is None or answer["status"] != outcomes.ACCEPTED:
        return None
    schedule = answer.get("chargingSchedule" if station.version is Version.V16 else "schedule")
    if schedule is None:
        return None
    periods = schedule["chargingSchedulePeriod"]
    begun = parse(answer.get("scheduleStart", schedule.get("scheduleStart")))
    passed_s = 0.0 if begun is None else max(0.0, present_at(station) - begun)
    present = [one for one in periods if one["startPeriod"] <= passed_s] or periods[:1]
    if not present:
        return None
    value = present[-1].get("setpoint", present[-1].get("limit"))
    if value is None:
        return None
    channel, power_w = station.vendor_profile.setpoint, float(value)
    if schedule["chargingRateUnit"] == Unit.a:
        power_w *= volt_phases(station, evse)
    turned = channel.channel is Channel.LIMIT and channel.sign == 1
    return (-power_w if turned else power_w) + 0.0
