"""Output of one EVSE with sessions of ISO 15118: a power at the meter becomes an order to the supervisor of its board.

The order is repeated with every charge loop and ends by itself when the vehicle is silent (`orders.ORDER_VALID_S`).
"""

from __future__ import annotations

from math import inf, isfinite

from gateway.drivers.board.dc_output import DcOutput
from gateway.drivers.board.orders import Deliver
from gateway.drivers.board.runner import BoardRunner
from gateway.drivers.secc.settings import SeccEvseSettings
from protocols.iso15118.iso20.limits import NOTHING, Limits, PowerRange
from protocols.quantities import clamp


class EvseOutput(DcOutput):
    """DC output of one EVSE, within the limits of the board, the configuration and the vehicle."""

    not_configured = "no bidirectional service is configured (services and protocols)"

    def __init__(self, settings: SeccEvseSettings, board: BoardRunner) -> None:
        super().__init__(settings, board)
        self.vehicle = NOTHING
        self.allowed: PowerRange | None = None  # at the connector, of the last charge loop

    def limits(self) -> Limits:
        """Return the limits at the connector; without power while a fault keeps the output at 0 A."""
        capability = self.capability
        if capability is None:
            return NOTHING
        charge, discharge = capability.charge, capability.discharge
        charge_w, discharge_w = self.connector_limits_w()
        return Limits(
            max_charge_w=charge_w,
            max_charge_a=charge.max_current_a,
            max_discharge_w=discharge_w,
            max_discharge_a=0.0 if discharge is None else discharge.max_current_a,
            max_voltage_v=charge.max_voltage_v,
            min_voltage_v=charge.min_voltage_v,
        )

    def begin(self) -> None:
        """Begin a session."""
        self.delivering, self.vehicle, self.allowed, self._power_w = False, NOTHING, None, 0.0

    def deliver(self, power_w: float, now: float) -> None:
        """Order a power at the connector; as a grid-forming source the load determines it."""
        if not self.delivering:
            return
        self.changed(power_w, now)
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
