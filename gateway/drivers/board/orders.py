"""Orders to the supervisor of a board, in the imperative, and its events, in the past tense."""

from __future__ import annotations

from typing import TypeAlias

from gateway.drivers.board.ports import BoardEvent, PilotSignal
from protocols.frozen import frozen

ORDER_VALID_S = 5.0  # a `Precharge` or `Deliver` that is not repeated ends: 0 A

# Orders --------------------------------------------------------------------------------------------------------------


@frozen
class SetPilot:
    """Output a signal on the pilot. While a latched fault is active the pilot stays at F."""

    signal: PilotSignal


@frozen
class SetLines:
    """Close or open the switches of a CHAdeMO plug.

    d2 closes only after a passed cable check. Neither opens under load; both are open while a latched fault is active.
    """

    d1: bool
    d2: bool


@frozen
class CheckCable:
    """Lock the plug, close the contactors, test the isolation with this voltage (DC)."""

    voltage_v: float


@frozen
class Precharge:
    """Bring the output to the vehicle's voltage (DC), after a passed cable check."""

    voltage_v: float
    current_a: float = 2.0
    valid_for_s: float = ORDER_VALID_S


@frozen
class Deliver:
    """Charge or discharge, + into the vehicle. In DC after `Precharge`; AC: close the contactors, values are not used.

    `max_voltage_v` and `min_voltage_v` are the vehicle's limits. `forming`: discharge as a grid-forming source.
    """

    current_a: float = 0.0
    max_voltage_v: float = 0.0
    min_voltage_v: float = 0.0
    forming: bool = False
    valid_for_s: float = ORDER_VALID_S


@frozen
class SwitchOff:
    """0 A, then off; contactors stay closed, so that the voltage shows whether the vehicle's contactors open."""


@frozen
class Stop:
    """End the output: 0 A, off, contactors open."""


@frozen
class SetLock:
    """Lock or unlock the plug. It unlocks only while the contactors are confirmed open."""

    locked: bool


@frozen
class Reset:
    """Release latched faults that are cleared; by the operator."""


Order: TypeAlias = SetPilot | SetLines | CheckCable | Precharge | Deliver | SwitchOff | Stop | SetLock | Reset

# Events --------------------------------------------------------------------------------------------------------------


@frozen
class CableChecked:
    """The cable check ended. `resistance_ohm` as measured, where it was."""

    passed: bool
    resistance_ohm: float | None
    at: float


@frozen
class DeliveryStarted:
    """The contactors are closed for `Deliver`; energy may flow."""

    at: float


@frozen
class OrderExpired:
    """`Precharge` or `Deliver` was not repeated; the current goes to 0 A, the contactors stay closed."""

    at: float


@frozen
class OutputStopped:
    """Current 0 A, stage off, contactors confirmed open."""

    reason: str
    at: float


@frozen
class OrderRefused:
    """An order has no effect in this state."""

    order: Order
    reason: str
    at: float


@frozen
class Recovered:
    """No fault prevents a new session any more."""

    at: float


Event: TypeAlias = BoardEvent | CableChecked | DeliveryStarted | OrderExpired | OutputStopped | OrderRefused | Recovered
