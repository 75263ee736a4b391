"""Values of the set-point state machine (`gateway.control.setpoint`): what it is given, what it returns, its state."""

from __future__ import annotations

from enum import Enum, StrEnum

from protocols.frozen import frozen


class State(StrEnum):
    """Last transition of a set-point."""

    UNVERIFIED = "unverified"
    RESTORED = "restored"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    TIMED_OUT = "timed_out"


class Action(Enum):
    """Action that a set-point requires now."""

    WAIT = 1
    VERIFY = 2  # read the station's set-point
    SEND = 3
    CORRECT = 4  # send again: power flows although the station accepted 0 W


class Completion(Enum):
    """Effect of an answer to an order."""

    SUPERSEDED = 1  # the link or session of the order is gone
    REPEATED = 2  # accepted, the power is as before
    CHANGED = 3  # accepted, the power is another
    REJECTED = 4
    UNANSWERED = 5
    SILENT = 6  # unanswered for the `MAX_UNANSWERED`th time or more


@frozen
class Order:
    """A set-point on its way to the station."""

    power_w: float
    valid_for_s: float
    sent_at: float
    ordered_w: float | None = None  # as of `Target`


@frozen
class Target:
    """Power that the station should hold, and what bears on when to send it. Times are monotonic."""

    power_w: float
    emergency_stop: bool = False
    allocated: bool = False  # a command has an allocation here
    unconfirmed: bool = False  # and the station has not confirmed it
    lease_until: float | None = None
    measured_w: float | None = None
    measured_at: float | None = None
    rest_tolerance_w: float = 0.0  # a measured power up to this counts as 0 W
    may_supply_island: bool = False  # the charger may be supplying an island by itself
    ordered_w: float | None = None  # what the station is sent for it where that is another power
