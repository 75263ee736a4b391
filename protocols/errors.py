"""Who broke the rule.

Every protocol room raises one of two families and nothing else: `LocalProtocolError` when our own side asked for
something the protocol does not allow now, `RemoteProtocolError` when the peer sent something it may not. The second
carries the code that goes back over the wire, where the protocol has one.
"""

from __future__ import annotations


class ProtocolError(Exception):
    """A rule of a protocol was broken."""


class LocalProtocolError(ProtocolError):
    """We broke the rule: an order that does not fit the state, a message that breaks its own declaration."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the rule.

    `code` is what the protocol at hand answers with (an ISO 15118 response code, an OCPP error code, ...), or None
    where the protocol stays silent.
    """

    code: object | None = None

    def __init__(self, message: str, *, code: object | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
