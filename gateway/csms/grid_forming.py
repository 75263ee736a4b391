"""Switching of an EVSE between grid-forming and grid-following, by its vendor profile.

OCPP has no message for it. A vendor profile without a `[forming]` table leaves it to the hardware, and the outcome says
so. Permission is not decided here: the caller has confirmed that the main switch is open.
"""

from __future__ import annotations

from gateway.csms import outcomes
from gateway.csms.station import Station
from gateway.model.station import Answer, Outcome
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.vendor import Channel

BY_HARDWARE = "NoForming"  # reason code where the vendor profile has no channel


async def switch(station: Station, evse: int, forms: bool) -> Outcome:
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
