"""DC output of a hosted EVSE: limits at the meter, and the power at the connector for one at the meter."""

from __future__ import annotations

from typing import Protocol

from gateway.drivers.board.conversion import Conversion
from gateway.drivers.board.ports import Capability, MeterReading, Output, Range
from gateway.drivers.board.runner import BoardRunner
from gateway.model.event import PowerLimits

STEADY_S = 1.5  # after a changed order, until the measurements belong together
RECENT_S = 1.0  # age of a measurement that counts


class OutputSettings(Protocol):
    """Settings of an EVSE that limit its output; powers are magnitudes at the meter."""

    @property
    def max_charge_w(self) -> float | None: ...
    @property
    def max_discharge_w(self) -> float | None: ...
    @property
    def bidirectional(self) -> bool: ...


class DcOutput:
    """DC output of one EVSE, within the limits of board and configuration."""

    def __init__(self, settings: OutputSettings, board: BoardRunner) -> None:
        self._settings, self._board = settings, board
        self._conversion: Conversion | None = None
        self._changed_at = 0.0
        self._power_w = 0.0  # at the connector, as ordered
        self._learned_at = 0.0
        self.forms = False  # ordered to form the grid
        self.delivering = False

    # what the hardware reports

    @property
    def capability(self) -> Capability | None:
        """Capability of the power stage at present."""
        power = self._board.board.power
        return None if power is None else power.capability

    @property
    def measured(self) -> Output | None:
        """Last measurement at the connector."""
        power = self._board.board.power
        return None if power is None else power.output

    @property
    def reading(self) -> MeterReading | None:
        """Last reading of the meter."""
        return self._board.board.meter.reading

    @property
    def available(self) -> bool:
        """True while no fault keeps the output at 0 A."""
        return self._board.available

    # limits

    @property
    def power_limits(self) -> PowerLimits:
        """Limits at the meter, magnitudes."""
        capability, settings = self.capability, self._settings
        if capability is None:
            return PowerLimits(settings.max_charge_w or 0.0, 0.0)
        charge_w, discharge_w = capability.charge.max_power_w, 0.0
        if capability.discharge is not None and settings.bidirectional:
            discharge_w = capability.discharge.max_power_w * capability.efficiency
        return PowerLimits(_least(charge_w, settings.max_charge_w), _least(discharge_w, settings.max_discharge_w))

    @property
    def why_not(self) -> str:
        """Reason why the EVSE cannot discharge, empty where it can."""
        capability = self.capability
        if capability is None:
            return "the board has not reported its capability"
        if capability.discharge is None:
            return "the power stage of the board is for charging only"
        if not self._settings.bidirectional:
            return self.not_configured
        if self.power_limits.max_discharge_w <= 0:
            return "no discharge power is configured (max_discharge_w)"
        return ""

    not_configured = "discharging is not configured"

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


def _least(rated_w: float, configured_w: float | None) -> float:
    return rated_w if configured_w is None else min(rated_w, configured_w)
