"""Values of a SECC of ISO 15118-2 or DIN 70121: its settings and the session so far.

The state of the hardware and operator (`Evse`) and the orders are those of ISO 15118-20: a host serves all generations
in the same way. A response (`secc_setup.py`, `secc_energy.py`, `secc_loop.py`) is a pure function of a request, a
`Session` and a `RequestContext`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field

from protocols.frozen import frozen
from protocols.iso15118.iso2 import both, power, timers
from protocols.iso15118.iso2.dialect import Dialect
from protocols.iso15118.iso2.schedules import MOST_ENTRIES, power_at
from protocols.iso15118.iso2.services import ValueAddedService
from protocols.iso15118.iso2.states import State
from protocols.iso15118.iso2.tolerances import INTEROP, Tolerance
from protocols.iso15118.iso20.events import Event, Paused
from protocols.iso15118.iso20.limits import NOTHING, Limits
from protocols.iso15118.iso20.loop import CarReport
from protocols.iso15118.iso20.schedules import Block, ScheduleOffer
from protocols.iso15118.iso20.secc_session import Evse, Fault, Verdict
from protocols.iso15118.iso20.services import Choice, ControlMode, Parameters, ServiceId
from protocols.iso15118.iso20.types import EVSENotification

_NOTIFICATIONS = {EVSENotification.ScheduleRenegotiation: "ReNegotiation"}
_STOPS = frozenset({EVSENotification.Terminate, EVSENotification.Pause, EVSENotification.ServiceRenegotiation})
_ISOLATION = {Verdict.YES: "Valid", Verdict.NO: "Fault"}


@frozen(kw_only=True)
class SeccSettings:
    """Settings of a SECC. Power in W (`ac`: of all phases), times in s. Without modes a current is not offered."""

    dc_modes: tuple[str, ...] = ()
    ac_modes: tuple[str, ...] = ()
    dc: Limits = NOTHING
    ac: Limits = NOTHING
    nominal_voltage_v: float = 230.0
    evse_id: str = "ZZ00000"
    free_service: bool = True
    services: tuple[ValueAddedService, ...] = ()  # beside charging; ISO 15118-2
    pause: bool = True
    tolerances: frozenset[Tolerance] = INTEROP
    customer_timeout: float = timers.CUSTOMER_SECC
    renegotiate_before_s: int = 60  # before the end of a schedule
    sequence_timeout: float = timers.SEQUENCE
    setup_timeout: float = timers.COMMUNICATION_SETUP_SECC
    trace: bool = False


@frozen(kw_only=True)
class Session:
    """State of the session. Times are engine time."""

    session_id: bytes = b""
    namespace: str = ""
    evccid: str = ""
    resumed: bool = False
    mode: str = ""  # energy transfer mode
    choice: Choice | None = None
    ev_limits: Limits = NOTHING
    soc_pct: int | None = None
    schedules: tuple[ScheduleOffer, ...] = ()
    tuple_id: int = 1
    offer: ScheduleOffer | None = None  # the selected schedule, if the host offered it
    profile: tuple[Block, ...] = ()
    ending: bool = False  # the end of the schedule was notified
    most_entries: int = MOST_ENTRIES  # of a schedule that the EV can store
    vas: tuple[tuple[int, int | None], ...] = ()  # selected value-added services
    ongoing_since: float | None = None  # of the first Ongoing of the present message
    pre_charge_since: float | None = None
    requested: frozenset[str] = frozenset()  # decisions already requested from the host
    power_on: bool = False
    renegotiating: bool = False
    car: CarReport | None = None
    loops: int = 0

    @property
    def agreed(self) -> Choice:
        if self.choice is None:
            raise AssertionError("the state table requires an energy transfer mode")
        return self.choice


@frozen(kw_only=True)
class RequestContext:
    """Input of a response besides request and session."""

    dialect: Dialect
    settings: SeccSettings
    evse: Evse
    state: State
    now: float
    wall_s: float
    session_id: bytes  # in the request
    started: bool = False  # the events of a held response were reported
    draw: Callable[[int], bytes]
    paused: Mapping[bytes, Paused] = field(default_factory=dict)

    @property
    def ok(self) -> both.ResponseCode:
        return self.dialect.code("OK")

    def tolerates(self, tolerance: Tolerance) -> bool:
        return tolerance in self.settings.tolerances

    def limits(self, session: Session) -> Limits:
        """Return the charger's present limits, which never include discharge."""
        dc = session.agreed.is_dc
        rated, live = (self.settings.dc, self.evse.dc_limits) if dc else (self.settings.ac, self.evse.ac_limits)
        return (rated if live is None else rated.narrowed(live)).charge_only()

    def capped(self, session: Session) -> Limits:
        """Return the charger's limits with set-point and schedule as the highest power; a fault leaves none."""
        offer = session.offer
        schedule_w = None if offer is None else power_at(offer.charge, self.wall_s - offer.anchor_s)
        return power.capped(self.limits(session), self.evse.setpoint_w, schedule_w, faulty=bool(self.evse.faults))

    def dc_status(self, code: str | None = None, *, reacted: bool = False) -> both.DC_EVSEStatus:
        """Return DC_EVSEStatus: the given code, or that of faults, of a stop by the charger, or EVSE_Ready.

        A stop has the status code besides the notification: cars follow one or the other. `reacted`: the request is the
        reaction to the notification.
        """
        notification, delay = ("None", 0) if reacted else self._notification()
        if code is None:
            code = "EVSE_Ready"
            if self.evse.faults:
                code = "EVSE_UtilityInterruptEvent" if self.evse.faults == {Fault.GRID} else "EVSE_Malfunction"
            elif notification == "StopCharging":
                code = "EVSE_Shutdown"
        return self.dialect.dc_status(code, _ISOLATION.get(self.evse.insulation, "Invalid"), notification, delay)

    def status(self, session: Session, *, reacted: bool = False) -> both.EVSEStatus:
        """Return the status for the session's kind of current."""
        if session.choice is None or session.choice.is_dc:
            return self.dc_status(reacted=reacted)
        return self.ac_status(reacted=reacted)

    def ac_status(self, *, reacted: bool = False) -> both.AC_EVSEStatus:
        """Return AC_EVSEStatus, which has no status code: a fault is a stop."""
        notification = ("None", 0) if reacted else self._notification()
        if self.evse.faults:
            notification = ("StopCharging", 0)
        return self.dialect.ac_status(*notification, rcd=Fault.RESIDUAL_CURRENT in self.evse.faults)

    def _notification(self) -> tuple[str, int]:
        notification = self.evse.notification
        name = "StopCharging" if notification in _STOPS else _NOTIFICATIONS.get(notification) if notification else None
        return ("None", 0) if name is None else (name, self.evse.notification_delay_s)


@frozen
class Answer:
    """Response, next state, new session and events."""

    response: both.Message
    state: State
    session: Session
    events: tuple[Event, ...] = ()
    reacted_to: frozenset[EVSENotification] = frozenset()


class Hold(Exception):
    """The response waits for the hardware, for at most `within` s; then the request is refused for the reason."""

    def __init__(self, refusal: Refusal, within: float, events: tuple[Event, ...] = ()) -> None:
        super().__init__(refusal.why)
        self.refusal, self.within, self.events = refusal, within, events


class Refusal(Exception):
    """A rejected request: its response carries the code of this name. `fatal`: the session ends."""

    def __init__(self, code: str, why: str, *, fatal: bool = True) -> None:
        super().__init__(why)
        self.code = code
        self.why = why
        self.fatal = fatal


def charging(dc: bool) -> Choice:
    """Return the agreement of a session in the terms of the host: the EV decides, the charger limits."""
    parameters = Parameters(set_id=0, control=ControlMode.SCHEDULED)
    return Choice(ServiceId.DC if dc else ServiceId.AC, parameters)
