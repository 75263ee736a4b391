"""What one turn of the charge loop says, the same for AC and DC: the car's side and the charger's.

Values in SI units, power signed (+ into the vehicle), limits as magnitudes. `dc_messages.py` and `ac_messages.py` report
them into messages and back. Not here: decisions (`setpoint.py`), when a turn happens (the engines).
"""

from __future__ import annotations

from protocols.frozen import frozen
from protocols.iso15118.iso20.limits import Limits
from protocols.iso15118.iso20.setpoint import EnergyRequests


@frozen(kw_only=True)
class Display:
    """What the car lets the charger show. SoC in %, times in s, capacity in Wh."""

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
    """What a charge loop request says."""

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
    """A meter's two counters; both only grow."""

    meter_id: str = "v2x"
    charged_wh: float = 0.0
    discharged_wh: float = 0.0
    timestamp_s: int | None = None


@frozen(kw_only=True)
class StationReport:
    """What a charge loop response says."""

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
