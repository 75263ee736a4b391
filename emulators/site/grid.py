"""Public grid at the point of connection, and the interface protection.

Voltage and frequency follow a list of events and a seeded drift. Protection settings are those of Japan's low-voltage
rules as displayed by one certified inverter (JEAC 9701 ranges; OVR 230 V 1 s, UVR 160 V 1 s, OFR 51.0 Hz 1 s, UFR 48.5
Hz 1 s, reclose block 300 s), scaled to the nominal voltage. + is import.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from protocols.frozen import frozen

Kind = Literal["outage", "brown-out", "frequency-step", "frequency-drift", "voltage-step"]


@frozen
class GridEvent:
    """A disturbance. `value`: voltage in pu for brown-out and voltage-step, deviation in Hz for frequency events."""

    kind: Kind
    at: float  # s of the world
    duration_s: float
    value: float = 0.0

    def __post_init__(self) -> None:
        if self.at < 0 or self.duration_s <= 0:
            raise ValueError(
                f"{self.kind}: start must be at least 0 s and duration more than 0 s, not {self.at}, {self.duration_s}"
            )
        if self.kind in ("brown-out", "voltage-step") and not 0 < self.value <= 2:
            raise ValueError(f"{self.kind}: the voltage factor must be between 0 and 2, not {self.value}")

    def active(self, now: float) -> bool:
        return self.at <= now < self.at + self.duration_s


@frozen
class Supply:
    """State of the grid at one time."""

    present: bool
    voltage_v: float
    frequency_hz: float


@dataclass(slots=True)
class Grid:
    """The grid over time, determined by events and seed."""

    nominal_v: float = 200.0
    nominal_hz: float = 50.0
    events: list[GridEvent] = field(default_factory=list)
    seed: int | str = 0
    deviation_hz: float = 0.02  # standard deviation of the frequency
    _drawn: dict[int, float] = field(default_factory=dict)

    def at(self, now: float) -> Supply:
        """Return voltage and frequency at a time."""
        volts, hertz, present = self.nominal_v, self.nominal_hz + self._deviation(now), True
        for event in self.events:
            if not event.active(now):
                continue
            if event.kind == "outage":
                present = False
            elif event.kind in ("brown-out", "voltage-step"):
                volts *= event.value
            elif event.kind == "frequency-step":
                hertz += event.value
            else:  # a drift rises and falls linearly
                part = (now - event.at) / event.duration_s
                hertz += event.value * (1 - abs(2 * part - 1))
        return Supply(True, volts, hertz) if present else Supply(False, 0.0, 0.0)

    def add(self, event: GridEvent) -> None:
        """Add an event during the run."""
        self.events.append(event)

    def end(self, kind: Kind, now: float) -> None:
        """End the active events of a kind."""
        self.events = [
            GridEvent(event.kind, event.at, now - event.at, event.value)
            if event.kind == kind and event.active(now) and now > event.at
            else event
            for event in self.events
        ]

    def _deviation(self, now: float) -> float:
        if not self.deviation_hz:
            return 0.0
        step = now / 30
        first = int(step)
        low, high = self._draw(first), self._draw(first + 1)
        return low + (high - low) * (step - first)

    def _draw(self, step: int) -> float:
        value = self._drawn.get(step)
        if value is None:
            if len(self._drawn) > 100:
                self._drawn.clear()
            value = self._drawn[step] = random.Random(f"grid-{self.seed}-{step}").gauss(0, self.deviation_hz)
        return value


@frozen
class Relay:
    """One protection function: trips when the quantity has been beyond the limit for the delay."""

    name: str
    quantity: Literal["voltage", "frequency"]
    over: bool
    limit: float  # pu of nominal voltage, or Hz
    delay_s: float


def jeac_9701(nominal_hz: float = 50.0) -> tuple[Relay, ...]:
    """Return the protection functions of Japan's rules, for 50 or 60 Hz."""
    return (
        Relay("OVR", "voltage", True, 1.15, 1.0),
        Relay("UVR", "voltage", False, 0.80, 1.0),
        Relay("OFR", "frequency", True, nominal_hz * 1.02, 1.0),
        Relay("UFR", "frequency", False, nominal_hz * 0.97, 1.0),
    )


@dataclass(slots=True)
class InterfaceProtection:
    """Protection of the inverters: trips, and permits reconnection only after the grid was normal for a while.

    Loss of mains is detected within `islanding_s` (passive detection, at most 0.5 s).
    """

    nominal_v: float = 200.0
    relays: Sequence[Relay] = field(default_factory=jeac_9701)
    reconnect_s: float = 300.0
    islanding_s: float = 0.5
    tripped: str | None = None
    _beyond: dict[str, float] = field(default_factory=dict)
    _normal_since: float | None = None

    def update(self, supply: Supply, now: float) -> str | None:
        """Evaluate the grid; return the name of a relay that trips now."""
        tripping = self._evaluate(supply, now)
        if not self._beyond:
            self._normal_since = now if self._normal_since is None else self._normal_since
        else:
            self._normal_since = None
        if self.tripped is not None:
            if self._normal_since is not None and now - self._normal_since >= self.reconnect_s:
                self.tripped = None
            return None
        if tripping is not None:
            self.tripped = tripping
        return tripping

    def _evaluate(self, supply: Supply, now: float) -> str | None:
        tripping = None
        beyond: set[str] = set()
        if not supply.present:
            beyond.add("ISLANDING")
            if now - self._beyond.setdefault("ISLANDING", now) >= self.islanding_s:
                tripping = "ISLANDING"
        else:
            for relay in self.relays:
                value = supply.voltage_v / self.nominal_v if relay.quantity == "voltage" else supply.frequency_hz
                if (value > relay.limit) if relay.over else (value < relay.limit):
                    beyond.add(relay.name)
                    if now - self._beyond.setdefault(relay.name, now) >= relay.delay_s:
                        tripping = tripping or relay.name
        for name in list(self._beyond):
            if name not in beyond:
                del self._beyond[name]
        return tripping
