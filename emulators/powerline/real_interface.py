"""A host with its emulated modem on a real interface, which then is the powerline; and the control pilot beside it.

The other end is a process of the same kind, or a foreign host without a modem: one that addresses its local modem on
this interface gets an emulated one here. The pilot, which is a wire of its own in a cable, travels in frames of the
ethertype for experiments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from emulators.powerline.medium import SILENT_DB, Host
from emulators.powerline.modem import BEACON_ETHERTYPE, EmulatedModem
from protocols.iec61851 import X1, OutputKind, PilotOutput, PilotState
from protocols.slac.frames import BROADCAST, ETHERTYPE
from protocols.slac.plug import EvPlug, EvsePlug
from protocols.slac.vendor import QUALCOMM_MODEM

ETHERTYPES = frozenset({ETHERTYPE, BEACON_ETHERTYPE})
PILOT_MARK = b"v2x pilot 1"
FOREIGN_MODEM = b"\x04\x65\x65\xff\xff\xff"
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
    """A host behind an emulated modem, as one engine whose frames are those of the line.

    `mean_db`: attenuation that its modem measures, or another one for the hosts in `neighbours`, by address.
    """

    def __init__(
        self,
        host: Host,
        modem: EmulatedModem,
        mean_db: int,
        pilot: PilotEnd | None = None,
        neighbours: Mapping[bytes, int] = MappingProxyType({}),
    ) -> None:
        self.host = host
        self.modem = modem
        self.foreign: EmulatedModem | None = None  # of the foreign host at the other end
        self._mean_db = mean_db
        self._neighbours = neighbours
        self._pilot = pilot
        self._pilot_at: float | None = None if pilot is None else 0.0
        self._shown = b""
        self._seen_at: float | None = None
        self._outgoing: list[bytes] = []

    def receive(self, data: bytes, now: float) -> list[object]:
        """Process a frame of the interface."""
        events: list[object] = []
        if self._pilot is not None and data[14 : 14 + len(PILOT_MARK)] == PILOT_MARK:
            self._seen_at = now
            events += self._pilot.seen(data[14 + len(PILOT_MARK) :][:3], now)
        elif (foreign := self._modem_of(data)) is not None:
            foreign.from_host(data, now)
        elif (mean_db := self._neighbours.get(data[6:12], self._mean_db)) < SILENT_DB:
            self.modem.from_line(data, now, mean_db)
        return events + self._settle(now)

    def expire(self, now: float) -> list[object]:
        """Process the passage of time."""
        for modem in self._modems():
            modem.expire(now)
        events: list[object] = list(self.host.expire(now))
        if self._pilot is not None and self._seen_at is not None and now - self._seen_at > UNPLUGGED_AFTER:
            self._seen_at = None
            events += self._pilot.seen(None, now)
        if self._pilot_at is not None and now >= self._pilot_at:
            self._pilot_at = now + PILOT_INTERVAL
            self._shown = b""
        return events + self._settle(now)

    def data_to_send(self) -> list[bytes]:
        """Return the frames for the interface."""
        frames, self._outgoing = self._outgoing, []
        return frames

    def deadline(self) -> float | None:
        times = (self.host.deadline(), self._pilot_at, *(modem.deadline() for modem in self._modems()))
        return min((when for when in times if when is not None), default=None)

    def _modems(self) -> tuple[EmulatedModem, ...]:
        return (self.modem,) if self.foreign is None else (self.modem, self.foreign)

    def _modem_of(self, data: bytes) -> EmulatedModem | None:
        """Return the modem of the foreign host that sent a frame; one with a modem sends no such frames here."""
        if data[12:14] != ETHERTYPE.to_bytes(2, "big"):
            return None
        if self.foreign is None and data[:6] == QUALCOMM_MODEM:
            self.foreign = EmulatedModem(FOREIGN_MODEM, self.modem.profile)
        known = self.foreign is not None and (data[:6] == QUALCOMM_MODEM or data[6:12] == self.foreign.host)
        return self.foreign if known else None

    def _settle(self, now: float) -> list[object]:
        """Exchange frames between hosts and modems until none is left."""
        events: list[object] = []
        busy = True
        while busy:
            to_modem = self.host.data_to_send()
            for data in to_modem:
                self.modem.from_host(data, now)
            to_line = self.modem.line_frames()
            from_foreign: list[bytes] = []
            if self.foreign is None:
                self._outgoing += to_line
            else:
                for data in to_line:
                    self.foreign.from_line(data, now, self._mean_db)
                from_foreign = self.foreign.line_frames()
                for data in from_foreign:
                    self.modem.from_line(data, now, self._mean_db)
                self._outgoing += self.foreign.host_frames()
            to_host = self.modem.host_frames()
            for data in to_host:
                events += self.host.receive(data, now)
            busy = bool(to_modem or to_line or from_foreign or to_host)
        if self._pilot is not None and (shown := self._pilot.shown()) != self._shown:
            self._shown = shown
            header = BROADCAST + self.modem.mac + BEACON_ETHERTYPE.to_bytes(2, "big")
            self._outgoing.append(header + (PILOT_MARK + shown).ljust(46, b"\0"))
        return events
