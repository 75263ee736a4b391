"""Events of an emulated EVSE's SECC. Power is signed, + into the vehicle. Independent of the protocol with the car."""

from __future__ import annotations

from protocols.frozen import frozen
from protocols.iso15118.iso20.limits import Limits, PowerRange
from protocols.iso15118.iso20.setpoint import EnergyRequests


@frozen
class VehicleIdentified:
    """A session has started."""

    evccid: str
    resumed: bool = False


@frozen
class AuthorizationRequested:
    """The vehicle requests authorization, to be answered with `authorize`. Not reported with free vending."""

    evccid: str


@frozen(kw_only=True)
class NeedsStated:
    """Limits and needs of the car. `departure_s` is from now, energies in Wh are from now."""

    service: str  # "DC_BPT", "DC", "AC_BPT", "AC"
    control: str  # "dynamic", "scheduled"
    mobility_needs_mode: int
    limits: Limits
    needs: EnergyRequests | None
    departure_s: float | None
    minimum_soc_pct: int | None
    target_soc_pct: int | None
    renegotiation: bool = False
    requested: bool = False  # at the SECC's request
    offer_to_sell: tuple[tuple[int, float], ...] = ()  # EVEnergyOffer: (duration s, signed W)


@frozen
class ChargingStarted:
    """Contactors closed; power may flow in either direction."""


@frozen(kw_only=True)
class Measured:
    """Measurements of one charge loop."""

    power_w: float  # at the grid side
    current_a: float
    voltage_v: float
    target_w: float
    binding: str | None  # limiting constraint between set-point and target
    allowed: PowerRange
    limits: Limits  # the car's, now
    needs: EnergyRequests | None
    soc_pct: float | None
    charged_wh: float
    discharged_wh: float


@frozen
class ChargingStopped:
    """Contactors opened."""


@frozen
class StandbyEntered:
    """The car is in standby; no power flows."""


@frozen
class SetpointRefused:
    """The protocol of the session cannot carry this set-point: ISO 15118-2 and DIN 70121 have no discharge."""

    power_w: float
    reason: str


@frozen
class SessionEnded:
    """The session is over."""

    reason: str
    ok: bool
    paused: bool = False


SeccEvent = (
    VehicleIdentified
    | AuthorizationRequested
    | NeedsStated
    | ChargingStarted
    | Measured
    | ChargingStopped
    | StandbyEntered
    | SetpointRefused
    | SessionEnded
)
