"""The EVCC of an EV that supports several generations of the protocol: one offer, and the engine of the chosen one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from protocols.iso15118.app_protocol import Protocol
from protocols.iso15118.iso20 import orders
from protocols.iso15118.iso20.events import Event

if TYPE_CHECKING:  # only the engines of the offered protocols are loaded
    from protocols.iso15118.iso2 import evcc as iso2
    from protocols.iso15118.iso20 import evcc as iso20

Engine: TypeAlias = "iso20.Evcc | iso2.Evcc"


class Evcc:
    """EVCC of one connection. `offer`: the protocols of all `engines`, best first."""

    def __init__(self, engines: Sequence[Engine], offer: Sequence[Protocol]) -> None:
        self.engine = engines[0]
        self._engines = tuple(engines)
        self.engine.offered = offer

    @property
    def ended(self) -> bool:
        return self.engine.ended

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Process bytes from the SECC; b"" is the end of the stream."""
        events = self.engine.receive(data, now)
        agreement = self.engine.agreed_elsewhere
        if agreement is not None and not self.engine.ended:
            namespace = agreement.protocol.namespace
            car, stop = self.engine.car, self.engine.session.stop
            self.engine = next(
                one for one in self._engines if namespace in {protocol.namespace for protocol in one.protocols()}
            )
            self.engine.command(car, now)
            if stop is not None:
                self.engine.command(stop, now)
            self.engine.begin(agreement, now)
        return events

    def command(self, order: orders.EvccOrder, now: float) -> None:
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
