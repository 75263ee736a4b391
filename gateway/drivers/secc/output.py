"""Output of one hosted EVSE: a power at the meter becomes an order to the supervisor of its board.

The order is repeated with every charge loop and ends by itself when the vehicle is silent (`orders.ORDER_VALID_S`).
"""

from __future__ import annotations

from math import inf, isfinite

from gateway.drivers.board.orders import Deliver
from gateway.drivers.board.ports import Capability, MeterReading, Output, Range
from gateway.drivers.board.runner import BoardRunner
from gateway.drivers.secc.conversion import Conversion
from gateway.drivers.secc.settings import SeccEvseSettings
from gateway.model.event import PowerLimits
from protocols.iso15118.iso20.limits import NOTHING, Limits, PowerRange
from protocols.quantities import clamp

STEADY_S = 1.5  # after a changed order, until the measurements belong together
RECENT_S = 1.0  # age of a measurement that counts


class EvseOutput:
    """DC output of one EVSE, within the limits of the board, the configuration and the vehicle."""

    def __init__(self, settings: SeccEvseSettings, board: BoardRunner) -> None:
        self._settings, self._board = settings, board
        self._conversion: Conversion | None = None
        self._changed_at = 0.0
        self._power_w = 0.0  # at the connector, as ordered
        self._learned_at = 0.0
        self.forms = False  # ordered to form the grid
        self.delivering = False
        self.vehicle = NOTHING
        self.allowed: PowerRange | None = None  # at the connector, of the last charge loop

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
            return "no bidirectional service is configured (services and protocols)"
        if self.power_limits.max_discharge_w <= 0:
            return "no discharge power is configured (max_discharge_w)"
        return ""

    def limits(self) -> Limits:
        """Return the limits at the connector; without power while a fault keeps the output at 0 A."""
        capability, at_meter = self.capability, self.power_limits
        if capability is None:
            return NOTHING
        charge, discharge = capability.charge, capability.discharge
        share = 1.0 if self.available else 0.0
        return Limits(
            max_charge_w=share * self._connector_w(at_meter.max_charge_w, charge),
            max_charge_a=charge.max_current_a,
            max_discharge_w=share * self._connector_w(-at_meter.max_discharge_w, discharge),
            max_discharge_a=0.0 if discharge is None else discharge.max_current_a,
            max_voltage_v=charge.max_voltage_v,
            min_voltage_v=charge.min_voltage_v,
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

    def begin(self) -> None:
        """Begin a session."""
        self.delivering, self.vehicle, self.allowed, self._power_w = False, NOTHING, None, 0.0

    def deliver(self, power_w: float, now: float) -> None:
        """Order a power at the connector; as a grid-forming source the load determines it."""
        if not self.delivering:
            return
        if power_w != self._power_w:
            self._power_w, self._changed_at = power_w, now
        limits, output = self.vehicle, self.measured
        volts = output.voltage_v if output is not None and output.voltage_v > 0 else inf
        most_in_a, most_out_a = limits.max_charge_a, limits.max_discharge_a
        current_a = clamp(power_w / volts, -most_out_a, most_in_a)
        if self.forms:
            current_a = -self._forming_a(volts)
        self._board.command(
            Deliver(
                current_a,
                max_voltage_v=limits.max_voltage_v if isfinite(limits.max_voltage_v) else self.limits().max_voltage_v,
                min_voltage_v=limits.min_voltage_v,
                forming=self.forms,
            )
        )

    def _forming_a(self, volts: float) -> float:
        """Return the largest current out of the vehicle while it supplies an island."""
        own = self.limits()
        most_w = min(self.vehicle.max_discharge_w, own.max_discharge_w)
        return min(self.vehicle.max_discharge_a, own.max_discharge_a, most_w / volts)

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
