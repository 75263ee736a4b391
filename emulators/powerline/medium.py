"""A powerline in memory: hosts with their modems, attenuation between them, disturbances; time passes by `run`.

Each station is an engine (`Host`) behind an `EmulatedModem`. A matrix has the attenuation between each two modems; a
`Disturbance` loses, delays, repeats and reorders frames on the line. Everything is an exact function of the inputs.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from emulators.powerline.modem import MODEM_PROFILES, EmulatedModem, ModemProfile

LATENCY = 0.002  # s of a frame on the line
SILENT_DB = 90  # a sound of this attenuation is not received
DEFAULT_DB = 60  # of a pair without an entry: two bays of one site

Disturbance = Callable[[bytes], Iterable[float]]  # frame to the delays of its deliveries, none if it is lost


class Host(Protocol):
    """An engine that exchanges Ethernet frames with its modem."""

    def receive(self, data: bytes, now: float) -> Sequence[object]: ...

    def expire(self, now: float) -> Sequence[object]: ...

    def data_to_send(self) -> list[bytes]: ...

    def deadline(self) -> float | None: ...


def undisturbed(_: bytes) -> Iterable[float]:
    """Deliver each frame once."""
    return (0.0,)


def random_disturbance(
    seed: int, *, loss: float = 0.0, copies: float = 0.0, delay_s: float = 0.0, sounds_only: bool = False
) -> Disturbance:
    """Return a disturbance: each frame is lost, repeated and delayed (up to `delay_s`, so reordered) by chance."""
    chance = random.Random(seed)

    def disturb(data: bytes) -> list[float]:
        if sounds_only and data[15:17] != b"\x76\x60":
            return [0.0]
        if chance.random() < loss:
            return []
        count = 2 if chance.random() < copies else 1
        return [chance.uniform(0.0, delay_s) for _ in range(count)]

    return disturb


@dataclass(eq=False, slots=True)
class Station:
    """A host with its modem, and what it reported."""

    name: str
    host: Host
    modem: EmulatedModem
    events: list[tuple[float, object]] = field(default_factory=list)

    def reported(self, kind: type) -> list[object]:
        """Return the events of a class."""
        return [event for _, event in self.events if isinstance(event, kind)]


class Powerline:
    """The line. `couple` is called whenever time passes, for what connects hosts besides: the control pilots."""

    def __init__(self, disturbance: Disturbance = undisturbed) -> None:
        self.now = 0.0
        self.disturbance = disturbance
        self.stations: list[Station] = []
        self.frames: list[tuple[float, str, bytes]] = []  # of hosts, as a capture at each of them
        self.couple: list[Callable[[float], None]] = []
        self._attenuation: dict[frozenset[str], int] = {}
        self._travelling: list[tuple[float, int, Station, bytes, int]] = []
        self._count = 0

    def add(self, name: str, host: Host, modem: ModemProfile = MODEM_PROFILES["qca7000"]) -> Station:
        """Connect a host by a modem of its own."""
        mac = b"\x04\x65\x65\x00\x00" + bytes((len(self.stations) + 1,))
        station = Station(name, host, EmulatedModem(mac, modem))
        self.stations.append(station)
        return station

    def attenuate(self, one: str, other: str, mean_db: int) -> None:
        """Set the attenuation between two stations."""
        self._attenuation[frozenset((one, other))] = mean_db

    def run(self, until: float, when: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass until a moment, or until a condition holds; return True if it does."""
        self._settle()
        while not when():
            due = min((one for one in self._deadlines() if one is not None), default=None)
            if due is None or due > until:
                self.now = until
                return when()
            self.now = max(self.now, due)
            self._step()
            self._settle()
        return True

    def _deadlines(self) -> Iterable[float | None]:
        yield self._travelling[0][0] if self._travelling else None
        for station in self.stations:
            yield station.host.deadline()
            yield station.modem.deadline()

    def _step(self) -> None:
        while self._travelling and self._travelling[0][0] <= self.now:
            _, _, station, data, mean_db = heapq.heappop(self._travelling)
            station.modem.from_line(data, self.now, mean_db)
        for station in self.stations:
            station.modem.expire(self.now)
            self._note(station, station.host.expire(self.now))

    def _settle(self) -> None:
        """Exchange frames between hosts and modems until none is left."""
        busy = True
        while busy:
            busy = False
            for station in self.stations:
                for data in station.host.data_to_send():
                    self.frames.append((self.now, station.name, data))
                    station.modem.from_host(data, self.now)
                    busy = True
                for data in station.modem.host_frames():
                    self.frames.append((self.now, station.name, data))
                    self._note(station, station.host.receive(data, self.now))
                    busy = True
                for data in station.modem.line_frames():
                    self._spread(station, data)
            for couple in self.couple:
                couple(self.now)

    def _spread(self, sender: Station, data: bytes) -> None:
        for station in self.stations:
            mean_db = self._attenuation.get(frozenset((sender.name, station.name)), DEFAULT_DB)
            if station is sender or mean_db >= SILENT_DB:
                continue
            for delay in self.disturbance(data):
                self._count += 1
                entry = (self.now + LATENCY + delay, self._count, station, data, mean_db)
                heapq.heappush(self._travelling, entry)

    def _note(self, station: Station, events: Sequence[object]) -> None:
        station.events.extend((self.now, event) for event in events)
