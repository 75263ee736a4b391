"""What a host tells the engines, in the imperative. SECC orders first, EVCC orders below.

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

# ------------------------------------------------------------------------------------------------------------- SECC


@frozen(kw_only=True)
class Measure:
    """What the charger's output does now."""

    voltage_v: float = 0.0
    current_a: float = 0.0
    power_w: float | None = None  # AC side
    meter: Meter | None = None


@frozen
class SetPower:
    """The operator's wish, signed W. In scheduled control it only caps what the car may do; None lifts that cap."""

    power_w: float | None
    reactive_var: float | None = None


@frozen
class LimitOutput:
    """Tighter limits than the settings' for now; None lifts them."""

    dc: Limits | None = None
    ac: Limits | None = None


@frozen
class Authorize:
    """The answer to `AuthorizationAsked`; `code` replaces the usual response code of a verdict."""

    verdict: Verdict
    code: ResponseCode | None = None


@frozen
class CableChecked:
    """The answer to `CableCheckAsked`: the insulation test."""

    verdict: Verdict


@frozen
class OfferSchedules:
    """The answer to `NeedsStated`. Up to three offers in scheduled control; `()` is enough in dynamic control."""

    offers: tuple[ScheduleOffer, ...]
    pause_wanted: bool = False


@frozen(kw_only=True)
class SetDriverNeeds:
    """MobilityNeedsMode 2: the driver's needs as the charger knows them. `departure_s` from now."""

    departure_s: float | None = None
    minimum_soc_pct: int | None = None
    target_soc_pct: int | None = None
    confirm_within_s: int | None = None


@frozen
class Notify:
    """Ask the car for something; repeated until it reacts or `within_s` is over. None takes it back."""

    notification: EVSENotification | None
    within_s: int = 0


@frozen
class ReportFault:
    """Hardware that doesn't work, or works again."""

    fault: Fault
    present: bool = True


@frozen
class Abort:
    """End at once: the next request is answered by FAILED. With `silent` the connection just ends (emergency stop)."""

    reason: str
    silent: bool = False


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
)

# ------------------------------------------------------------------------------------------------------------- EVCC


@frozen(kw_only=True)
class CarState:
    """What the car is and wants now. The engine states it in the next message that has room for it."""

    limits: Limits
    needs: EnergyRequests | None = None
    departure_s: float | None = None
    soc_pct: float = 50.0
    minimum_soc_pct: float = 10.0
    target_soc_pct: float = 80.0
    maximum_soc_pct: float = 100.0
    voltage_v: float = 400.0  # of the battery, open contactor
    inlet_voltage_v: float = 0.0  # at the charge inlet
    current_a: float = 0.0  # as the car measures it
    power_w: float = 0.0  # AC, as the car measures it
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
    """EndConnection in the ordinary way: through PowerDelivery(Stop) if power flows."""

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
    """Exchange schedules again, beside the loop (`multiplexed`) or in its stead."""

    multiplexed: bool = True


@frozen
class SelectChannel:
    """Say by a new PowerDelivery(Start) which channel is active."""

    discharge: bool


EvccOrder = CarState | Stop | EnterStandby | LeaveStandby | Renegotiate | SelectChannel | Abort
