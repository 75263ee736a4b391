"""Events of both engines."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from protocols.chademo.states import ChargerState, VehicleState
from protocols.chademo.stops import Stop
from protocols.frozen import frozen


class Direction(StrEnum):
    """Direction of the power."""

    NONE = "none"
    CHARGE = "charge"
    DISCHARGE = "discharge"


@frozen
class StateEntered:
    """The engine entered a state."""

    state: ChargerState | VehicleState
    previous: ChargerState | VehicleState


@frozen
class ParametersAgreed:
    """The vehicle gave its permission; the parameters of both sides are final."""

    protocol: int  # agreed: the lower one of both
    discharge: bool  # both sides permit discharging


@frozen
class DirectionChanged:
    """The direction of the set-point changed."""

    direction: Direction


@frozen
class Stopping:
    """A stop began."""

    stop: Stop


@frozen
class SessionEnded:
    """Contactors are open and the plug is released; `stop` is the most severe one, of these the first."""

    stop: Stop

    @property
    def ok(self) -> bool:
        """True where the session ended without an error or a failed start."""
        return self.stop.severity in ("normal", "alarm")


@frozen
class FrameIgnored:
    """A frame had a wrong length, or came from a second device of this role."""

    can_id: int
    reason: str


Event: TypeAlias = StateEntered | ParametersAgreed | DirectionChanged | Stopping | SessionEnded | FrameIgnored
