"""Errors of the RPC engine."""

from __future__ import annotations

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.ocpp.schema import ErrorCode, Payload, Violation


class Refusal(RemoteProtocolError):
    """Rejection of a call by its handler: it becomes a CALLERROR with this code."""

    def __init__(self, code: ErrorCode, description: str = "", details: Payload | None = None) -> None:
        super().__init__(description, code=code)
        self.reason, self.description, self.details = code, description, details or {}


class InvalidPayload(LocalProtocolError):
    """The payload of an outgoing message breaks its schema."""

    def __init__(self, action: str, violation: Violation) -> None:
        super().__init__(f"{action}: {violation.text} (at {violation.where})")
        self.action, self.violation = action, violation


class UnknownAction(LocalProtocolError):
    """The version does not define this action."""


class QueueFull(LocalProtocolError):
    """The queue of outgoing calls is full."""
