"""Orders through the DataTransfer messages and variables of a vendor profile, where no standard defines a message.

Set-points of stations of 1.6 and 2.0.1, which cannot discharge by the standard; and, in every version, the switch of an
EVSE between grid-forming and grid-following. The caller has confirmed that the main switch is open.
"""

from __future__ import annotations

from gateway.csms import outcomes
from gateway.csms.evse import Evse
from gateway.csms.station import Station
from gateway.csms.transactions import Transaction
from gateway.model.station import Answer, Outcome, OutcomeCode
from protocols.ocpp.enums import v21
from protocols.ocpp.events import Priority
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.vendor import Channel


async def set_power(
    station: Station, evse: Evse, transaction: Transaction, power_w: float, valid_for_s: float
) -> Outcome:
    """Send a signed set-point through the channel of the vendor profile."""
    vendor, setpoint = station.vendor_profile, station.vendor_profile.setpoint
    priority = Priority.NORMAL if power_w else Priority.URGENT
    if setpoint.channel is Channel.DATA_TRANSFER:
        data = vendor.data(power_w, valid_for_s, evse.number, transaction.id)
        body = {"vendorId": setpoint.vendor_id, "messageId": setpoint.message_id, "data": data}
        return outcomes.of_status(await station.call(v21.Action.data_transfer, body, priority=priority))
    value = str(vendor.wire_value(power_w))
    if station.version is Version.V16:
        return await outcomes.of_key(station, setpoint.key, value, priority)
    return await outcomes.of_variable(station, {"name": setpoint.component}, setpoint.variable, value, priority)


async def switch_forming(station: Station, evse: int, forms: bool) -> Outcome:
    """Select grid-forming or grid-following; `REFUSED` with `NoForming` where the vendor profile has no channel."""
    vendor, early = station.vendor_profile, station.version is Version.V16
    forming = vendor.forming
    if forming.channel is Channel.DATA_TRANSFER:
        body: Payload = {"vendorId": forming.vendor_id, "data": forming.message(forms, evse)}
        body |= {"messageId": forming.message_id} if forming.message_id else {}
        return outcomes.of_status(await station.call(v21.Action.data_transfer, body))
    if forming.channel is Channel.VARIABLE and early and forming.key:
        return await outcomes.of_key(station, forming.key_of(evse), forming.value(forms))
    if forming.channel is Channel.VARIABLE and not early and forming.component:
        component = {"name": forming.component, "evse": {"id": evse}}
        return await outcomes.of_variable(station, component, forming.variable, forming.value(forms))
    text = f"The vendor profile {vendor.name} has no channel for grid-forming; only the hardware can select it."
    return Outcome(Answer.REFUSED, OutcomeCode.NO_FORMING, text)
