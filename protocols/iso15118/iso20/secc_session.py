"""Values of a SECC: its settings, the state of its hardware and operator, and the session so far.

A response (`secc_setup.py`, `secc_energy.py`, `secc_loop.py`) is a pure function of a request, a `Session` and a
`RequestContext`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from protocols.frozen import frozen
from protocols.iso15118.iso20 import messages, timers
from protocols.iso15118.iso20.common import MeteringConfirmationReq
from protocols.iso15118.iso20.events import Event, Paused
from protocols.iso15118.iso20.limits import NOTHING, Limits
from protocols.iso15118.iso20.loop import CarReport, Meter
from protocols.iso15118.iso20.loop_memory import SeccMemory
from protocols.iso15118.iso20.schedules import Profile, ScheduleOffer
from protocols.iso15118.iso20.services import Choice, Offer
from protocols.iso15118.iso20.setpoint import EnergyRequests
from protocols.iso15118.iso20.states import State
from protocols.iso15118.iso20.types import (
    EVSENotification,
    EVSEStatus,
    MessageHeader,
    ResponseCode,
    V2GResponse,
)
from protocols.iso15118.session.control_pilot import Pilot


class Verdict(Enum):
    """Decision made outside the engine, or pending."""

    WAITING = "waiting"
    WAITING_FOR_CUSTOMER = "waiting for the customer"
    YES = "yes"
    NO = "no"


class Fault(Enum):
    """Hardware faults."""

    CONTACTOR = "contactor"
    OUTPUT = "output"
    RESIDUAL_CURRENT = "residual current"  # AC: the residual current device tripped
    GRID = "grid interruption"


@frozen(kw_only=True)
class SeccSettings:
    """Settings of a SECC. Power in W, times in s."""

    offers: tuple[Offer, ...]
    dc: Limits = NOTHING
    ac: Limits = NOTHING
    evse_id: str = "ZZ00000"
    frequency_hz: float = 50.0
    nominal_voltage_v: float = 230.0  # AC, of a phase
    ac_phases: int = 3
    ramp_pct_per_min: float | None = None
    service_renegotiation: bool = True
    pause: bool = True
    standby: bool = True
    power_tolerance_required: bool = False
    profile_slack_w: float = 500.0  # permitted deviation from the profile before a warning
    violations_before_failure: int | None = None  # consecutive loops with a warning; None never fails
    free_service: bool = True
    cycling: bool = False  # V2X cycling only: charging ends at the upper edge of the V2X window
    tls_required: bool = False  # V2G20-2356: no -20 on plain TCP
    identity_required: bool = False  # the EVCCID must be the common name of the vehicle certificate
    sequence_timeout: float = timers.SEQUENCE
    loop_timeout: float = timers.SEQUENCE_LOOP
    setup_timeout: float = timers.COMMUNICATION_SETUP_SECC
    metering_verifier: Callable[[MeteringConfirmationReq], bool] | None = None
    trace: bool = False


@dataclass(slots=True, kw_only=True)
class Evse:
    """Last state reported by the charger's hardware and operator (see `orders.py`); written by the engine only."""

    voltage_v: float = 0.0
    current_a: float = 0.0
    power_w: float | None = None
    meter: Meter | None = None
    dc_limits: Limits | None = None  # None: the settings' limits
    ac_limits: Limits | None = None
    setpoint_w: float | None = 0.0  # signed; None in scheduled control: no cap
    reactive_var: float | None = None
    frequency_hz: float | None = None
    authorization: Verdict = Verdict.WAITING
    authorization_code: ResponseCode | None = None  # replaces the default code of the verdict
    insulation: Verdict = Verdict.WAITING
    schedules: tuple[ScheduleOffer, ...] | None = None  # None: not available yet
    pause_wanted: bool = False
    notification: EVSENotification | None = None
    notification_delay_s: int = 0
    faults: frozenset[Fault] = frozenset()
    pilot: Pilot | None = None  # None: not reported, not checked
    contactor_closed: bool | None = None  # AC; None: not reported, not awaited
    departure_s: float | None = None  # these four: MobilityNeedsMode 2
    minimum_soc_pct: int | None = None
    target_soc_pct: int | None = None
    confirm_within_s: int | None = None


@frozen(kw_only=True)
class Session:
    """State of the session."""

    session_id: bytes = messages.NO_SESSION
    namespace: str = ""
    evccid: str = ""
    resumed: bool = False
    offered: tuple[Offer, ...] = ()
    choice: Choice | None = None
    ev_limits: Limits = NOTHING  # of charge parameter discovery
    needs: EnergyRequests | None = None
    departure_at: float | None = None  # engine time
    minimum_soc_pct: int | None = None
    target_soc_pct: int | None = None
    max_points: int = 1024
    schedules: tuple[ScheduleOffer, ...] = ()
    renegotiated: tuple[ScheduleOffer, ...] | None = None  # offered again, no profile for them received yet
    profile: Profile | None = None
    tolerance_confirmed: bool = False
    car: CarReport | None = None
    violations: int = 0
    ongoing_since: float | None = None  # engine time of the first Ongoing of the present message
    requested: frozenset[str] = frozenset()  # decisions already requested from the host
    pause_offered: bool = False
    power_on: bool = False
    loops: int = 0

    @property
    def agreed(self) -> Choice:
        if self.choice is None:
            raise AssertionError("the state table requires a selected service")
        return self.choice


@frozen
class VehicleCertificate:
    """Certificate of the vehicle on this connection."""

    der: bytes
    common_name: str | None = None


@frozen(kw_only=True)
class RequestContext:
    """Input of a response besides request and session."""

    settings: SeccSettings
    evse: Evse
    state: State
    now: float
    wall_s: float
    header: MessageHeader
    memory: SeccMemory
    draw: Callable[[int], bytes]
    paused: Mapping[bytes, Paused] = field(default_factory=dict)
    certificate: VehicleCertificate | None = None
    stream: bool = False  # the request arrived parallel to the charge loop

    def limits(self, session: Session) -> Limits:
        """Return the charger's present limits for the chosen service."""
        choice = session.agreed
        if choice.is_dc:
            live = self.evse.dc_limits
            return self.settings.dc if live is None else self.memory.limits(self.settings.dc, live)
        return self.settings.ac if self.evse.ac_limits is None else self.settings.ac.narrowed(self.evse.ac_limits)

    def status(self) -> EVSEStatus | None:
        """Return the notification to include in this response."""
        if self.evse.notification is None:
            return None
        return EVSEStatus(NotificationMaxDelay=self.evse.notification_delay_s, EVSENotification=self.evse.notification)


@frozen
class Answer:
    """Response, next state, new session and events."""

    response: V2GResponse
    state: State
    session: Session
    events: tuple[Event, ...] = ()
    reacted_to: frozenset[EVSENotification] = frozenset()


class Refusal(Exception):
    """A rejected request: its response carries `code`. FAILED codes end the session."""

    def __init__(self, code: ResponseCode, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why
