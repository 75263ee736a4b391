"""Orders of a host to the engines, in the imperative: for the SECC first, then for the EVCC.

SI units; power and current signed (+ into the vehicle), limits as magnitudes.
"""

from __future__ import annotations

from protocols.frozen import frozen
from protocols.iso15118.iso20.common import ChargingSession
from protocols.iso15118.iso20.limits import Limits
from protocols.iso15118.iso20.loop import Display, Meter
from protocols.iso15118.iso20.schedules import ScheduleOffer
from protocols.iso15118.iso20.secc_session import Fault, Verdict
from protocols.iso15118.iso20.setpoint import EnergyRequests
from protocols.iso15118.iso20.types import EVSENotification, ResponseCode
from protocols.iso15118.session.control_pilot import Pilot

# ------------------------------------------------------------------------------------------------------------- SECC


@frozen(kw_only=True)
class Measure:
    """Present measurements of the charger's output."""

    voltage_v: float = 0.0
    current_a: float = 0.0
    power_w: float | None = None  # AC side
    meter: Meter | None = None


@frozen
class SetPower:
    """Set-point of the operator, signed W. In scheduled control it only caps the EV's power; None removes that cap."""

    power_w: float | None
    reactive_var: float | None = None


@frozen
class LimitOutput:
    """Limits tighter than those of the settings; None removes them."""

    dc: Limits | None = None
    ac: Limits | None = None


@frozen
class Authorize:
    """Response to `AuthorizationRequested`; `code` replaces the default response code of a verdict."""

    verdict: Verdict
    code: ResponseCode | None = None


@frozen
class CableChecked:
    """Response to `CableCheckRequested`: the result of the insulation test."""

    verdict: Verdict


@frozen
class OfferSchedules:
    """Response to `NeedsStated`: up to three offers in scheduled control; `()` is sufficient in dynamic control."""

    offers: tuple[ScheduleOffer, ...]
    pause_wanted: bool = False


@frozen(kw_only=True)
class SetDriverNeeds:
    """Needs of the driver as known to the SECC (MobilityNeedsMode 2). `departure_s` from now."""

    departure_s: float | None = None
    minimum_soc_pct: int | None = None
    target_soc_pct: int | None = None
    confirm_within_s: int | None = None


@frozen
class Notify:
    """Notification to the EV, repeated until it reacts or `within_s` expires. None cancels it."""

    notification: EVSENotification | None
    within_s: int = 0


@frozen
class ReportFault:
    """A hardware fault that is present, or cleared."""

    fault: Fault
    present: bool = True


@frozen
class Abort:
    """End the session by a FAILED response to the next request; `silent` closes the connection (emergency stop)."""

    reason: str
    silent: bool = False


@frozen
class ControlPilot:
    """State of the control pilot, as measured by the charger."""

    state: Pilot


@frozen
class ContactorMoved:
    """AC: position feedback of the charger's contactor. A host that reports it closes it at `PowerStarted`."""

    closed: bool


SeccOrder = (
    Measure
    | SetPower
    | LimitOutput
    | Authorize
    | CableChecked
    | OfferSchedules
    | SetDriverNeeds
    | Notify
    | ReportFault
    | Abort
    | ControlPilot
    | ContactorMoved
)

# ------------------------------------------------------------------------------------------------------------- EVCC


@frozen(kw_only=True)
class CarState:
    """Present state and targets of the EV, stated in the next message with a field for it."""

    limits: Limits
    needs: EnergyRequests | None = None
    departure_s: float | None = None
    soc_pct: float = 50.0
    minimum_soc_pct: float = 10.0
    target_soc_pct: float = 80.0
    maximum_soc_pct: float = 100.0
    voltage_v: float = 400.0  # of the battery, open contactor
    inlet_voltage_v: float = 0.0  # at the charge inlet
    current_a: float = 0.0  # as measured by the EV
    power_w: float = 0.0  # as measured by the EV
    reactive_var: float = 0.0
    requested_power_w: float | None = (
        None  # scheduled control: less than the profile would allow; None: follow the profile
    )
    ready: bool = True  # False: EVProcessing stays Ongoing before power delivery
    complete: bool = False
    capacity_wh: float | None = None
    display: Display | None = None


@frozen
class Stop:
    """End the session in the regular way: through PowerDelivery(Stop) if power flows."""

    kind: ChargingSession = ChargingSession.Terminate
    code: str | None = None
    explanation: str | None = None


@frozen
class EnterStandby:
    pass


@frozen
class LeaveStandby:
    pass


@frozen
class Renegotiate:
    """Exchange schedules again, parallel to the loop (`multiplexed`) or instead of it."""

    multiplexed: bool = True


@frozen
class SelectChannel:
    """Select the active channel by another PowerDelivery(Start)."""

    discharge: bool


EvccOrder = CarState | Stop | EnterStandby | LeaveStandby | Renegotiate | SelectChannel | Abort
