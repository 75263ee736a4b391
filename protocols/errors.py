"""Protocol errors in two families: `LocalProtocolError` and `RemoteProtocolError`.

Every package below `protocols` raises one of the two. A local error means that this side requested something that the
protocol does not allow in the present state. A remote error means that the peer sent something that it may not send; it
carries the code of the response where the protocol defines one.
"""

from __future__ import annotations


class ProtocolError(Exception):
    """Violation of a protocol rule."""


class LocalProtocolError(ProtocolError):
    """Violation by this side: a command that does not fit the state, or a message that breaks its declaration."""


class RemoteProtocolError(ProtocolError):
    """Violation by the peer.

    `code` is the code of the response (an ISO 15118 response code, an OCPP error code, ...), or None where the protocol
    sends no response.
    """

    code: object | None = None

    def __init__(self, message: str, *, code: object | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
