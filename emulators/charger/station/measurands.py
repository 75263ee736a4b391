"""Measurands that an emulated station of any OCPP version reports, and their values."""

from __future__ import annotations

from emulators.charger.station.power_path import Reading

MEASURANDS = (
    "Energy.Active.Import.Register", "Energy.Active.Export.Register", "Power.Active.Import", "Power.Active.Export",
    "SoC", "Voltage", "Current.Import", "Current.Export",
)  # fmt: skip
UNITS = {"Energy": "Wh", "EnergyRequest": "Wh", "Power": "W", "SoC": "Percent", "Voltage": "V", "Current": "A"}


def measured(reading: Reading, only_rises: bool) -> dict[str, float | None]:
    """Return the values of `MEASURANDS`, None where there is nothing to measure; `only_rises`: a one-way meter."""
    power, amps = reading.power_w, reading.current_a
    return {
        "Energy.Active.Import.Register": reading.charged_wh,
        "Energy.Active.Export.Register": None if only_rises else reading.discharged_wh,
        "Power.Active.Import": max(power, 0.0),
        "Power.Active.Export": None if only_rises else max(0.0, -power),  # never -0.0
        "SoC": reading.soc_pct,
        "Voltage": reading.voltage_v,
        "Current.Import": None if amps is None else max(amps, 0.0),
        "Current.Export": None if amps is None or only_rises else max(-amps, 0.0),
    }
