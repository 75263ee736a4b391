"""Switching of an EVSE between grid-forming and grid-following, by its vendor profile.

OCPP has no message for it. A vendor profile without a `[forming]` table leaves it to the hardware, and the outcome says
so. Permission is not decided here: the caller has confirmed that the main switch is open.
"""

from __future__ import annotations

from gateway.csms import outcomes
from gateway.csms.ports import Caller
from gateway.model.station import Answer, Outcome
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.vendor import Channel, VendorProfile

BY_HARDWARE = "NoForming"  # reason code where the vendor profile has no channel


async def switch(station: Caller, vendor: VendorProfile, evse: int, forms: bool) -> Outcome:
    """Select grid-forming or grid-following; `REFUSED` with `NoForming` where the vendor profile has no channel."""
    forming, early = vendor.forming, station.version is Version.V16
    if forming.channel is Channel.DATA_TRANSFER:
        body: Payload = {"vendorId": forming.vendor_id, "data": forming.message(forms, evse)}
        body |= {"messageId": forming.message_id} if forming.message_id else {}
        return outcomes.of_status(await station.call("DataTransfer", body))
    if forming.channel is Channel.VARIABLE and early and forming.key:
        body = {"key": forming.key_of(evse), "value": forming.value(forms)}
        return outcomes.of_status(await station.call("ChangeConfiguration", body))
    if forming.channel is Channel.VARIABLE and not early and forming.component:
        component = {"name": forming.component, "evse": {"id": evse}}
        variable = {"name": forming.variable}
        entry = {"attributeValue": forming.value(forms), "component": component, "variable": variable}
        return outcomes.of_set_variables(await station.call("SetVariables", {"setVariableData": [entry]}))
    text = f"The vendor profile {vendor.name} has no channel for grid-forming; only the hardware can select it."
    return Outcome(Answer.REFUSED, BY_HARDWARE, text)
