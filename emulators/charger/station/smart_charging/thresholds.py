"""Settings of local smart charging in the device model (V2XChargingCtrlr)."""

from __future__ import annotations

from collections.abc import Iterable

from emulators.charger.station.device_model.model import DeviceModel
from emulators.charger.station.evse import EvseState
from emulators.charger.station.smart_charging.profile_rules import THRESHOLDS


def load_thresholds(device_model: DeviceModel, evses: Iterable[EvseState]) -> None:
    """Load the thresholds of local load balancing and local frequency control into each EVSE."""
    for evse in evses:
        values = {}
        for name in THRESHOLDS:
            text = device_model.get("V2XChargingCtrlr", "LocalLoadBalancing", evse.number, name)
            if text:
                values[name] = float(text)
        evse.conditions.thresholds = values
        evse.conditions.frequency_threshold_mhz = device_model.number(
            "V2XChargingCtrlr", "LocalFrequencyUpdateThreshold", 10.0, evse.number
        )
