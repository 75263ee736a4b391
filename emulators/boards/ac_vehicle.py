"""Vehicle at the connector of emulated AC hardware: its pilot circuit and its on-board converter.

`basic`: without communication, by the duty cycle (IEC 61851-1); otherwise the session decides the power (`set_power`).
"""

from __future__ import annotations

from collections.abc import Callable

from emulators.charger.hardware.board_hardware import BoardHardware
from emulators.ev.car import Car
from protocols.iec61851 import X1, OutputKind, PilotOutput, PlugIn, ReleaseEnergy, RequestEnergy, Unplug
from protocols.iso15118.iso20 import events
from protocols.pilot_engines import VehiclePilot
from protocols.ports import Clock

PHASE_V, PHASES = 230.0, 3  # of the on-board converter


def output_of(signal: str | float) -> PilotOutput:
    """Return the signal of a board as the engine of the vehicle has it."""
    if isinstance(signal, float):
        return PilotOutput(OutputKind.PWM, signal)
    return X1 if signal == "X1" else PilotOutput(OutputKind(signal))


class AcVehicle:
    """Vehicle's side of one connector. `changed` is called after each change of the pilot."""

    def __init__(
        self,
        hardware: BoardHardware,
        clock: Clock,
        changed: Callable[[], None],
        *,
        basic: bool = False,
        phases: int = PHASES,
    ) -> None:
        self._hardware, self._clock, self._changed = hardware, clock, changed
        self.basic, self.phases = basic, phases
        self.car: Car | None = None
        self._pilot = VehiclePilot()
        self._requests = False  # the session has come to energy
        self._power_w = 0.0

    def plug(self, car: Car) -> None:
        """Plug a car in: state B."""
        self.car = car
        car.couple(self._hardware.advance)
        car.contactors_closed = True
        self._hardware.plug(car)
        self._hardware.stage.connect(car)
        self._pilot.command(PlugIn(), self._clock.now())
        self.update()
        self._changed()

    def unplug(self) -> None:
        """Remove the plug."""
        car, self.car = self.car, None
        self._set_power(0.0)
        self._hardware.unplug(self._clock.now())
        self._pilot.command(Unplug(), self._clock.now())
        self._changed()
        if car is not None:
            car.decouple()
            car.contactors_closed = False

    def observe(self, event: events.Event, power_w: float) -> None:
        """Follow a session: `power_w` is what it has decided."""
        if isinstance(event, events.LimitsStated):
            self._requests = True
        elif isinstance(event, events.ChargeLoopAnswered):
            self._set_power(power_w)
        elif isinstance(event, events.PowerStopped | events.SessionEnded):
            self.end_session()
        self.update()

    def requests_energy(self) -> None:
        """Request energy, as a session does that is not observed here."""
        self._requests = True

    def end_session(self) -> None:
        """End the power of the session, and go back to state B."""
        self._requests = False
        self._set_power(0.0)
        self.update()

    def update(self) -> None:
        """Apply the signal of the EVSE, and the present limits of the battery."""
        if self.car is None:
            return
        pilot, hardware, now = self._pilot, self._hardware, self._clock.now()
        output = output_of(hardware.pilot_signal)
        if output.kind not in (OutputKind.E, OutputKind.F) and not hardware.vehicle_closed:
            hardware.stage.connect(self.car)
        pilot.receive(output, now)
        wants = output.current_a > 0 if self.basic else self._requests
        pilot.command(RequestEnergy() if wants else ReleaseEnergy(), now)
        if self.basic:
            self._set_power(min(pilot.current_limit_a * PHASE_V * self.phases, self.car.limits().max_charge_w))
        if hardware.pilot_state != pilot.state.value:
            hardware.pilot_state = pilot.state.value
            self._changed()

    def _set_power(self, power_w: float) -> None:
        if power_w != self._power_w:
            self._power_w = power_w
            self._hardware.stage.set_point(power_w, self._clock.now())
