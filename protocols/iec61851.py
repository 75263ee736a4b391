"""Control pilot of IEC 61851-1 Annex A: states A to F, duty cycles, timings, and the orders and events of its engines.

The engines are in `pilot_engines.py`. Voltages are measured and set by a board: `state_of_voltage` and `diode_present`
are for its driver. `docs/slac.md` lists the values that are knowledge of the field rather than text of a standard.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from protocols.errors import LocalProtocolError
from protocols.frozen import frozen

DIGITAL_DUTY_PCT = 5.0
DIGITAL_RANGE_PCT = 3.0, 7.0
LOWEST_CURRENT_A, HIGHEST_CURRENT_A = 6.0, 80.0
LINEAR_UNTIL_A = 51.0  # 0.6 A per percent below, 2.5 A per percent above
DEBOUNCE = 0.02  # s that a state lasts before it counts: a plug bounces
STEP_EF = 4.0  # s, T_step_EF: shortest E or F that a vehicle notices
STEP_X1 = 3.0  # s, T_step_X1: IEC 61851-1 sequence 9.2
SEQUENCE_RETRIES = 2  # C_sequ_retry
TOGGLES_WITHIN = 3.5  # s, TT_EVSE_vald_toggle
TOGGLE_HALF = 0.15, 0.45  # s of C in a B-C-B toggle: TP_EV_vald_state_duration 200 to 400 ms, with tolerance
MOST_TOGGLES = 3
WAKE_AFTER = 30.0  # s in B with a nominal duty cycle before one wake-up by E or F
WAKE_X1 = 0.75  # s of X1 after that, before PWM
OPEN_UNDER_LOAD_AFTER = 6.0  # s in C after X1, after which the EVSE opens its contactor under load
DIODE_LOW_V = -10.0  # the low phase of PWM is below this with the diode of a vehicle


class PilotState(StrEnum):
    """State of the control pilot, which both sides measure as a voltage."""

    A = "A"  # no vehicle
    B = "B"  # vehicle connected
    C = "C"  # vehicle requests energy
    D = "D"  # vehicle requests energy with ventilation
    E = "E"  # 0 V: fault
    F = "F"  # -12 V: EVSE not available


CONNECTED = frozenset({PilotState.B, PilotState.C, PilotState.D})
ENERGY = frozenset({PilotState.C, PilotState.D})
FAULT = frozenset({PilotState.E, PilotState.F})
VOLTAGE_V = {
    PilotState.A: 12.0,
    PilotState.B: 9.0,
    PilotState.C: 6.0,
    PilotState.D: 3.0,
    PilotState.E: 0.0,
    PilotState.F: -12.0,
}


class OutputKind(StrEnum):
    """Output of an EVSE on the control pilot."""

    X1 = "x1"  # steady 12 V before the resistor: no PWM
    PWM = "pwm"
    E = "E"
    F = "F"


@frozen
class PilotOutput:
    """Output of an EVSE; `duty_pct` is that of PWM, else 0."""

    kind: OutputKind
    duty_pct: float = 0.0

    @property
    def digital(self) -> bool:
        """Return True if the duty cycle requires digital communication."""
        low, high = DIGITAL_RANGE_PCT
        return self.kind is OutputKind.PWM and low <= self.duty_pct <= high

    @property
    def current_a(self) -> float:
        """Return the current that a vehicle may draw by the duty cycle alone, A; 0 for none."""
        return current_of_duty(self.duty_pct) if self.kind is OutputKind.PWM else 0.0


X1 = PilotOutput(OutputKind.X1)
DIGITAL = PilotOutput(OutputKind.PWM, DIGITAL_DUTY_PCT)


def state_of_voltage(high_v: float) -> PilotState:
    """Return the state of a measured voltage, that of the high phase with PWM: the nearest of the nominal ones."""
    return min(VOLTAGE_V, key=lambda state: abs(VOLTAGE_V[state] - high_v))


def diode_present(low_v: float) -> bool:
    """Return False if the low phase of PWM shows that no vehicle (a resistor, a finger) is connected."""
    return low_v <= DIODE_LOW_V


def duty_of_current(current_a: float) -> float:
    """Return the duty cycle (%) that offers a current, never more. Raises LocalProtocolError outside 6 A to 80 A.

    51 A to 52.5 A have no duty cycle of their own: 51 A is offered.
    """
    if not LOWEST_CURRENT_A <= current_a <= HIGHEST_CURRENT_A:
        raise LocalProtocolError(f"a duty cycle offers 6 A to 80 A, not {current_a:g} A")
    return current_a / 0.6 if current_a <= LINEAR_UNTIL_A else max(85.0, current_a / 2.5 + 64)


def current_of_duty(duty_pct: float) -> float:
    """Return the current (A) that a duty cycle offers, without that of digital communication; 0 A for none."""
    if not 8.0 <= duty_pct <= 97.0:
        return 0.0
    if duty_pct <= 10.0:
        return LOWEST_CURRENT_A
    return min(HIGHEST_CURRENT_A, 0.6 * duty_pct if duty_pct <= 85.0 else 2.5 * (duty_pct - 64.0))


# ---------------------------------------------------------------------------------------------------- orders and events


@frozen
class OfferDigital:
    """Order to the EVSE: a duty cycle of 5 %."""


@frozen
class OfferCurrent:
    """Order to the EVSE: a nominal duty cycle. `matching` while SLAC runs or has matched (V2G3-M06-05, -06)."""

    current_a: float
    matching: bool = False


@frozen
class TurnOff:
    """Order to the EVSE: X1, by which a session is paused or power is refused."""


@frozen
class SignalFault:
    """Order to the EVSE: E or F until another order."""

    state: PilotState = PilotState.F


@frozen
class RetryDigital:
    """Order to the EVSE: no vehicle began to match (V2G3-M06-07): E or F, then 5 %; after two retries X1."""


@frozen
class SignalLinkError:
    """Order to the EVSE: the link is lost (V2G3-M07-05 to -09): X1, E or F, then 5 % or X1."""

    again: bool = True


@frozen
class WakeVehicle:
    """Order to the EVSE: from X1 to 5 %, for a vehicle in sleep mode; `by_fault` after one that did not react."""

    by_fault: bool = False


EvseOrder: TypeAlias = (
    OfferDigital | OfferCurrent | TurnOff | SignalFault | RetryDigital | SignalLinkError | WakeVehicle
)


@frozen
class PlugIn:
    """Order to the vehicle: state B."""


@frozen
class Unplug:
    """Order to the vehicle: state A."""


@frozen
class RequestEnergy:
    """Order to the vehicle: state C, or D with ventilation, as soon as there is PWM."""

    ventilation: bool = False


@frozen
class ReleaseEnergy:
    """Order to the vehicle: back to state B."""


@frozen
class Toggle:
    """Order to the vehicle: B-C-B toggles, for a validation or to wake the EVSE."""

    count: int = 1
    half_s: float = 0.3


VehicleOrder: TypeAlias = PlugIn | Unplug | RequestEnergy | ReleaseEnergy | Toggle


@frozen
class StateChanged:
    """Event of the EVSE: the vehicle's state after bouncing."""

    state: PilotState
    before: PilotState


@frozen
class OutputChanged:
    """Event of both sides: the EVSE's output."""

    output: PilotOutput


@frozen
class VehicleToggled:
    """Event of the EVSE: the vehicle requested to be woken by B-C-B in X1."""

    count: int


@frozen
class RetriesExhausted:
    """Event of the EVSE: no vehicle began to match after every retry; X1."""


@frozen
class OpenUnderLoad:
    """Event of the EVSE: the vehicle did not end C after X1, and the contactor is to be opened."""


Event: TypeAlias = StateChanged | OutputChanged | VehicleToggled | RetriesExhausted | OpenUnderLoad
