"""Outcomes of the gateway's orders, read from the station's responses."""

from __future__ import annotations

from gateway.csms.station import Station
from gateway.model.station import Answer, Outcome, OutcomeCode
from protocols.ocpp.enums import v16, v21
from protocols.ocpp.events import Answered, Priority, Refused, Reply
from protocols.ocpp.schema import Payload

ACCEPTED = v21.GenericStatusEnumType.accepted
NEEDS_NOT_STATED = Outcome(
    Answer.REFUSED, OutcomeCode.NEEDS_NOT_STATED, "the vehicle has not stated its charging needs"
)


def of_status(reply: Reply) -> Outcome:
    """Return the outcome of a call whose response has a `status`."""
    if isinstance(reply, Answered):
        if reply.violation is not None:
            text = f"the station's response is not valid: {reply.violation.text}"
            return Outcome(Answer.UNKNOWN, OutcomeCode.INVALID_ANSWER, text)
        if reply.payload["status"] == ACCEPTED:
            return Outcome(Answer.APPLIED)
        info = reply.payload.get("statusInfo", {})
        code = str(info.get("reasonCode", reply.payload["status"]))
        return Outcome(Answer.REFUSED, code, info.get("additionalInfo") or "")
    if isinstance(reply, Refused):
        return Outcome(Answer.REFUSED, reply.code, reply.description)
    return Outcome(Answer.UNKNOWN, type(reply).__name__, "the station did not respond")


async def of_key(station: Station, key: str, value: str, priority: Priority = Priority.NORMAL) -> Outcome:
    """Set a configuration key of a 1.6 station and return the outcome."""
    body: Payload = {"key": key, "value": value}
    return of_status(await station.call(v16.Action.change_configuration, body, priority=priority))


async def of_variable(
    station: Station, component: Payload, variable: str, value: str, priority: Priority = Priority.NORMAL
) -> Outcome:
    """Set a variable of a 2.x station and return the outcome."""
    entry = {"attributeValue": value, "component": component, "variable": {"name": variable}}
    reply = await station.call(v21.Action.set_variables, {"setVariableData": [entry]}, priority=priority)
    if isinstance(reply, Answered) and reply.violation is None:
        status = reply.payload["setVariableResult"][0]["attributeStatus"]
        return Outcome(Answer.APPLIED) if status == ACCEPTED else Outcome(Answer.REFUSED, status)
    return of_status(reply)
