"""What an emulated EVSE's SECC reports to its station, in the past tense. Power is signed, + into the vehicle.

The same for every protocol with the car, so that a station needs to know none of them.
"""

from __future__ import annotations

from protocols.frozen import frozen
from protocols.iso15118.iso20.limits import Limits, PowerRange
from protocols.iso15118.iso20.setpoint import EnergyRequests


@frozen
class VehicleIdentified:
    evccid: str
    resumed: bool = False


@frozen
class AuthorizationWanted:
    """Answer with `authorize`; reported only where the EVSE isn't free to all."""

    evccid: str


@frozen(kw_only=True)
class NeedsStated:
    """What the car can and wants. `departure_s` from now; energy in Wh from now."""

    service: str  # "DC_BPT", "DC", "AC_BPT", "AC"
    control: str  # "dynamic", "scheduled"
    mobility_needs_mode: int
    limits: Limits
    needs: EnergyRequests | None
    departure_s: float | None
    minimum_soc_pct: int | None
    target_soc_pct: int | None
    renegotiation: bool = False
    asked: bool = False  # after the SECC asked for another exchange
    offer_to_sell: tuple[tuple[int, float], ...] = ()  # EVEnergyOffer: (duration s, signed W)


@frozen
class ChargingStarted:
    """Contactors closed; power may flow in either direction."""


@frozen(kw_only=True)
class Measured:
    """One turn of the charge loop."""

    power_w: float  # at the grid side
    current_a: float
    voltage_v: float
    target_w: float
    binding: str | None  # what kept the target from the set-point
    allowed: PowerRange
    limits: Limits  # the car's, now
    needs: EnergyRequests | None
    soc_pct: float | None
    charged_wh: float
    discharged_wh: float


@frozen
class ChargingStopped:
    pass


@frozen
class StandbyEntered:
    pass


@frozen
class SessionEnded:
    reason: str
    ok: bool
    paused: bool = False


SeccEvent = (
    VehicleIdentified
    | AuthorizationWanted
    | NeedsStated
    | ChargingStarted
    | Measured
    | ChargingStopped
    | StandbyEntered
    | SessionEnded
)
