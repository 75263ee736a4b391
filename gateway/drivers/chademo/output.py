"""Output of one CHAdeMO EVSE: current and limits for the engine, whose current becomes orders to the supervisor."""

from __future__ import annotations

from math import ceil

from gateway.drivers.board.dc_output import DcOutput
from gateway.drivers.board.orders import Deliver, Precharge, SwitchOff
from gateway.drivers.board.runner import BoardRunner
from gateway.drivers.chademo.settings import ChademoEvseSettings
from protocols.chademo.charger import Charger
from protocols.chademo.charger_session import ChargerOutputs, ChargerSettings, SetCapability
from protocols.chademo.timers import BATTERY_SEEN_V

REPEAT_S, VALID_S = 0.5, 2.0  # of orders: a driver that hangs ends the current
MOVED_A = 0.5  # change of the current after which the measurements need time to belong together


class ChademoOutput(DcOutput):
    """DC output of one EVSE."""

    not_configured = 'no discharging is configured (v2h = "none")'

    def __init__(self, settings: ChademoEvseSettings, board: BoardRunner) -> None:
        super().__init__(settings, board)
        self._sent: tuple[Deliver | Precharge, float] | None = None
        self._v2h = settings.bidirectional

    @property
    def bidirectional(self) -> bool:
        return self._v2h

    @property
    def voltage_v(self) -> float:
        """Voltage at the cable; 0 where it is not measured."""
        output = self.measured
        return 0.0 if output is None else output.voltage_v

    @property
    def current_a(self) -> float:
        """Current at the cable."""
        output = self.measured
        return 0.0 if output is None else output.current_a

    def set_current_a(self, power_w: float) -> float:
        """Return the current of a power at the meter; as a grid-forming source the largest one out."""
        volts = self.voltage_v
        if volts < BATTERY_SEEN_V:
            return 0.0
        charge_w, discharge_w = self.connector_limits_w()
        if self.forms:
            return -discharge_w / volts
        return max(-discharge_w, min(charge_w, self.to_connector(power_w))) / volts

    def capability_of(self, settings: ChargerSettings) -> SetCapability:
        """Return the limits to state to the vehicle now."""
        volts = self.voltage_v
        if volts < BATTERY_SEEN_V:
            share = int(self.available)
            return SetCapability(settings.max_charge_a * share, settings.max_discharge_a * share)
        # whole amperes on the bus, rounded up: the set-point limits the current
        charge_a, discharge_a = (ceil(power_w / volts) for power_w in self.connector_limits_w())
        return SetCapability(min(charge_a, settings.max_charge_a), min(discharge_a, settings.max_discharge_a))

    def deliver(self, outputs: ChargerOutputs, now: float) -> None:
        """Order the current of the engine; repeated, because the order ends by itself."""
        order = Deliver(outputs.current_a, outputs.max_v, outputs.min_v, forming=self.forms, valid_for_s=VALID_S)
        if self._moved(outputs.current_a):
            self._changed_at = now
        self.delivering = True
        self._order(order, now)

    def follow(self, current_a: float, engine: Charger, now: float) -> None:
        """Order the current of the engine between two readings of the hardware, while it ramps."""
        if self.delivering and self._moved(current_a):
            self.deliver(engine.outputs, now)

    def match(self, now: float) -> None:
        """Bring the output to the voltage of the vehicle, without current, after it closed its contactors."""
        if self.voltage_v >= BATTERY_SEEN_V:
            self._order(Precharge(self.voltage_v, current_a=0.0, valid_for_s=VALID_S), now)

    def switch_off(self) -> None:
        """Order 0 A and off; the contactors of the EVSE stay closed."""
        self._sent, self.delivering = None, False
        self._board.command(SwitchOff())

    def _moved(self, current_a: float) -> bool:
        last = None if self._sent is None else self._sent[0]
        return not isinstance(last, Deliver) or abs(last.current_a - current_a) > MOVED_A

    def _order(self, order: Deliver | Precharge, now: float) -> None:
        if self._sent is None or self._sent[0] != order or now - self._sent[1] >= REPEAT_S:
            self._sent = order, now
            self._board.command(order)
