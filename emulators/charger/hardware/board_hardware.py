"""Hardware of a hosted EVSE without its controller: pilot circuit, contactors, isolation monitor, lock, DC module.

A driver commands it as a real controller board would be commanded; faults of the hardware are attributes and methods.
The vehicle's side (plug, pilot resistance, its own contactors) belongs to the emulated vehicle or to a test.
"""

from __future__ import annotations

from math import inf

from emulators.battery.pack import Battery
from emulators.charger.hardware.dc_output import DcOutput
from emulators.charger.hardware.power_stage import Contactors, PowerStage

CONTACTOR_S = 0.05  # moving time of the contactors
LOCK_S = 0.3
RETRY_S = 0.5  # of a movement that is blocked
SELF_TEST_S = 1.0
VEHICLE_OPENS_WITHIN_S = 0.1  # a vehicle opens its contactors after the pilot goes to E or F
EQUAL_V = 20.0  # largest difference of voltages at which a vehicle closes its contactors


class BoardHardware:
    """Hardware of one EVSE. Time is an argument of each call and never decreases."""

    def __init__(self, stage: PowerStage, now: float, silence_s: float | None = 10.0) -> None:
        self.stage = stage
        self.output = DcOutput(stage, now, silence_s)
        self.pilot_signal: str | float = "F"  # X1, E, F or a duty cycle in per cent
        self.pilot_state = "A"  # by the vehicle
        self.contactors_ordered = False
        self.locked = False
        self.lock_ordered = False
        self.isolation_ohm = inf
        self.measuring = False
        self.contactors_stuck = False  # fault: they do not move
        self.lock_stuck = False
        self.monitor_defective = False
        self.opened_at_a: list[float] = []  # current at each opening
        self._vehicle: Battery | None = None
        self._contactors_at = self._lock_at = inf
        self._test_until: float | None = None
        self._pilot_low_since: float | None = None

    # the vehicle

    def plug(self, battery: Battery | None) -> None:
        """Plug in a vehicle; its contactors are open, its pilot in state B."""
        self._vehicle = battery
        self.pilot_state = "B"

    def unplug(self, now: float) -> None:
        """Remove the plug."""
        self.open_vehicle(now)
        self._vehicle, self.pilot_state = None, "A"

    @property
    def vehicle_closed(self) -> bool:
        """True while the vehicle's contactors are closed."""
        return self.stage.battery is not None

    def close_vehicle(self, now: float) -> bool:
        """Close the vehicle's contactors if the voltages are equal; return True if they are closed."""
        self.advance(now)
        if self._vehicle is not None and not self.vehicle_closed:
            if not self._may_close(self._vehicle):
                return False
            self.stage.connect(self._vehicle)
        return self.vehicle_closed

    def _may_close(self, vehicle: Battery) -> bool:
        return abs(self.stage.voltage_v - vehicle.voltage_v) <= EQUAL_V

    def open_vehicle(self, now: float) -> None:
        """Open the vehicle's contactors, which interrupts a current."""
        if self.vehicle_closed:
            self.output.advance(now)
            self.stage.interrupt(now)
            self.stage.battery = None

    # commands of the controller

    @property
    def closed(self) -> bool:
        """Position feedback of the contactors."""
        return self.stage.contactors is not Contactors.OPEN

    def order_contactors(self, closed: bool, now: float) -> None:
        """Command the contactors; they move after CONTACTOR_S."""
        if closed is not self.contactors_ordered:
            self.contactors_ordered, self._contactors_at = closed, now + CONTACTOR_S

    def order_lock(self, locked: bool, now: float) -> None:
        """Command the lock."""
        if locked is not self.lock_ordered:
            self.lock_ordered, self._lock_at = locked, now + LOCK_S

    def start_self_test(self, now: float) -> None:
        """Start the self-test of the isolation monitor."""
        self._test_until = now + SELF_TEST_S

    def self_test_result(self, now: float) -> bool | None:
        """Return the result of the self-test once, when it has ended."""
        if self._test_until is None or now < self._test_until:
            return None
        self._test_until = None
        return not self.monitor_defective

    # simulation

    def deadline(self) -> float:
        """Time of the next change by itself."""
        vehicle = inf if self._pilot_low_since is None else self._pilot_low_since + VEHICLE_OPENS_WITHIN_S
        return min(self._contactors_at, self._lock_at, self._test_until or inf, vehicle)

    def advance(self, now: float) -> None:
        """Simulate up to now."""
        if now >= self._contactors_at:
            moved_at, self._contactors_at = self._contactors_at, inf
            self.output.advance(moved_at)
            self._move_contactors(moved_at)
        if now >= self._lock_at:
            self._lock_at = inf
            if self.lock_stuck:
                self._lock_at = now + RETRY_S
            else:
                self.locked = self.lock_ordered
        self._vehicle_reacts(now)
        self.output.advance(now)

    def _move_contactors(self, at: float) -> None:
        if self.contactors_stuck:
            self._contactors_at = at + RETRY_S
            return
        if self.contactors_ordered:
            self.stage.close(at)
        elif self.stage.contactors is Contactors.CLOSED:
            self.opened_at_a.append(self.stage.current_a)
            self.stage.open(at)

    def _vehicle_reacts(self, now: float) -> None:
        """A vehicle whose plug withdraws the permission opens its contactors."""
        if self._permitted or not self.vehicle_closed:
            self._pilot_low_since = None
        elif self._pilot_low_since is None:
            self._pilot_low_since = now
        elif now - self._pilot_low_since >= VEHICLE_OPENS_WITHIN_S:
            self.open_vehicle(now)

    @property
    def _permitted(self) -> bool:
        """Return False while the pilot shows E or F (IEC 61851-23)."""
        return self.pilot_signal not in ("E", "F")
