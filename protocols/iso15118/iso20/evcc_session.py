"""Values of an EVCC: its settings, the last state of the EV, and the session so far.

Requests (`evcc_requests.py`) are pure functions of `EvSession` and `EvccContext`; reactions to responses
(`evcc_setup.py`, `evcc_energy.py`, `evcc_loop.py`) are pure functions of response, session and context.
"""

from __future__ import annotations

from collections.abc import Callable

from protocols.frozen import frozen
from protocols.iso15118.iso20.common import MeteringConfirmationReq, SignedMeteringData
from protocols.iso15118.iso20.events import Event, Paused
from protocols.iso15118.iso20.limits import NOTHING, Limits
from protocols.iso15118.iso20.loop import Meter, StationReport
from protocols.iso15118.iso20.loop_memory import EvccMemory
from protocols.iso15118.iso20.messages import NO_SESSION
from protocols.iso15118.iso20.orders import CarState, Stop
from protocols.iso15118.iso20.schedules import Profile, ScheduleOffer
from protocols.iso15118.iso20.services import Choice, ControlMode, MobilityNeedsMode, ServiceId
from protocols.iso15118.iso20.states import Step
from protocols.iso15118.iso20.types import EVSENotification, MessageHeader

MeteringSigner = Callable[[MessageHeader, SignedMeteringData], MeteringConfirmationReq]


@frozen(kw_only=True)
class EvccSettings:
    """Settings of an EVCC. Times in s."""

    evccid: str
    services: tuple[ServiceId, ...] = (ServiceId.DC_BPT, ServiceId.DC)  # best first
    controls: tuple[ControlMode, ...] = (ControlMode.DYNAMIC, ControlMode.SCHEDULED)
    needs_modes: tuple[MobilityNeedsMode, ...] = (MobilityNeedsMode.BY_EVCC, MobilityNeedsMode.BY_SECC)
    loop_interval: float = 0.1  # from a loop response to the next request; 0.25 at most
    poll_interval: float = 0.05  # the same while the SECC responds Ongoing
    max_points: int = 1024
    pre_charge_tolerance_v: float = 20.0
    welding_polls: int = 1  # 0: no welding detection
    safe_voltage_v: float = 60.0  # welding detection continues until below, at most `welding_polls` times
    discharge_first: bool = False  # scheduled control: if a schedule allows both
    timeout_factor: float = 1.0  # factor of the message timers; more than 1 only for a peer known to be slow
    guard_s: float = 3.0  # permitted time of current beyond the EV's limits; none in reverse
    meter_every: int = 1  # request the meter in every n-th loop; 0 never
    tls: bool = False
    resume: Paused | None = None
    sell: tuple[tuple[int, float, float], ...] = ()  # EVEnergyOffer: (duration s, signed W, price per kWh)
    currency: str = "EUR"
    metering_signer: MeteringSigner | None = None
    ignores: frozenset[EVSENotification] = frozenset()  # notifications that this EV ignores
    negative_discharge_limits: bool = False  # as some EVs state them
    trace: bool = False


@frozen(kw_only=True)
class EvSession:
    """State of the session."""

    session_id: bytes = NO_SESSION
    namespace: str = ""
    resumed: bool = False
    evse_id: str = ""
    candidates: tuple[ServiceId, ...] = ()  # not examined yet, best first
    service_renegotiation: bool = False
    choice: Choice | None = None
    evse_limits: Limits = NOTHING  # of charge parameter discovery
    offers: tuple[ScheduleOffer, ...] = ()
    pause_offered: bool = False
    profile: Profile | None = None
    station: StationReport | None = None
    meter: Meter | None = None
    pre_charged: bool = False
    starts: bool = True  # the last PowerDelivery(Start) was Finished
    power_on: bool = False
    standby: bool = False
    waits_for_customer: bool = False
    welding_done: int = 0
    loops: int = 0
    outside_since: float | None = None  # engine time since the current is outside the EV's limits
    renegotiating: bool = False  # new schedules are being exchanged
    renegotiated: bool = False  # they were received, the profile is not sent yet
    confirming: bool = False  # the SECC requested a signed meter reading
    discharge_channel: bool = False
    stop: Stop | None = None

    @property
    def agreed(self) -> Choice:
        if self.choice is None:
            raise AssertionError("steps after service selection require a choice")
        return self.choice


@frozen(kw_only=True)
class EvccContext:
    """Input of a request or reaction besides the session."""

    settings: EvccSettings
    car: CarState
    step: Step
    now: float
    wall_s: float
    header: MessageHeader
    memory: EvccMemory


@frozen
class Reaction:
    """Next step, after a pause if `poll`, with the new session and events."""

    step: Step
    session: EvSession
    events: tuple[Event, ...] = ()
    poll: bool = False
