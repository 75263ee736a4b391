"""A host with its emulated modem on a real interface, which then is the powerline; and the control pilot beside it.

The other end is a process of the same kind. The pilot, which is a wire of its own in a cable, travels in frames of the
ethertype for experiments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from emulators.powerline.medium import Host
from emulators.powerline.modem import BEACON_ETHERTYPE, EmulatedModem
from protocols.iec61851 import X1, OutputKind, PilotOutput, PilotState
from protocols.slac.frames import BROADCAST, ETHERTYPE
from protocols.slac.plug import EvPlug, EvsePlug

ETHERTYPES = frozenset({ETHERTYPE, BEACON_ETHERTYPE})
PILOT_MARK = b"v2x pilot 1"
PILOT_INTERVAL = 0.1  # s
UNPLUGGED_AFTER = 1.0  # s without a frame of the other side


class PilotEnd(Protocol):
    """One end of the control pilot."""

    def shown(self) -> bytes:
        """Return what this end shows, 3 bytes."""

    def seen(self, content: bytes | None, now: float) -> Sequence[object]:
        """Process what the other end shows, None for nothing."""


class EvsePilotEnd:
    """The end of an EVSE."""

    def __init__(self, plug: EvsePlug) -> None:
        self._plug = plug

    def shown(self) -> bytes:
        output = self._plug.output
        return output.kind.value[:1].encode() + round(output.duty_pct * 100).to_bytes(2, "big")

    def seen(self, content: bytes | None, now: float) -> Sequence[object]:
        if self._plug.output.kind in (OutputKind.E, OutputKind.F):
            return ()  # the board measures its own voltage
        code = content[:1].decode("ascii", "replace") if content else "A"
        known = {state.value: state for state in PilotState}
        return self._plug.measured(known[code], now) if code in known else ()


class EvPilotEnd:
    """The end of a vehicle."""

    def __init__(self, plug: EvPlug) -> None:
        self._plug = plug

    def shown(self) -> bytes:
        return self._plug.state.value.encode() + b"\0\0"

    def seen(self, content: bytes | None, now: float) -> Sequence[object]:
        kinds = {kind.value[:1].encode(): kind for kind in OutputKind}
        if not content or content[:1] not in kinds:
            return self._plug.measured(X1, now) if content is None else ()
        duty_pct = int.from_bytes(content[1:3], "big") / 100
        return self._plug.measured(PilotOutput(kinds[content[:1]], duty_pct), now)


class OnLine:
    """A host behind an emulated modem, as one engine whose frames are those of the line."""

    def __init__(self, host: Host, modem: EmulatedModem, mean_db: int, pilot: PilotEnd | None = None) -> None:
        self.host = host
        self.modem = modem
        self._mean_db = mean_db
        self._pilot = pilot
        self._pilot_at: float | None = None if pilot is None else 0.0
        self._shown = b""
        self._seen_at: float | None = None
        self._outgoing: list[bytes] = []

    def receive(self, data: bytes, now: float) -> list[object]:
        """Process a frame of the line."""
        events: list[object] = []
        if self._pilot is not None and data[14 : 14 + len(PILOT_MARK)] == PILOT_MARK:
            self._seen_at = now
            events += self._pilot.seen(data[14 + len(PILOT_MARK) :][:3], now)
        else:
            self.modem.from_line(data, now, self._mean_db)
        return events + self._settle(now)

    def expire(self, now: float) -> list[object]:
        """Process the passage of time."""
        self.modem.expire(now)
        events: list[object] = list(self.host.expire(now))
        if self._pilot is not None and self._seen_at is not None and now - self._seen_at > UNPLUGGED_AFTER:
            self._seen_at = None
            events += self._pilot.seen(None, now)
        if self._pilot_at is not None and now >= self._pilot_at:
            self._pilot_at = now + PILOT_INTERVAL
            self._shown = b""
        return events + self._settle(now)

    def data_to_send(self) -> list[bytes]:
        """Return the frames for the line."""
        frames, self._outgoing = [*self._outgoing, *self.modem.line_frames()], []
        return frames

    def deadline(self) -> float | None:
        times = (self.host.deadline(), self.modem.deadline(), self._pilot_at)
        return min((when for when in times if when is not None), default=None)

    def _settle(self, now: float) -> list[object]:
        events: list[object] = []
        busy = True
        while busy:
            to_modem = self.host.data_to_send()
            for data in to_modem:
                self.modem.from_host(data, now)
            to_host = self.modem.host_frames()
            for data in to_host:
                events += self.host.receive(data, now)
            busy = bool(to_modem or to_host)
        if self._pilot is not None and (shown := self._pilot.shown()) != self._shown:
            self._shown = shown
            header = BROADCAST + self.modem.mac + BEACON_ETHERTYPE.to_bytes(2, "big")
            self._outgoing.append(header + (PILOT_MARK + shown).ljust(46, b"\0"))
        return events
