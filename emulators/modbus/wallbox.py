"""An emulated bidirectional wallbox: session, set-point, silence time-out and glitches, as its register map declares.

Behind it are a converter and, while one is connected, a battery. Without a session it gives no power.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from emulators.battery.pack import Battery
from emulators.charger.hardware.power_stage import Contactors, PowerStage
from protocols.modbus.register import DeviceState, Meaning, Register
from protocols.modbus.register_map import RegisterMap
from protocols.quantities import clamp

OUTLIER_EVERY = 7  # reads of the state of charge


@dataclass(slots=True)
class Wallbox:
    """One connector. `product` names its registers and glitches."""

    product: RegisterMap
    stage: PowerStage = field(default_factory=PowerStage)
    capacity_wh: float = 40_000.0
    running: bool = False  # a session with power
    latched: bool = False  # the vehicle refuses power until it is connected anew
    error: int = 0
    setpoint_w: float = 0.0
    timeouts: list[float] = field(default_factory=list)  # when its silence time-out ended a power
    _charge_limit_w: float = 0.0
    _discharge_limit_w: float = 0.0
    _discharging: bool = False  # direction of products with two limits
    _watchdog_s: float = 0.0
    _watchdog_on: bool = True
    _fed_at: float = -math.inf
    _soc_reads: int = 0

    def __post_init__(self) -> None:
        self._watchdog_on = self.product.meaning(Meaning.WATCHDOG_ENABLE) is None

    # the vehicle

    def connect(self, battery: Battery, now: float) -> None:
        """Connect a vehicle."""
        self.stage.connect(battery)
        self.stage.close(now)

    def disconnect(self, now: float) -> None:
        """Disconnect the vehicle, which clears what it has latched."""
        self.advance(now)
        self.stage.disconnect()
        self.running = self.latched = False

    def start_discharge(self, now: float) -> None:
        """Start a discharge session at the device itself, at its rated power."""
        self.running = self._discharging = True
        self._discharge_limit_w = self.stage.spec.max_discharge_w
        self._apply(now)

    def power_cycle(self, now: float) -> None:
        """Restart the device: its settings are lost and it delivers no power."""
        self._stop(now)
        self._watchdog_s, self.setpoint_w = 0.0, 0.0
        self._watchdog_on = self.product.meaning(Meaning.WATCHDOG_ENABLE) is None

    # Plant

    def requested(self, now: float) -> None:
        """A request restarts the silence time-out, of products where each one does."""
        self.advance(now)
        watchdog = self.product.watchdog
        if watchdog is not None and watchdog.restarts == "request":
            self._fed_at = now

    def written(self, register: Register, value: float | str, now: float) -> None:
        """Apply an order or a setting."""
        number = value if isinstance(value, float) else 0.0
        match register.meaning:
            case Meaning.SETPOINT_W:
                self.setpoint_w = number
                self.running = self.running or (number != 0 and self.product.meaning(Meaning.ACTION) is None)
            case Meaning.CHARGE_LIMIT_W:
                self._charge_limit_w = number
            case Meaning.DISCHARGE_LIMIT_W:
                self._discharge_limit_w = number
            case Meaning.ACTION:
                self._act(value)
            case Meaning.WATCHDOG_S:
                self._watchdog_s, self._fed_at = number, now
            case Meaning.WATCHDOG_ENABLE:
                self._watchdog_on = number != 0
        if register.name == self.product.glitches.latches_on_zero and number == 0:
            self.latched = True
        self._apply(now)

    def value(self, register: Register, now: float) -> float | str | None:
        """Return what a register shows."""
        self.advance(now)
        reading = self.stage.reading(now)
        battery = self.stage.battery
        match register.meaning:
            case Meaning.POWER_W:
                return reading.ac_power_w
            case Meaning.VOLTAGE_V:
                return reading.voltage_v if battery is not None else 0.0
            case Meaning.CURRENT_A:
                return abs(reading.current_a)
            case Meaning.STATE:
                return self._label(register, self.state(now))
            case Meaning.SOC_PCT:
                return self._soc_pct()
            case Meaning.CONNECTED:
                return 0.0 if battery is None else 1.0
            case Meaning.REPLUG:
                return float(self.latched)
            case Meaning.FAULT:
                return float(self.error)
        return self._rating(register)

    def _rating(self, register: Register) -> float | None:
        stage = self.stage
        match register.meaning:
            case Meaning.ENERGY_CHARGED_WH:
                return stage.meter.true_charged_wh
            case Meaning.ENERGY_DISCHARGED_WH:
                return stage.meter.true_discharged_wh
            case Meaning.CAPACITY_WH:
                return self.capacity_wh if stage.battery is not None else 0.0
            case Meaning.MAX_CHARGE_W:
                return stage.spec.max_charge_w
            case Meaning.MAX_DISCHARGE_W:
                return stage.spec.max_discharge_w
            case Meaning.WATCHDOG_S:
                return self._watchdog_s
            case Meaning.WATCHDOG_ENABLE:
                return float(self._watchdog_on)
            case Meaning.SETPOINT_W:
                return self.setpoint_w
        return None

    # behaviour

    def advance(self, now: float) -> None:
        """Let the silence time-out expire, and the converter run."""
        ends = self._fed_at + self._watchdog_s
        if self._watchdog_on and self._watchdog_s and self.running and now >= ends:
            self.timeouts.append(ends)
            self._stop(ends)
        self.stage.advance(now)

    def state(self, now: float) -> DeviceState:
        """Return the state of the session."""
        if self.error:
            return DeviceState.FAULT
        if self.stage.battery is None:
            return DeviceState.AVAILABLE
        if not self.running or self.latched:
            return DeviceState.READY
        return DeviceState.DISCHARGING if self._ordered_w() < 0 else DeviceState.CHARGING

    def _label(self, register: Register, state: DeviceState) -> str:
        """Return the state as the product names it: one without a discharging state charges in both directions."""
        labels = list(register.values.values())
        if state in labels:
            return state
        return DeviceState.CHARGING if state is DeviceState.DISCHARGING else labels[0]

    def _soc_pct(self) -> float:
        battery, glitches = self.stage.battery, self.product.glitches
        self._soc_reads += 1
        if battery is None or (glitches.soc_zero_when_idle and not self.running):
            return 0.0
        if glitches.soc_outliers_pct is not None and self._soc_reads % OUTLIER_EVERY == 0:
            return glitches.soc_outliers_pct
        return min(battery.soc_pct, glitches.soc_most_pct)

    def _act(self, value: float | str) -> None:
        if value == "start":
            self.running, self._discharging = self.stage.battery is not None, False
        elif value == "stop":
            self.running = self._discharging = False

    def _ordered_w(self) -> float:
        if self.product.meaning(Meaning.SETPOINT_W) is not None:
            return self.setpoint_w
        return -self._discharge_limit_w if self._discharging else self._charge_limit_w

    def _stop(self, now: float) -> None:
        self.running = self._discharging = False
        self._apply(now)

    def _apply(self, now: float) -> None:
        spec = self.stage.spec
        flows = self.running and not self.latched and not self.error
        power_w = clamp(self._ordered_w(), -spec.max_discharge_w, spec.max_charge_w) if flows else 0.0
        self.stage.set_point(power_w, now)
        if self.stage.battery is not None and self.stage.contactors is Contactors.OPEN:
            self.stage.close(now)
