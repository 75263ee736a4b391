"""Vehicle at an EVSE as the component ConnectedEV of OCPP 2.1 describes it: link, identity, capacity of its battery.

CHAdeMO has no message with charging needs, so that these variables are all that a station reports of such a vehicle.
They are read when a session starts and when needs are stated, from stations that have the component.
"""

from __future__ import annotations

from gateway.csms import negotiated_profile, outcomes
from gateway.csms.evse import Evse
from gateway.csms.station import Station
from gateway.model.event import NeedsStated, VehicleDescribed, VehicleIdentified, VehicleNeeds
from gateway.model.vehicle_link import CHADEMO, link_of
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload

COMPONENT = "ConnectedEV"
ACTUAL, MAX_SET = v21.AttributeEnumType.actual, v21.AttributeEnumType.max_set
AGREED, ID, ENERGY = "ProtocolAgreed", "VehicleId", "EnergyImport"
READ = ((AGREED, ACTUAL), (ID, ACTUAL), (ENERGY, MAX_SET))
NEEDS_WITHIN_S = 5.0  # after the start of a session, in which a vehicle of ISO 15118 states its needs
CAPACITY_WH = (1_000.0, 1_000_000.0)  # plausible range


def read_now(station: Station, evse: Evse) -> None:
    """Read the variables of the vehicle that has stated its needs, if the station has them."""
    if station.variable(COMPONENT, "Available", evse.number) is not None:
        station.spawn(_read(station, evse))


def read_later(station: Station, evse: Evse) -> None:
    """Read the variables of a vehicle that does not state needs after the start of its session, as with CHAdeMO."""
    if station.variable(COMPONENT, "Available", evse.number) is not None:
        station.spawn(_read_without_needs(station, evse))


async def _read_without_needs(station: Station, evse: Evse) -> None:
    """Read the variables; a CHAdeMO vehicle needs no service for discharging, so that the limits are the station's."""
    await station.context.clock.sleep(NEEDS_WITHIN_S)
    if evse.described_in is not None or await _read(station, evse) != CHADEMO:
        return
    transaction = station.context.transactions.active_at(station.id, evse.number)
    if transaction is None or evse.bidirectional is not None or not evse.can_discharge or evse.limits is None:
        return
    transaction.bidirectional = evse.bidirectional = True
    station.context.persistence.later(station.context.persistence.record(transaction))
    needs = VehicleNeeds(evse.limits, bidirectional=True, energy_transfer="unstated", control_mode="dynamic")
    station.context.report(NeedsStated(evse.name, station.context.clock.now(), needs))
    station.spawn(negotiated_profile.initialise(station, evse))


async def _read(station: Station, evse: Evse) -> str | None:
    """Report what the variables state; return the link."""
    component = {"name": COMPONENT, "evse": {"id": evse.number}}
    data = [{"component": component, "variable": {"name": name}, "attributeType": kind} for name, kind in READ]
    answer = await station.request(v21.Action.get_variables, {"getVariableData": data}) or {}
    values = dict(_accepted(one) for one in answer.get("getVariableResult", ()))
    transaction = station.context.transactions.active_at(station.id, evse.number)
    if transaction is None:
        return None  # the session has ended meanwhile
    now, link = station.context.clock.now(), link_of(values.get(AGREED, ""))
    if link is not None:
        evse.described_in = transaction.id
        capacity_wh = _capacity_wh(values.get(ENERGY, "")) if link == CHADEMO else None  # of 0x101; else what it lacks
        station.context.report(VehicleDescribed(evse.name, now, link, capacity_wh))
    if (vehicle := values.get(ID)) and link == CHADEMO:  # of ISO 15118 the transaction names it
        station.context.report(VehicleIdentified(evse.name, now, vehicle))
    return link


def _accepted(result: Payload) -> tuple[str | None, str]:
    """Return name and value of a variable that was read, or no name."""
    accepted = result["attributeStatus"] == outcomes.ACCEPTED
    return (result["variable"]["name"] if accepted else None), result.get("attributeValue", "")


def _capacity_wh(text: str) -> float | None:
    try:
        capacity_wh = float(text)
    except ValueError:
        return None
    return capacity_wh if CAPACITY_WH[0] <= capacity_wh <= CAPACITY_WH[1] else None
