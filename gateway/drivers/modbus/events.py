"""Events of a device over Modbus, in the past tense. Times are monotonic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from gateway.drivers.power_order import OrderEnded, PowerExpired
from protocols.modbus.register import Meaning


@dataclass(frozen=True, slots=True)
class DeviceReady:
    """The device was read and set up; orders are accepted from now on."""

    at: float
    values: Mapping[Meaning, float | str]


@dataclass(frozen=True, slots=True)
class DeviceSilent:
    """No valid answer for longer than the product needs, or the connection has ended."""

    at: float
    reason: str


@dataclass(frozen=True, slots=True)
class ValuesRead:
    """Values of one round of reads, which began at `at`; a value that the device does not state is left out."""

    at: float
    values: Mapping[Meaning, float | str]


@dataclass(frozen=True, slots=True)
class ReadRefused:
    """The device refuses to read registers of its map; they are left out from now on."""

    at: float
    registers: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class OrderAltered:
    """Registers hold another value than the one that was ordered: a person or another program has changed them."""

    at: float
    registers: tuple[str, ...]


Event: TypeAlias = DeviceReady | DeviceSilent | ValuesRead | OrderEnded | PowerExpired | ReadRefused | OrderAltered
