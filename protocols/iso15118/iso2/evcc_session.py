"""Values of an EVCC of ISO 15118-2 or DIN 70121: its settings and the session so far.

The state of the EV (`CarState`) and the orders are those of ISO 15118-20. Requests (`evcc_requests.py`) and reactions
to responses (`evcc_reactions.py`) are pure functions.
"""

from __future__ import annotations

from protocols.frozen import frozen
from protocols.iso15118.iso2.dialect import DC_MODES, Dialect
from protocols.iso15118.iso2.states import Step
from protocols.iso15118.iso2.tolerances import EV_INTEROP, ChargerTolerance
from protocols.iso15118.iso20.events import Event, Paused
from protocols.iso15118.iso20.limits import NOTHING, Limits
from protocols.iso15118.iso20.loop import StationReport
from protocols.iso15118.iso20.orders import CarState, Stop
from protocols.iso15118.iso20.schedules import Block
from protocols.iso15118.iso20.services import Choice
from protocols.iso15118.iso20.types import EVSENotification


@frozen(kw_only=True)
class EvccSettings:
    """Settings of an EVCC. `modes`: energy transfer modes, best first. Times in s."""

    evccid: bytes = b"\x02\x00\x00\x00\x00\x01"
    modes: tuple[str, ...] = DC_MODES
    loop_interval: float = 0.1  # from a loop response to the next request
    poll_interval: float = 0.05  # the same while the SECC responds Ongoing
    pre_charge_tolerance_v: float = 20.0
    welding_polls: int = 1  # 0: no welding detection
    safe_voltage_v: float = 60.0
    timeout_factor: float = 1.0  # factor of the message timers; more than 1 only for a peer known to be slow
    guard_s: float = 3.0  # permitted time of current beyond the EV's limits; none in reverse
    resume: Paused | None = None
    ignores: frozenset[EVSENotification] = frozenset()  # notifications that this EV ignores
    services: tuple[str, ...] = ()  # categories of value-added services that the EV selects (ISO 15118-2)
    tolerances: frozenset[ChargerTolerance] = EV_INTEROP
    trace: bool = False


@frozen(kw_only=True)
class EvSession:
    """State of the session."""

    session_id: bytes = b"\x00"
    namespace: str = ""
    resumed: bool = False
    evse_id: str = ""
    mode: str = ""
    choice: Choice | None = None
    evse_limits: Limits = NOTHING
    nominal_voltage_v: float = 230.0  # AC
    tuple_id: int = 1
    profile: tuple[Block, ...] = ()  # the power that the EV plans; empty: what its limits allow
    profile_since: float = 0.0  # engine time
    wanted_services: tuple[int, ...] = ()  # whose parameter sets are still to be requested
    services: tuple[tuple[int, int | None], ...] = ()  # value-added services with their parameter sets
    station: StationReport | None = None
    power_on: bool = False
    started: bool = False  # power was on in this session
    waits_for_customer: bool = False
    renegotiating: bool = False
    pause_offered: bool = False
    welding_done: int = 0
    loops: int = 0
    outside_since: float | None = None  # engine time since the current is outside the EV's limits
    stop: Stop | None = None

    @property
    def agreed(self) -> Choice:
        if self.choice is None:
            raise AssertionError("steps after service discovery require a mode")
        return self.choice


@frozen(kw_only=True)
class EvccContext:
    """Input of a request or reaction besides the session."""

    dialect: Dialect
    settings: EvccSettings
    car: CarState
    step: Step
    now: float
    session_id: bytes = b""  # in the response


@frozen
class Reaction:
    """Next step, after a pause if `poll`, with the new session and events."""

    step: Step
    session: EvSession
    events: tuple[Event, ...] = ()
    poll: bool = False
