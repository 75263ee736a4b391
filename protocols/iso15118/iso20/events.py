"""Events of a session that both engines report, in the past tense.

Values in SI units, power and current signed (+ into the vehicle). `at` is engine time in s.
"""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum

from protocols.frozen import frozen
from protocols.iso15118.iso20.common import ChargeProgress
from protocols.iso15118.iso20.limits import Limits, PowerRange
from protocols.iso15118.iso20.loop import CarReport, StationReport
from protocols.iso15118.iso20.prices import PriceLevels, Prices
from protocols.iso15118.iso20.schedules import Profile, ScheduleOffer
from protocols.iso15118.iso20.services import Choice, MobilityNeedsMode
from protocols.iso15118.iso20.setpoint import EnergyRequests, Target
from protocols.iso15118.iso20.types import EVSENotification, ResponseCode
from protocols.iso15118.session.control_pilot import Pilot


@frozen
class ProtocolAgreed:
    """The handshake chose this namespace."""

    namespace: str
    minor_deviation: bool = False


@frozen
class SessionOpened:
    """A session was opened; `resumed`: a paused one continues."""

    session_id: bytes
    evccid: str
    evse_id: str
    resumed: bool


@frozen
class AuthorizationRequested:
    """The EV requested authorization by external means; respond with `Authorize`."""

    evccid: str


@frozen
class Authorized:
    code: StrEnum  # response code of the generation


@frozen
class ServiceAgreed:
    choice: Choice


@frozen(kw_only=True)
class LimitsStated:
    """Charge parameter discovery is complete: the limits of both sides."""

    choice: Choice
    ev: Limits
    evse: Limits
    target_soc_pct: int | None = None


@frozen(kw_only=True)
class NeedsStated:
    """The EV stated its needs (ScheduleExchange). `departure_s`: from now."""

    choice: Choice
    ev: Limits
    needs: EnergyRequests | None = None
    departure_s: float | None = None
    minimum_soc_pct: int | None = None
    target_soc_pct: int | None = None
    mobility: MobilityNeedsMode = MobilityNeedsMode.BY_EVCC
    offer_to_sell: tuple[tuple[int, float], ...] = ()  # EVEnergyOffer: (duration s, signed W)
    max_points: int = 1024
    renegotiation: bool = False


@frozen
class SchedulesReceived:
    """The SECC's schedules. In dynamic control there are none, but prices are possible."""

    offers: tuple[ScheduleOffer, ...]
    pause_wanted: bool = False
    levels: PriceLevels | None = None
    prices: Prices | None = None


@frozen
class CableCheckRequested:
    """The EV requested the insulation test; respond with `CableChecked`."""


@frozen
class PreChargeRequested:
    """The EV requested this output voltage with at most 2 A."""

    target_voltage_v: float


@frozen
class VoltageMatched:
    """Pre-charge is complete: the EV closes its contactor now."""

    voltage_v: float


@frozen(kw_only=True)
class PowerStarted:
    profile: Profile | None = None
    discharge_channel: bool = False
    again: bool = False  # from standby, or another channel or profile within the loop


@frozen
class StandbyEntered:
    pass


@frozen
class PowerStopped:
    progress: ChargeProgress = ChargeProgress.Stop


@frozen(kw_only=True)
class ChargeLoopRequested:
    """SECC: one charge loop request was answered. `target` is the requested output."""

    target: Target
    allowed: PowerRange
    car: CarReport
    code: ResponseCode = ResponseCode.OK


@frozen(kw_only=True)
class ChargeLoopAnswered:
    """EVCC: one charge loop response was received."""

    station: StationReport
    code: ResponseCode = ResponseCode.OK
    notification: EVSENotification | None = None


@frozen
class Notified:
    """EVCC: the SECC requested an action within `within_s`."""

    notification: EVSENotification
    within_s: int


@frozen
class NotificationIgnored:
    """SECC: the EV did not follow this notification in time."""

    notification: EVSENotification


@frozen
class Renegotiated:
    """Schedules were exchanged again and the EV's new profile is in force."""

    profile: Profile | None
    code: StrEnum = ResponseCode.OK


@frozen
class MeterConfirmed:
    code: ResponseCode


@frozen
class Warned:
    """A response carried a WARNING; the sequence does not advance."""

    message: str
    code: StrEnum


@frozen
class PilotRequested:
    """EVCC: the EV sets this state of the control pilot now."""

    state: Pilot


@frozen
class ValueAddedServicesSelected:
    """Services beside charging that were selected: (service id, parameter set id)."""

    services: tuple[tuple[int, int | None], ...]


@frozen
class SetpointRefused:
    """SECC: a set-point that the protocol of the session cannot carry; it counts as 0 W."""

    power_w: float
    reason: str


@frozen
class WeldingChecked:
    voltage_v: float


@frozen
class ServicesReopened:
    """Service renegotiation: the session continues with ServiceDiscovery."""


@frozen
class Paused:
    """Stored data of a paused session. `binding` ties it to the vehicle certificate; None without TLS."""

    session_id: bytes
    evccid: str
    choice: Choice | None
    binding: bytes | None = None
    namespace: str = ""  # of the protocol; empty: not stored


@frozen
class SessionPaused:
    kept: Paused


@frozen(kw_only=True)
class SessionEnded:
    """The last event of every session. `ok`: it ended as the standard specifies."""

    reason: str
    ok: bool
    kind: StrEnum | None = None  # ChargingSession of the generation
    code: StrEnum | None = None  # its response code
    state: StrEnum | None = None
    termination_code: str | None = None
    explanation: str | None = None


@frozen
class FrameIgnored:
    """An unexpected frame; no response was sent."""

    payload_type: int
    size: int


@frozen
class MessageSent:
    """A message was sent; only with a trace."""

    message: object
    frame: bytes = field(repr=False)


@frozen
class MessageReceived:
    """A message was received; only with a trace."""

    message: object
    payload: bytes = field(repr=False)


Event = (
    ProtocolAgreed
    | SessionOpened
    | AuthorizationRequested
    | Authorized
    | ServiceAgreed
    | LimitsStated
    | NeedsStated
    | SchedulesReceived
    | CableCheckRequested
    | PreChargeRequested
    | VoltageMatched
    | PowerStarted
    | StandbyEntered
    | PowerStopped
    | ChargeLoopRequested
    | ChargeLoopAnswered
    | Notified
    | NotificationIgnored
    | Renegotiated
    | MeterConfirmed
    | Warned
    | SetpointRefused
    | PilotRequested
    | ValueAddedServicesSelected
    | WeldingChecked
    | ServicesReopened
    | SessionPaused
    | SessionEnded
    | FrameIgnored
    | MessageSent
    | MessageReceived
)
