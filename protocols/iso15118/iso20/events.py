"""What happened in a session: the events that both engines report, in the past tense.

Values in SI units, power and current signed (+ into the vehicle). `at` is engine time in s.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from protocols.iso15118.iso20.common import ChargeProgress, ChargingSession
from protocols.iso15118.iso20.limits import Limits, PowerRange
from protocols.iso15118.iso20.loop import CarTurn, StationTurn
from protocols.iso15118.iso20.prices import PriceLevels, Prices
from protocols.iso15118.iso20.schedules import Profile, ScheduleOffer
from protocols.iso15118.iso20.services import Choice, MobilityNeedsMode
from protocols.iso15118.iso20.setpoint import EnergyRequests, Target
from protocols.iso15118.iso20.states import State
from protocols.iso15118.iso20.types import EVSENotification, ResponseCode


@dataclass(frozen=True, slots=True)
class ProtocolAgreed:
    """The handshake chose this namespace."""

    namespace: str
    minor_deviation: bool = False


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """`resumed`: a paused session goes on."""

    session_id: bytes
    evccid: str
    evse_id: str
    resumed: bool


@dataclass(frozen=True, slots=True)
class AuthorizationAsked:
    """The car asks for authorization by external means; answer with `Authorize`."""

    evccid: str


@dataclass(frozen=True, slots=True)
class Authorized:
    code: ResponseCode


@dataclass(frozen=True, slots=True)
class ServiceAgreed:
    choice: Choice


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsStated:
    """Charge parameter discovery is done: what both sides said."""

    choice: Choice
    ev: Limits
    evse: Limits
    target_soc_pct: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedsStated:
    """What the car would like (ScheduleExchange). `departure_s`: from now."""

    choice: Choice
    ev: Limits
    needs: EnergyRequests | None = None
    departure_s: float | None = None
    minimum_soc_pct: int | None = None
    target_soc_pct: int | None = None
    mobility: MobilityNeedsMode = MobilityNeedsMode.BY_EVCC
    offer_to_sell: tuple[tuple[int, float], ...] = ()  # EVEnergyOffer: (duration s, signed W)
    most_points: int = 1024
    renegotiation: bool = False


@dataclass(frozen=True, slots=True)
class SchedulesReceived:
    """The charger's offers. In dynamic control there are none, but perhaps prices."""

    offers: tuple[ScheduleOffer, ...]
    pause_wanted: bool = False
    levels: PriceLevels | None = None
    prices: Prices | None = None


@dataclass(frozen=True, slots=True)
class CableCheckAsked:
    """The car waits for the insulation test; answer with `CableChecked`."""


@dataclass(frozen=True, slots=True)
class PreChargeAsked:
    """Bring the output to this voltage with 2 A at most."""

    target_voltage_v: float


@dataclass(frozen=True, slots=True)
class VoltageMatched:
    """Pre-charge is done: the car closes its contactor now."""

    voltage_v: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerStarted:
    profile: Profile | None = None
    discharge_channel: bool = False
    again: bool = False  # out of standby, or another channel or profile within the loop


@dataclass(frozen=True, slots=True)
class StandbyEntered:
    pass


@dataclass(frozen=True, slots=True)
class PowerStopped:
    progress: ChargeProgress = ChargeProgress.Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class CarLooped:
    """SECC: one charge loop request was answered. `target` is what the output should do now."""

    target: Target
    allowed: PowerRange
    car: CarTurn
    code: ResponseCode = ResponseCode.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class StationLooped:
    """EVCC: one charge loop response arrived."""

    station: StationTurn
    code: ResponseCode = ResponseCode.OK
    notification: EVSENotification | None = None


@dataclass(frozen=True, slots=True)
class Notified:
    """EVCC: the charger asks for something within `within_s`."""

    notification: EVSENotification
    within_s: int


@dataclass(frozen=True, slots=True)
class NotificationIgnored:
    """SECC: the car let the time for this notification pass."""

    notification: EVSENotification


@dataclass(frozen=True, slots=True)
class Renegotiated:
    """Schedules were exchanged again and the car's new profile holds."""

    profile: Profile | None
    code: ResponseCode = ResponseCode.OK


@dataclass(frozen=True, slots=True)
class MeterConfirmed:
    code: ResponseCode


@dataclass(frozen=True, slots=True)
class Warned:
    """A response carried a WARNING; the sequence stays where it is."""

    message: str
    code: ResponseCode


@dataclass(frozen=True, slots=True)
class WeldingChecked:
    voltage_v: float


@dataclass(frozen=True, slots=True)
class ServicesReopened:
    """Service renegotiation: the session goes on with ServiceDiscovery."""


@dataclass(frozen=True, slots=True)
class Paused:
    """What both sides keep of a paused session. `binding` ties it to the vehicle certificate; None without TLS."""

    session_id: bytes
    evccid: str
    choice: Choice | None
    binding: bytes | None = None


@dataclass(frozen=True, slots=True)
class SessionPaused:
    kept: Paused


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded:
    """The last event of every session. `ok`: it ended in the way the standard foresees."""

    reason: str
    ok: bool
    kind: ChargingSession | None = None
    code: ResponseCode | None = None
    state: State | None = None
    termination_code: str | None = None
    explanation: str | None = None


@dataclass(frozen=True, slots=True)
class FrameIgnored:
    """A frame that does not belong here; it got no answer."""

    payload_type: int
    size: int


@dataclass(frozen=True, slots=True)
class MessageSent:
    """Only if the settings ask for a trace."""

    message: object
    frame: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """Only if the settings ask for a trace."""

    message: object
    payload: bytes = field(repr=False)


Event = (
    ProtocolAgreed
    | SessionOpened
    | AuthorizationAsked
    | Authorized
    | ServiceAgreed
    | LimitsStated
    | NeedsStated
    | SchedulesReceived
    | CableCheckAsked
    | PreChargeAsked
    | VoltageMatched
    | PowerStarted
    | StandbyEntered
    | PowerStopped
    | CarLooped
    | StationLooped
    | Notified
    | NotificationIgnored
    | Renegotiated
    | MeterConfirmed
    | Warned
    | WeldingChecked
    | ServicesReopened
    | SessionPaused
    | SessionEnded
    | FrameIgnored
    | MessageSent
    | MessageReceived
)
