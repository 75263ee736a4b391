"""Contents of one charge loop exchange, the same for AC and DC: the EV's report and the SECC's.

Values in SI units, power signed (+ into the vehicle), limits as magnitudes. `dc_loop.py` and `ac_messages.py` convert
them to messages and back; `setpoint.py` decides, the engines time the exchange.
"""

from __future__ import annotations

from protocols.frozen import frozen
from protocols.iso15118.iso20.limits import Limits
from protocols.iso15118.iso20.setpoint import EnergyRequests


@frozen(kw_only=True)
class Display:
    """Values that the EV provides for display. SoC in %, times in s, capacity in Wh."""

    present_soc_pct: float | None = None
    minimum_soc_pct: float | None = None
    target_soc_pct: float | None = None
    maximum_soc_pct: float | None = None
    to_minimum_s: int | None = None
    to_target_s: int | None = None
    to_maximum_s: int | None = None
    complete: bool = False
    capacity_wh: float | None = None
    inlet_hot: bool | None = None


@frozen(kw_only=True)
class CarReport:
    """Contents of a charge loop request."""

    limits: Limits
    needs: EnergyRequests | None = None
    departure_s: float | None = None
    present_voltage_v: float | None = None  # DC
    target_voltage_v: float | None = None  # DC, scheduled
    target_current_a: float | None = None  # DC, scheduled; signed
    present_power_w: float | None = None  # AC; signed
    present_reactive_var: float | None = None  # AC
    display: Display | None = None
    meter_requested: bool = False


@frozen(kw_only=True)
class Meter:
    """Import and export registers of a meter; both only increase."""

    meter_id: str = "v2x"
    charged_wh: float = 0.0
    discharged_wh: float = 0.0
    timestamp_s: int | None = None


@frozen(kw_only=True)
class StationReport:
    """Contents of a charge loop response."""

    limits: Limits
    present_current_a: float | None = None  # DC; signed
    present_voltage_v: float | None = None  # DC
    target_power_w: float | None = None  # AC; signed
    target_reactive_var: float | None = None  # AC
    present_power_w: float | None = None  # AC
    power_limited: bool = False
    current_limited: bool = False
    voltage_limited: bool = False
    departure_s: float | None = None  # these three: MobilityNeedsMode 2
    minimum_soc_pct: int | None = None
    target_soc_pct: int | None = None
    confirm_within_s: int | None = None  # AckMaxDelay
    meter: Meter | None = None
