"""Orders to a device that is read and written in requests, and how they end. Times are monotonic."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.model.station import Outcome


@dataclass(frozen=True, slots=True)
class PowerOrder:
    """A power for a time; `number` identifies the order."""

    number: int
    power_w: float  # + into the vehicle or storage
    valid_until: float


@dataclass(frozen=True, slots=True)
class OrderEnded:
    """An order was confirmed, refused, or its effect is not known."""

    at: float
    number: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class PowerExpired:
    """A power was not renewed in time: 0 W is being written."""

    at: float
