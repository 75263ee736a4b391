"""Meters, storage and photovoltaics of any driver as inputs of the site, as if a facility controller published them.

One input may come from several devices: powers add up. While one of them is silent the input is not sent, so that it
becomes stale: a missing value is not zero. `input_of` is pure.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from gateway.model.reason import Reason
from gateway.model.site import InputKind
from protocols.modbus.register import Meaning
from protocols.ports import Clock

Values = Mapping[Meaning, float | str]
Body = dict[str, object]
SendInput = Callable[[str, bytes], Reason | None]  # `GatewayService.input`


class SiteSource(Protocol):
    """A device. `sign` -1: mounted the other way round. `values` is empty while it is silent."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> InputKind: ...
    @property
    def sign(self) -> int: ...
    @property
    def values(self) -> Values: ...
    @property
    def read_at(self) -> float:
        """Monotonic time of the values."""


def number_of(source: SiteSource, meaning: Meaning) -> float | None:
    """Return a value as a number."""
    value = source.values.get(meaning)
    return value if isinstance(value, float) else None


def power_of(source: SiteSource) -> float | None:
    """Return the power, with the sign of the mounting."""
    power_w = number_of(source, Meaning.POWER_W)
    return None if power_w is None else power_w * source.sign + 0.0


def input_of(kind: InputKind, devices: Iterable[SiteSource]) -> Body | None:
    """Return the members of an input, None while a device has no power."""
    devices = list(devices)
    powers = [power_of(one) for one in devices]
    if not powers or any(one is None for one in powers):
        return None
    power_w = sum(one for one in powers if one is not None)
    body: Body = {"power_w": power_w if kind in (InputKind.GRID, InputKind.STORAGE) else max(0.0, power_w)}
    if kind is InputKind.GRID:
        body["present"] = True  # a meter without voltage is recognised by its voltage
        body |= _stated(devices[0], {"voltage_v": Meaning.VOLTAGE_V, "frequency_hz": Meaning.FREQUENCY_HZ})
    elif kind is InputKind.STORAGE:
        body |= _storage(devices)
    return body


def _stated(device: SiteSource, wanted: Mapping[str, Meaning]) -> Body:
    found = {name: number_of(device, meaning) for name, meaning in wanted.items()}
    return {name: value for name, value in found.items() if value is not None and value >= 0}


def _storage(devices: list[SiteSource]) -> Body:
    """Return the sums of storages, with the state of charge of all by their capacities; only what all of them state."""
    body: Body = {}
    capacities = [number_of(one, Meaning.CAPACITY_WH) for one in devices]
    levels = [number_of(one, Meaning.SOC_PCT) for one in devices]
    known = [one for one in capacities if one]
    weights = known if len(known) == len(devices) else [1.0] * len(devices)
    stated = [one for one in levels if one is not None and 0 <= one <= 100]
    if len(stated) == len(devices):
        body["soc_pct"] = sum(w * one for w, one in zip(weights, stated, strict=True)) / sum(weights)
    if len(known) == len(devices):
        body["capacity_wh"] = sum(known)
    for name, meaning in (("max_charge_w", Meaning.MAX_CHARGE_W), ("max_discharge_w", Meaning.MAX_DISCHARGE_W)):
        limits = [number_of(one, meaning) for one in devices]
        if all(one is not None for one in limits):
            body[name] = sum(abs(one) for one in limits if one is not None)
    return body


class SiteInputs:
    """Inputs of the site from devices of all drivers."""

    def __init__(self, send: SendInput, clock: Clock, sources: Iterable[SiteSource] = ()) -> None:
        self._sources = list(sources)
        self._send, self._clock = send, clock

    def add(self, sources: Iterable[SiteSource]) -> None:
        """Add the devices of a driver."""
        self._sources += sources

    def share_w(self, kind: InputKind, power_w: float) -> float:
        """Return the equal share of one device in a power of all devices of an input, whatever their drivers."""
        return power_w / sum(one.kind is kind for one in self._sources)

    def publish(self, kind: InputKind) -> None:
        """Send an input, where all of its devices have values."""
        sources = [one for one in self._sources if one.kind is kind]
        body = input_of(kind, sources)
        if body is not None:
            age_s = self._clock.now() - min(one.read_at for one in sources)
            self._send(kind, json.dumps({"ts": self._clock.wall() - age_s, **body}).encode())
