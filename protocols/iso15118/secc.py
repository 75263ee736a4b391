"""The SECC of one port: the generation of the protocol follows from the handshake.

`Secc` has an engine for each generation that it serves, and gives the connection to the one whose protocol the EV
prefers among all (V2G2-169, V2G20-169). What a generation may not use on this connection its engine does not offer
(V2G20-2356). Before the handshake the first engine stands for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from protocols.errors import RemoteProtocolError
from protocols.iso15118 import app_protocol
from protocols.iso15118.app_protocol_messages import supportedAppProtocolReq
from protocols.iso15118.iso20 import orders
from protocols.iso15118.iso20.events import Event
from protocols.v2gtp import Framer, FramingError, PayloadType

if TYPE_CHECKING:  # only the engines of the offered protocols are loaded
    from protocols.iso15118.iso2 import secc as iso2
    from protocols.iso15118.iso20 import secc as iso20

Engine: TypeAlias = "iso20.Secc | iso2.Secc"
MOST_BEFORE_OFFER = 1 << 16  # bytes that an EV may send before its offer


class Secc:
    """SECC of one connection; `engines`: at least one, of different generations."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        self.engine = engines[0]
        self._engines = tuple(engines)
        self._early: bytes | None = b"" if len(engines) > 1 else None  # received before the handshake

    @property
    def ended(self) -> bool:
        return self.engine.ended

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Process bytes from the EV; b"" is the end of the stream."""
        if self._early is None:
            return self.engine.receive(data, now)
        self._early += data
        offer, complete = _first_offer(self._early)
        if data and not complete and len(self._early) < MOST_BEFORE_OFFER:
            return []
        early, self._early = self._early, None
        chosen = self._choose(offer)
        if chosen is not self.engine:
            chosen.take_over(self.engine.evse)
            self.engine = chosen
        events = self.engine.receive(early, now) if early else []
        return events if data else events + self.engine.receive(b"", now)

    def _choose(self, offer: supportedAppProtocolReq | None) -> Engine:
        if offer is not None:
            supported = [protocol for engine in self._engines for protocol in engine.protocols()]
            _, agreement = app_protocol.choose(offer, supported)
            for engine in self._engines if agreement is not None else ():
                if agreement is not None and agreement.protocol.namespace in {p.namespace for p in engine.protocols()}:
                    return engine
        return self.engine

    def command(self, order: orders.SeccOrder, now: float) -> None:
        """Execute an order of the host."""
        self.engine.command(order, now)

    def expire(self, now: float) -> list[Event]:
        """Process the passage of time."""
        return self.engine.expire(now)

    def data_to_send(self) -> bytes:
        """Return the pending output in one piece and clear it."""
        return self.engine.data_to_send()

    def deadline(self) -> float | None:
        """Return the time of the next `expire`."""
        return self.engine.deadline()


def _first_offer(received: bytes) -> tuple[supportedAppProtocolReq | None, bool]:
    """Return the EV's offer in the first bytes, and whether the decision is possible: an offer, or none to come."""
    try:
        for frame in Framer().feed(received):
            if frame.payload_type == PayloadType.SUPPORTED_APP_PROTOCOL and frame.well_formed:
                message = app_protocol.decode(frame.payload)
                if isinstance(message, supportedAppProtocolReq):
                    return message, True
    except (FramingError, RemoteProtocolError):
        return None, True
    return None, False
