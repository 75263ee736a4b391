"""The public grid at the point of connection, and the interface protection that watches it.

Voltage and frequency follow a list of events and a seeded drift. Protection figures are those of Japan's low-voltage
rules as one certified inverter shows them (JEAC 9701 ranges; OVR 230 V 1 s, UVR 160 V 1 s, OFR 51.0 Hz 1 s, UFR 48.5 Hz
1 s, reclose block 300 s), scaled to the nominal voltage. + is import.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["outage", "brown-out", "frequency-step", "frequency-drift", "voltage-step"]


@dataclass(frozen=True, slots=True)
class GridEvent:
    """Something that happens to the grid. `value`: pu of voltage for brown-out and voltage-step, Hz for the others."""

    kind: Kind
    at: float  # s of the world
    duration_s: float
    value: float = 0.0

    def __post_init__(self) -> None:
        if self.at < 0 or self.duration_s <= 0:
            raise ValueError(f"{self.kind}: begins at 0 or later and lasts, not at {self.at} for {self.duration_s} s")
        if self.kind in ("brown-out", "voltage-step") and not 0 < self.value <= 2:
            raise ValueError(f"{self.kind}: the voltage is a factor between 0 and 2, not {self.value}")

    def active(self, now: float) -> bool:
        return self.at <= now < self.at + self.duration_s


@dataclass(frozen=True, slots=True)
class Supply:
    """The grid as it is now."""

    present: bool
    voltage_v: float
    frequency_hz: float


@dataclass(slots=True)
class Grid:
    """The grid over time; the same events and seed give the same grid."""

    nominal_v: float = 200.0
    nominal_hz: float = 50.0
    events: list[GridEvent] = field(default_factory=list)
    seed: int | str = 0
    wander_hz: float = 0.02  # standard deviation of the frequency
    _drawn: dict[int, float] = field(default_factory=dict)

    def at(self, now: float) -> Supply:
        """Voltage and frequency at a moment of the world."""
        volts, hertz, present = self.nominal_v, self.nominal_hz + self._wander(now), True
        for event in self.events:
            if not event.active(now):
                continue
            if event.kind == "outage":
                present = False
            elif event.kind in ("brown-out", "voltage-step"):
                volts *= event.value
            elif event.kind == "frequency-step":
                hertz += event.value
            else:  # a drift comes and goes evenly
                part = (now - event.at) / event.duration_s
                hertz += event.value * (1 - abs(2 * part - 1))
        return Supply(True, volts, hertz) if present else Supply(False, 0.0, 0.0)

    def add(self, event: GridEvent) -> None:
        """A live command: let something happen."""
        self.events.append(event)

    def end(self, kind: Kind, now: float) -> None:
        """End whatever of this kind is going on."""
        self.events = [
            GridEvent(event.kind, event.at, now - event.at, event.value)
            if event.kind == kind and event.active(now) and now > event.at
            else event
            for event in self.events
        ]

    def changes(self) -> list[float]:
        """The moments at which an event begins or ends, in order."""
        return sorted({moment for event in self.events for moment in (event.at, event.at + event.duration_s)})

    def _wander(self, now: float) -> float:
        if not self.wander_hz:
            return 0.0
        step = now / 30
        low, high = (self._draw(int(step) + n) for n in (0, 1))
        return low + (high - low) * (step - int(step))

    def _draw(self, step: int) -> float:
        value = self._drawn.get(step)
        if value is None:
            if len(self._drawn) > 100:
                self._drawn.clear()
            value = self._drawn[step] = random.Random(f"grid-{self.seed}-{step}").gauss(0, self.wander_hz)
        return value


@dataclass(frozen=True, slots=True)
class Relay:
    """One protection: trips when the value has been beyond the limit for the delay."""

    name: str
    quantity: Literal["voltage", "frequency"]
    over: bool
    limit: float  # pu of nominal voltage, or Hz
    delay_s: float


def jeac_9701(nominal_hz: float = 50.0) -> tuple[Relay, ...]:
    """Protection as in Japan, 50 or 60 Hz."""
    return (
        Relay("OVR", "voltage", True, 1.15, 1.0),
        Relay("UVR", "voltage", False, 0.80, 1.0),
        Relay("OFR", "frequency", True, nominal_hz * 1.02, 1.0),
        Relay("UFR", "frequency", False, nominal_hz * 0.97, 1.0),
    )


@dataclass(slots=True)
class InterfaceProtection:
    """Watches the grid for an inverter: trips, and lets it back only after a healthy time (anti-islanding included).

    Loss of the grid is seen within `islanding_s` (passive detection, at most 0.5 s).
    """

    nominal_v: float = 200.0
    relays: Sequence[Relay] = field(default_factory=jeac_9701)
    reconnect_s: float = 300.0
    islanding_s: float = 0.5
    tripped: str | None = None
    _beyond: dict[str, float] = field(default_factory=dict)
    _healthy_since: float | None = None

    def watch(self, supply: Supply, now: float) -> str | None:
        """Look at the grid; returns the name of a relay that trips at this moment."""
        beyond = self._look(supply, now)
        if not self._beyond:
            self._healthy_since = now if self._healthy_since is None else self._healthy_since
        else:
            self._healthy_since = None
        if self.tripped is not None:
            if self._healthy_since is not None and now - self._healthy_since >= self.reconnect_s:
                self.tripped = None
            return None
        if beyond is not None:
            self.tripped = beyond
        return beyond

    def _look(self, supply: Supply, now: float) -> str | None:
        tripping = None
        found: set[str] = set()
        if not supply.present:
            found.add("ISLANDING")
            if now - self._beyond.setdefault("ISLANDING", now) >= self.islanding_s:
                tripping = "ISLANDING"
        else:
            for relay in self.relays:
                value = supply.voltage_v / self.nominal_v if relay.quantity == "voltage" else supply.frequency_hz
                if (value > relay.limit) if relay.over else (value < relay.limit):
                    found.add(relay.name)
                    if now - self._beyond.setdefault(relay.name, now) >= relay.delay_s:
                        tripping = tripping or relay.name
        for name in list(self._beyond):
            if name not in found:
                del self._beyond[name]
        return tripping
