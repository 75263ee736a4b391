"""DC output of a hosted EVSE: a power stage, and the losses of its converter between connector and meter."""

from __future__ import annotations

from gateway.drivers.board.conversion import Conversion
from gateway.drivers.board.output import HostedOutput, OutputSettings, least
from gateway.drivers.board.ports import Capability, Output, Range
from gateway.drivers.board.runner import BoardRunner
from gateway.model.event import PowerLimits

STEADY_S = 1.5  # after a changed order, until the measurements belong together
RECENT_S = 1.0  # age of a measurement that counts


class DcOutput(HostedOutput):
    """DC output of one EVSE."""

    def __init__(self, settings: OutputSettings, board: BoardRunner) -> None:
        super().__init__(settings, board)
        self._conversion: Conversion | None = None
        self._changed_at = 0.0
        self._power_w = 0.0  # at the connector, as ordered
        self._learned_at = 0.0

    # what the hardware reports

    @property
    def ready(self) -> bool:
        return self.capability is not None

    @property
    def forming(self) -> bool:
        return self.capability is not None and self.capability.forming

    @property
    def capability(self) -> Capability | None:
        """Capability of the power stage at present."""
        power = self._board.board.power
        return None if power is None else power.capability

    @property
    def measured(self) -> Output | None:
        power = self._board.board.power
        return None if power is None else power.output

    # limits

    @property
    def power_limits(self) -> PowerLimits:
        capability, settings = self.capability, self._limits
        if capability is None:
            return PowerLimits(settings.max_charge_w or 0.0, 0.0)
        charge_w, discharge_w = capability.charge.max_power_w, 0.0
        if capability.discharge is not None and self.bidirectional:
            discharge_w = capability.discharge.max_power_w * capability.efficiency
        return PowerLimits(least(charge_w, settings.max_charge_w), least(discharge_w, settings.max_discharge_w))

    @property
    def why_not(self) -> str:
        capability = self.capability
        if capability is None:
            return "the board has not reported its capability"
        if capability.discharge is None:
            return "the power stage of the board is for charging only"
        return super().why_not

    def connector_limits_w(self) -> tuple[float, float]:
        """Return the limits at the connector, charge and discharge; 0 while a fault keeps the output at 0 A."""
        capability, at_meter = self.capability, self.power_limits
        if capability is None or not self.available:
            return 0.0, 0.0
        return (
            self._connector_w(at_meter.max_charge_w, capability.charge),
            self._connector_w(-at_meter.max_discharge_w, capability.discharge),
        )

    def _connector_w(self, meter_w: float, range_of: Range | None) -> float:
        return 0.0 if range_of is None else min(abs(self.to_connector(meter_w)), range_of.max_power_w)

    # the output

    def to_connector(self, meter_w: float) -> float:
        """Return the power at the connector for a power at the meter."""
        if self._conversion is None:
            capability = self.capability
            if capability is None:
                return meter_w
            self._conversion = Conversion(capability.efficiency)
        return self._conversion.to_connector(meter_w)

    def changed(self, power_w: float, now: float) -> None:
        """Record the power at the connector that is ordered."""
        if power_w != self._power_w:
            self._power_w, self._changed_at = power_w, now

    def learn(self, now: float) -> None:
        """Compare the two measurements where both are recent and steady."""
        output, reading = self.measured, self.reading
        if self._conversion is None or output is None or reading is None or not self.delivering or self.forms:
            return
        if reading.at <= self._learned_at or now - self._changed_at < STEADY_S:
            return
        if now - min(output.at, reading.at) <= RECENT_S:
            self._learned_at = reading.at
            self._conversion.measured(reading.power_w, output.voltage_v * output.current_a)
