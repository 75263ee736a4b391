"""Telling an EVSE to form an island's voltage, or to follow a grid again: as its vendor profile says, if it says.

OCPP has no message for this. A profile without a `[forming]` table leaves it to the hardware, and the answer says so.
Whether it may form is not decided here: who calls has the proof that the main switch is open.
"""

from __future__ import annotations

from gateway.csms import charging_profile
from gateway.csms.evse import Evse
from gateway.csms.station import Station
from gateway.model.station import Answer, Outcome
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.vendor import Channel

BY_HARDWARE = "NoForming"  # code of the outcome where nothing can be said


async def order(station: Station, evse: Evse, forms: bool) -> Outcome:
    """Say it; `REFUSED` with `NoForming` where the profile knows no way."""
    say = station.ways.forming
    if say.channel is Channel.DATA_TRANSFER:
        body: Payload = {"vendorId": say.vendor_id, "data": say.message(forms, evse.number)}
        body |= {"messageId": say.message_id} if say.message_id else {}
        return charging_profile.read_status(await station.call("DataTransfer", body))
    if say.channel is Channel.VARIABLE and station.version is Version.V16 and say.key:
        body = {"key": say.key_of(evse.number), "value": say.value(forms)}
        return charging_profile.read_status(await station.call("ChangeConfiguration", body))
    if say.channel is Channel.VARIABLE and station.version is not Version.V16 and say.component:
        component = {"name": say.component, "evse": {"id": evse.number}}
        entry = {"attributeValue": say.value(forms), "component": component, "variable": {"name": say.variable}}
        return charging_profile.read_set(await station.call("SetVariables", {"setVariableData": [entry]}))
    text = (
        f"The vendor profile {station.ways.name} knows no way to tell it; its hardware forms by itself, or not at all."
    )
    return Outcome(Answer.REFUSED, BY_HARDWARE, text)
