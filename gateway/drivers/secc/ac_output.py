"""Output of an AC EVSE: contactors to the vehicle, whose own converter follows the limits that the session states."""

from __future__ import annotations

from gateway.drivers.board.orders import Deliver
from gateway.drivers.board.output import least
from gateway.drivers.board.ports import Output
from gateway.drivers.secc.output import EvseOutput
from gateway.model.event import PowerLimits
from protocols.iec61851 import LOWEST_CURRENT_A
from protocols.iso15118.iso20.limits import Limits


class AcOutput(EvseOutput):
    """AC output of one EVSE. Its rating is that of the configuration: phases, voltage and current."""

    ac = True
    forming = False
    measured: Output | None = None

    @property
    def ready(self) -> bool:
        board = self._board.board
        return board.contactors.closed is not None and board.meter.reading is not None

    @property
    def power_limits(self) -> PowerLimits:
        settings = self._settings
        discharge_w = settings.max_discharge_w or 0.0 if self.bidirectional else 0.0
        charge_w = least(settings.ac_power_w, settings.max_charge_w)
        return PowerLimits(charge_w, min(settings.ac_power_w, discharge_w), self.least_w)

    @property
    def least_w(self) -> float:
        """Lowest charging power: 6 A of one phase."""
        return LOWEST_CURRENT_A * self._settings.voltage_v

    @property
    def least_basic_w(self) -> float:
        """Lowest charging power by duty cycle: 6 A of all phases."""
        return self.least_w * self._settings.phases

    def limits(self) -> Limits:
        own, share = self.power_limits, 1.0 if self.available else 0.0
        return Limits(
            max_charge_w=share * own.max_charge_w,
            min_charge_w=share * min(own.max_charge_w, self.least_w),
            max_discharge_w=share * own.max_discharge_w,
            phases=self._settings.phases,
        )

    def to_connector(self, meter_w: float) -> float:
        return meter_w

    def deliver(self, power_w: float, now: float) -> None:
        """Keep the contactors closed; at 0 W they stay so until the session ends."""
        if self.delivering:
            self._board.command(Deliver())

    def learn(self, now: float) -> None:
        """Learn nothing: the meter is at the connector."""

    def current_a(self, power_w: float) -> float:
        """Return the current of each phase for a power."""
        return power_w / (self._settings.voltage_v * self._settings.phases)
