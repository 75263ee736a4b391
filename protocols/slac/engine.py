"""Base of both SLAC engines: frames in and out, the modem, amplitude maps."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable

from protocols.errors import LocalProtocolError
from protocols.slac import timers
from protocols.slac.codec import decode
from protocols.slac.events import AmplitudeMapAnswered, AmplitudeMapReceived, Event, FrameIgnored, SendAmplitudeMap
from protocols.slac.frames import BROADCAST, Frame, Message, SlacFrameError
from protocols.slac.messages import AmpMapCnf, AmpMapReq
from protocols.slac.modem import Modem, ModemSettings

MOST_WAITING = 64  # frames; the oldest one is dropped
Entropy = Callable[[int], bytes]


class SlacEngine:
    """Base of the engines. `receive` takes one Ethernet frame, `data_to_send` returns the frames to send."""

    def __init__(self, host: bytes, modem: ModemSettings, entropy: Entropy = secrets.token_bytes) -> None:
        self.host = host
        self.peer: bytes | None = None  # the host of the matched pair
        self.modem = Modem(modem, self._send)
        self._entropy = entropy
        self._outgoing: deque[bytes] = deque(maxlen=MOST_WAITING)
        self._events: list[Event] = []
        self._map: AmpMapReq | None = None
        self._map_tries = 0
        self._map_at: float | None = None

    # the engine contract

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Process one Ethernet frame; one that is not for this host, or not understood, has no effect."""
        try:
            frame = decode(data)
        except SlacFrameError as error:
            self._events.append(FrameIgnored(data[6:12], "", str(error)))
            return self._take_events(now)
        if frame.source != self.host and frame.destination in (self.host, BROADCAST):
            if not self.modem.receive(frame, now):
                self._take(frame, now)
            self._after_modem(now)
        return self._take_events(now)

    def expire(self, now: float) -> list[Event]:
        """Process the passage of time."""
        self.modem.expire(now)
        self._after_modem(now)
        if self._map_at is not None and now >= self._map_at:
            self._send_map(now)
        self._expire(now)
        return self._take_events(now)

    def data_to_send(self) -> list[bytes]:
        """Return the Ethernet frames to send, and remove them."""
        frames = list(self._outgoing)
        self._outgoing.clear()
        return frames

    def deadline(self) -> float | None:
        """Return the time at which `expire` is due, None for never."""
        times = (self.modem.deadline(), self._map_at, self._deadline())
        return min((when for when in times if when is not None), default=None)

    # of the roles

    def _take(self, frame: Frame, now: float) -> None:
        """Process a message of the peer."""
        raise NotImplementedError

    def _expire(self, now: float) -> None:
        raise NotImplementedError

    def _deadline(self) -> float | None:
        raise NotImplementedError

    def _on_modem_event(self, event: Event, now: float) -> None:
        """Process an event of the modem, which is reported as well."""
        raise NotImplementedError

    def _on_link(self, now: float) -> None:
        """Process the present link status."""
        raise NotImplementedError

    # for the roles

    def _send(self, destination: bytes, message: Message) -> None:
        self._outgoing.append(Frame(destination, self.host, message).encode())

    def _ignore(self, frame: Frame, reason: str) -> None:
        self._events.append(FrameIgnored(frame.source, type(frame.message).__name__, reason))

    def _after_modem(self, now: float) -> None:
        events, self.modem.events = self.modem.events, []
        for event in events:
            self._events.append(event)
            self._on_modem_event(event, now)
        self._on_link(now)

    def _take_events(self, now: float) -> list[Event]:
        events, self._events = self._events, []
        return events

    # amplitude map

    def _order_map(self, order: SendAmplitudeMap, now: float) -> None:
        if self.peer is None:
            raise LocalProtocolError("an amplitude map needs a matched peer")
        if not order.carriers or not all(0 <= value <= 0xF for value in order.carriers):
            raise LocalProtocolError("an amplitude map has 4 bits for each carrier, and at least one")
        self._map, self._map_tries = AmpMapReq(order.carriers), 0
        self._send_map(now)

    def _send_map(self, now: float) -> None:
        if self._map is None or self.peer is None or self._map_tries > timers.MATCH_RETRIES:
            self._map_at, self._map = None, None
            self._events.append(AmplitudeMapAnswered(ok=False))
            return
        self._map_tries += 1
        self._map_at = now + timers.AMPLITUDE_MAP
        self._send(self.peer, self._map)

    def _take_map(self, frame: Frame) -> None:
        """Process a message of an amplitude map; one without carriers stays unanswered."""
        message = frame.message
        if frame.source != self.peer:
            self._ignore(frame, "not from the matched peer")
        elif isinstance(message, AmpMapReq) and message.carriers:
            self._send(frame.source, AmpMapCnf())
            self._events.append(AmplitudeMapReceived(message.carriers))
        elif isinstance(message, AmpMapCnf) and self._map is not None:
            self._map, self._map_at = None, None
            self._events.append(AmplitudeMapAnswered(ok=message.result == 0))
