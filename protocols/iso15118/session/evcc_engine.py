"""Base of the EVCC engines of all generations: bytes, handshake, timers and the end of a session.

A generation adds its messages: `protocols` (its offer), `_begin` (the handshake's choice), `_take_message`,
`_send_request` and `_phase_expired`. Requests are sent in `expire` when they are due. Source: one handshake for each
connection; message timers, communication setup V2G2-723.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from protocols.errors import RemoteProtocolError
from protocols.iso15118 import app_protocol
from protocols.iso15118.app_protocol import Agreement, Protocol
from protocols.iso15118.app_protocol_messages import supportedAppProtocolReq, supportedAppProtocolRes
from protocols.iso15118.iso20.events import Event, FrameIgnored, ProtocolAgreed, SessionEnded
from protocols.iso15118.session.connection import Connection
from protocols.v2gtp import Frame, FramingError, PayloadType


class EndConnection(Exception):
    """The EVCC ends the connection: the response breaks a rule or is fatal."""


def soonest(one: float | None, other: float | None) -> float | None:
    """Return the earlier of two times, of which each may be none."""
    if one is None or (other is not None and other < one):
        return other
    return one


class EvccEngine(Connection):
    """EVCC of one connection. `setup` in s; `timeout_factor` extends the message timers."""

    renegotiates = True  # schedules can be renegotiated in the loop

    def __init__(self, now: float, *, trace: bool, setup: float, timeout_factor: float) -> None:
        super().__init__(trace)
        self._timeout_factor = timeout_factor
        self.offered: Sequence[Protocol] | None = None  # instead of the own protocols: those of all engines of the EV
        self.agreed_elsewhere: Agreement | None = None  # the charger chose a protocol of another engine
        self._offer: supportedAppProtocolReq | None = None
        self._shaken = False
        self._due: float | None = now  # time of the next request; None while a response is pending
        self._answer_by: float | None = None
        self._awaited = ""
        self._setup_by: float | None = now + setup
        self._phase_by: float | None = None

    # of a generation

    def protocols(self) -> Sequence[Protocol]:
        """Return the offered protocols, best first."""
        raise NotImplementedError

    def _begin(self, agreement: Agreement, now: float) -> None:
        """Begin with the protocol of the handshake."""
        raise NotImplementedError

    def _take_message(self, received: Frame, now: float) -> None:
        """React to the message of a frame. Raises EndConnection."""
        raise NotImplementedError

    def _send_request(self, now: float) -> None:
        """Send the request of the present step."""
        raise NotImplementedError

    def _phase_expired(self, now: float) -> None:
        """Stop because the charger takes too long in the present phase."""
        raise NotImplementedError

    def _finish(self) -> None:
        """Enter the last step."""
        raise NotImplementedError

    # the engine contract

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Process bytes from the SECC; b"" is the end of the stream."""
        if self.ended:
            return self._take_events()
        if not data:
            self._end("the charger closed the connection")
            return self._take_events()
        try:
            for received in self._framer.feed(data):
                self._take(received, now)
        except (FramingError, EndConnection) as reason:
            self._end(str(reason))
        return self._take_events()

    def _take(self, received: Frame, now: float) -> None:
        if self.ended:
            return
        if self._shaken:
            self._take_message(received, now)
        else:
            self._take_handshake(received, now)

    def expire(self, now: float) -> list[Event]:
        """Process the passage of time: send due requests, or end the session on a time-out."""
        if not self.ended:
            if self._answer_by is not None and now >= self._answer_by:
                self._end(f"no response to {self._awaited} in time")
            elif self._setup_by is not None and now >= self._setup_by:
                self._end("no session was set up in time")
        if not self.ended:
            if self._phase_by is not None and now >= self._phase_by and self._due is not None:
                self._phase_expired(now)
            if self._due is not None and now >= self._due:
                self._due = None
                if self._shaken:
                    self._send_request(now)
                else:
                    self._send_offer(now)
        return self._take_events()

    def deadline(self) -> float | None:
        """Return the time of the next `expire`."""
        if self.ended:
            return None
        phase = self._phase_by if self._due is not None else None
        return soonest(soonest(self._due, self._answer_by), soonest(self._setup_by, phase))

    @property
    def next_request(self) -> float | None:
        """Time of the next request; None while a response is pending."""
        return self._due

    def move_request(self, to: float) -> None:
        """Move the next request to another time."""
        self._due = to

    # handshake

    def begin(self, agreement: Agreement, now: float) -> None:
        """Begin after a handshake, of this engine or of another one on the same connection."""
        self._shaken, self._answer_by = True, None
        self._events.append(ProtocolAgreed(agreement.protocol.namespace, agreement.minor_deviation))
        self._begin(agreement, now)

    def _send_offer(self, now: float) -> None:
        self._offer = app_protocol.request(self.protocols() if self.offered is None else self.offered)
        self._send(app_protocol.encode(self._offer), self._offer)
        self._awaited = "supportedAppProtocolReq"
        self._answer_by = now + app_protocol.ANSWER_TIMEOUT * self._timeout_factor

    def _take_handshake(self, received: Frame, now: float) -> None:
        if received.payload_type != PayloadType.SUPPORTED_APP_PROTOCOL or not received.well_formed:
            self._events.append(FrameIgnored(received.payload_type, len(received.payload)))
            return
        try:
            response = app_protocol.decode(received.payload)
            if self._offer is None or not isinstance(response, supportedAppProtocolRes):
                raise EndConnection("the charger sent an unexpected handshake message")
            agreement = app_protocol.agreed(self._offer, response)
        except RemoteProtocolError as error:
            raise EndConnection(f"the handshake failed: {error}") from error
        if agreement is None:
            raise EndConnection("car and charger have no protocol in common")
        self._received(response, received.payload)
        if agreement.protocol.namespace in {one.namespace for one in self.protocols()}:
            self.begin(agreement, now)
        else:
            self.agreed_elsewhere, self._answer_by = agreement, None

    # end

    def _end(self, reason: str, code: StrEnum | None = None) -> None:
        """End the connection without another message."""
        if not self.ended:
            self.ended = True
            self._finish()
            self._events.append(SessionEnded(reason=reason, ok=False, code=code))
