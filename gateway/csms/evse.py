"""One EVSE of a station (in 1.6, a connector): what was heard of it, and what the gateway has told it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from gateway.model.event import OperationMode, PlugState, PowerLimits, VehicleNeeds


@dataclass(slots=True)
class Installed:
    """The set-point profile that the station holds."""

    profile: int
    transaction: str
    mode: OperationMode
    power_w: float
    hold_s: float | None


@dataclass(slots=True)
class Safe:
    """The stack-level-0 profile beneath all others: whether it is there, and how often it was asked for in vain."""

    held: bool = False
    tries: int = 0  # in a row that came to nothing
    retry_at: float = 0.0  # engine time; before it, it is not asked again
    trouble: str = ""  # what the station said, or that it said nothing

    def forget(self) -> None:
        """What the station holds now is not known."""
        self.held, self.tries, self.retry_at, self.trouble = False, 0, 0.0, ""


@dataclass(slots=True)
class Evse:
    """One EVSE."""

    number: int
    name: str
    connectors: dict[int, str] = field(default_factory=dict)  # status in OCPP's words
    plug: PlugState | None = None
    fault: str | None = None
    mode: OperationMode | None = None
    limits: PowerLimits | None = None  # as last described
    can_discharge: bool = False
    why_not: str = ""
    bidirectional: bool | None = None  # what the vehicle asked for; None before it did
    stated: VehicleNeeds | None = None  # by a vehicle at a 2.0.1 station
    installed: Installed | None = None
    ordered: tuple[float, float] | None = None  # the last power that was taken, in W, and until when (engine time)
    safe: Safe = field(default_factory=Safe)
    priority: bool = False  # the driver asked for priority charging
    order: asyncio.Lock = field(default_factory=asyncio.Lock)  # one order at a time, in the order they came
    let_go: asyncio.Task[None] | None = None  # stands in for the dead-man that the station lacks

    def forget_profiles(self) -> None:
        """What the station holds now is not known."""
        self.installed = None
        self.safe.forget()
