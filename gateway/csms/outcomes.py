"""Outcomes of the gateway's orders, read from the station's responses."""

from __future__ import annotations

from gateway.model.station import Answer, Outcome
from protocols.ocpp.enums import v21
from protocols.ocpp.link import Answered, Refused, Reply

ACCEPTED = v21.GenericStatusEnumType.accepted


def of_status(reply: Reply) -> Outcome:
    """Return the outcome of a call whose response has a `status`."""
    if isinstance(reply, Answered):
        if reply.violation is not None:
            text = f"the station's response is not valid: {reply.violation.text}"
            return Outcome(Answer.UNKNOWN, "InvalidAnswer", text)
        if reply.payload["status"] == ACCEPTED:
            return Outcome(Answer.APPLIED)
        info = reply.payload.get("statusInfo", {})
        code = str(info.get("reasonCode", reply.payload["status"]))
        return Outcome(Answer.REFUSED, code, info.get("additionalInfo") or "")
    if isinstance(reply, Refused):
        return Outcome(Answer.REFUSED, reply.code, reply.description)
    return Outcome(Answer.UNKNOWN, type(reply).__name__, "the station did not respond")


def of_set_variables(reply: Reply) -> Outcome:
    """Return the outcome of a SetVariables with one variable."""
    if isinstance(reply, Answered) and reply.violation is None:
        status = reply.payload["setVariableResult"][0]["attributeStatus"]
        return Outcome(Answer.APPLIED) if status == ACCEPTED else Outcome(Answer.REFUSED, status)
    return of_status(reply)
