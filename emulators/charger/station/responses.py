"""Responses of a station to requests, with the enumerations of the `ocpp` package, and those of the CSMS."""

from __future__ import annotations

from typing import TypeGuard

from protocols.ocpp.enums import v21
from protocols.ocpp.events import Answered, Reply
from protocols.ocpp.schema import Payload


def response(status: str, **members: object) -> Payload:
    """Return a response with a status, a member of the action's enumeration, and further members."""
    return {"status": status, **members}


def accepted_if(done: bool, otherwise: str = v21.GenericStatusEnumType.rejected) -> Payload:
    """Return a response with status Accepted if a request was carried out, with the other status if not."""
    return response(v21.GenericStatusEnumType.accepted if done else otherwise)


def rejected(code: str, text: str = "") -> Payload:
    """Return a response of 2.x with status Rejected and its reason."""
    info = {"reasonCode": code[:20]} | ({"additionalInfo": text[:500]} if text else {})
    return response(v21.GenericStatusEnumType.rejected, statusInfo=info)


def is_accepted(reply: Reply) -> TypeGuard[Answered]:
    """Return True for a valid response of the CSMS with status Accepted."""
    accepted = v21.GenericStatusEnumType.accepted
    return isinstance(reply, Answered) and reply.violation is None and reply.payload["status"] == accepted
