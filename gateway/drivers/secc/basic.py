"""Charging of a vehicle that does not communicate, by the duty cycle of the control pilot (IEC 61851-1).

It lasts from the decision of the pilot (`ac_pilot.py`, `matching.py`) until the vehicle leaves or begins to
communicate. There is no discharge. The vehicle does not state how many phases it uses: a power is offered as the
current that it would have in all phases of the EVSE.
"""

from __future__ import annotations

from gateway.drivers.board.orders import Stop
from gateway.drivers.board.phases import CHARGING
from gateway.drivers.board.ports import PilotState
from gateway.drivers.board.runner import BoardRunner
from gateway.drivers.secc.ac_output import AcOutput
from gateway.drivers.secc.matching import PlugControl
from gateway.model.event import NeedsStated, PowerLimits, Report, SessionEnded, SessionStarted, VehicleNeeds
from protocols.iec61851 import HIGHEST_CURRENT_A, LOWEST_CURRENT_A
from protocols.iso15118.iso20.loop import CarReport
from protocols.ports import Clock

AC, CONTROL = "AC", "dynamic"  # of the needs: the current follows the duty cycle at once


class BasicSession:
    """Charging of one vehicle. Powers at the meter."""

    mac: str | None = None
    bidirectional = False
    car: CarReport | None = None
    paused_id: str | None = None

    def __init__(
        self, evse: str, output: AcOutput, board: BoardRunner, control: PlugControl, report: Report, clock: Clock
    ) -> None:
        self.id = f"{evse}-{clock.wall():.0f}"
        self._evse, self._output, self._board, self._control = evse, output, board, control
        self._report, self._clock = report, clock
        self._power_w = self._offered_a = 0.0
        self._pilot: PilotState | None = None
        output.begin()
        report(SessionStarted(evse, clock.now(), self.id))
        own = output.power_limits
        limits = PowerLimits(own.max_charge_w, 0.0, min_charge_w=output.least_basic_w)
        needs = VehicleNeeds(limits, bidirectional=False, energy_transfer=AC, control_mode=CONTROL)
        report(NeedsStated(evse, clock.now(), needs))

    def set_power(self, power_w: float) -> None:
        """Offer the current of a power; less than 6 A is none."""
        self._power_w = power_w
        current_a = min(self._output.current_a(min(power_w, self._output.limits().max_charge_w)), HIGHEST_CURRENT_A)
        self._offered_a = current_a if current_a >= LOWEST_CURRENT_A else 0.0
        self.tend()

    def pilot_changed(self, state: PilotState) -> None:
        """Process a state of the vehicle."""
        self._pilot = state
        self.tend()

    def tend(self) -> None:
        """Keep the contactors closed while the vehicle requests what is offered; to be repeated each second."""
        self._control.offer_current(self._offered_a)
        output = self._output
        if self._offered_a and self._pilot in CHARGING:
            output.start()
            output.deliver(self._power_w, self._clock.now())
        elif output.delivering:
            output.stop()
            self._board.command(Stop())

    def terminate(self, within_s: int = 0) -> None:
        """Offer no current: the vehicle ends its charging."""
        self.set_power(0.0)

    def abort(self, reason: str, *, silent: bool = False) -> None:
        """Offer no current, after a fault of the hardware."""
        self.set_power(0.0)

    def cable_checked(self, passed: bool) -> None:
        """Ignore a cable check: AC has none."""

    def contactors_moved(self, *, closed: bool) -> None:
        """Ignore the position: the vehicle recognises the voltage."""

    def output_stopped(self, reason: str) -> None:
        """Close again only as long as current is offered."""
        self._output.stop()

    def end(self, reason: str) -> None:
        """Switch off, and report the end of the session."""
        self._offered_a = 0.0
        self._output.stop()
        self._control.offer_current(0.0)
        self._board.command(Stop())
        self._report(SessionEnded(self._evse, self._clock.now(), self.id, reason))
