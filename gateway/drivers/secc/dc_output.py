"""Output of a DC EVSE with sessions of ISO 15118: a power becomes a current within the limits of the vehicle."""

from __future__ import annotations

from math import inf, isfinite

from gateway.drivers.board.dc_output import DcOutput
from gateway.drivers.board.orders import Deliver
from gateway.drivers.secc.output import EvseOutput
from protocols.iso15118.iso20.limits import NOTHING, Limits
from protocols.quantities import clamp


class DcEvseOutput(DcOutput, EvseOutput):
    """DC output of one EVSE."""

    ac = False

    def limits(self) -> Limits:
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
        super().begin()
        self._power_w = 0.0

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
