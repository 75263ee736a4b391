"""What happened in a session: the events that both engines report, in the past tense.

Values in SI units, power and current signed (+ into the vehicle). `at` is engine time in s.
"""

from __future__ import annotations

from dataclasses import field

from protocols.frozen import frozen
from protocols.iso15118.iso20.common import ChargeProgress, ChargingSession
from protocols.iso15118.iso20.limits import Limits, PowerRange
from protocols.iso15118.iso20.loop import CarReport, StationReport
from protocols.iso15118.iso20.prices import PriceLevels, Prices
from protocols.iso15118.iso20.schedules import Profile, ScheduleOffer
from protocols.iso15118.iso20.services import Choice, MobilityNeedsMode
from protocols.iso15118.iso20.setpoint import EnergyRequests, Target
from protocols.iso15118.iso20.states import State
from protocols.iso15118.iso20.types import EVSENotification, ResponseCode


@frozen
class ProtocolAgreed:
    """The handshake chose this namespace."""

    namespace: str
    minor_deviation: bool = False


@frozen
class SessionOpened:
    """`resumed`: a paused session goes on."""

    session_id: bytes
    evccid: str
    evse_id: str
    resumed: bool


@frozen
class AuthorizationAsked:
    """The car asks for authorization by external means; answer with `Authorize`."""

    evccid: str


@frozen
class Authorized:
    code: ResponseCode


@frozen
class ServiceAgreed:
    choice: Choice


@frozen(kw_only=True)
class LimitsStated:
    """Charge parameter discovery is done: what both sides said."""

    choice: Choice
    ev: Limits
    evse: Limits
    target_soc_pct: int | None = None


@frozen(kw_only=True)
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
    max_points: int = 1024
    renegotiation: bool = False


@frozen
class SchedulesReceived:
    """The charger's offers. In dynamic control there are none, but perhaps prices."""

    offers: tuple[ScheduleOffer, ...]
    pause_wanted: bool = False
    levels: PriceLevels | None = None
    prices: Prices | None = None


@frozen
class CableCheckAsked:
    """The car waits for the insulation test; answer with `CableChecked`."""


@frozen
class PreChargeAsked:
    """Bring the output to this voltage with 2 A at most."""

    target_voltage_v: float


@frozen
class VoltageMatched:
    """Pre-charge is done: the car closes its contactor now."""

    voltage_v: float


@frozen(kw_only=True)
class PowerStarted:
    profile: Profile | None = None
    discharge_channel: bool = False
    again: bool = False  # out of standby, or another channel or profile within the loop


@frozen
class StandbyEntered:
    pass


@frozen
class PowerStopped:
    progress: ChargeProgress = ChargeProgress.Stop


@frozen(kw_only=True)
class CarLooped:
    """SECC: one charge loop request was answered. `target` is what the output should do now."""

    target: Target
    allowed: PowerRange
    car: CarReport
    code: ResponseCode = ResponseCode.OK


@frozen(kw_only=True)
class StationLooped:
    """EVCC: one charge loop response arrived."""

    station: StationReport
    code: ResponseCode = ResponseCode.OK
    notification: EVSENotification | None = None


@frozen
class Notified:
    """EVCC: the charger asks for something within `within_s`."""

    notification: EVSENotification
    within_s: int


@frozen
class NotificationIgnored:
    """SECC: the car let the time for this notification pass."""

    notification: EVSENotification


@frozen
class Renegotiated:
    """Schedules were exchanged again and the car's new profile holds."""

    profile: Profile | None
    code: ResponseCode = ResponseCode.OK


@frozen
class MeterConfirmed:
    code: ResponseCode


@frozen
class Warned:
    """A response carried a WARNING; the sequence stays where it is."""

    message: str
    code: ResponseCode


@frozen
class WeldingChecked:
    voltage_v: float


@frozen
class ServicesReopened:
    """Service renegotiation: the session goes on with ServiceDiscovery."""


@frozen
class Paused:
    """What both sides keep of a paused session. `binding` ties it to the vehicle certificate; None without TLS."""

    session_id: bytes
    evccid: str
    choice: Choice | None
    binding: bytes | None = None


@frozen
class SessionPaused:
    kept: Paused


@frozen(kw_only=True)
class SessionEnded:
    """The last event of every session. `ok`: it ended in the way the standard foresees."""

    reason: str
    ok: bool
    kind: ChargingSession | None = None
    code: ResponseCode | None = None
    state: State | None = None
    termination_code: str | None = None
    explanation: str | None = None


@frozen
class FrameIgnored:
    """A frame that does not belong here; it got no answer."""

    payload_type: int
    size: int


@frozen
class MessageSent:
    """Only if the settings ask for a trace."""

    message: object
    frame: bytes = field(repr=False)


@frozen
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
