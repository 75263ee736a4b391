"""Factory variables of smart and bidirectional charging of an emulated 2.x station (2.1 part 2, appendix)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Unpack

from emulators.charger.station.config import StationConfig
from emulators.charger.station.device_model.model import Characteristics, DeviceModel, as_text
from emulators.charger.station.evse import EvseState
from emulators.charger.station.measurands import MEASURANDS
from emulators.charger.station.ocpp_enums import ProfilePurpose
from emulators.charger.station.power_path import Needs
from emulators.charger.station.smart_charging.der import BODIES
from emulators.charger.station.smart_charging.external_control import IDS_FROM
from emulators.charger.station.smart_charging.operation_modes import LocalConditions
from emulators.charger.station.smart_charging.profile_rules import THRESHOLDS
from emulators.charger.station.smart_charging.profiles import Profiles
from protocols.ocpp.schema import Version

PURPOSES = (ProfilePurpose.priority_charging, ProfilePurpose.local_generation)
PERSISTENT = (
    ProfilePurpose.charging_station_max_profile, ProfilePurpose.tx_default_profile, ProfilePurpose.priority_charging,
)  # fmt: skip
V2X_MEASURANDS = (
    "Power.Active.Setpoint", "Power.Active.Residual", "EnergyRequest.Minimum", "EnergyRequest.Target",
    "EnergyRequest.Maximum", "EnergyRequest.Minimum.V2X", "EnergyRequest.Maximum.V2X", "Frequency",
)  # fmt: skip
CONNECTED_EV = "ConnectedEV"
TRANSFERS = ("DC", "DC_BPT")
TRANSFERS_AC = ("AC_single_phase", "AC_three_phase", "AC_BPT")


def add_smart_charging(device_model: DeviceModel, profiles: Profiles, config: StationConfig) -> None:
    """Add SmartChargingCtrlr of a 2.x station."""

    def add(variable: str, value: object, instance: str = "", **about: Unpack[Characteristics]) -> None:
        device_model.add("SmartChargingCtrlr", variable, value, instance=instance, **about)

    add("Available", True, type="boolean")
    add("Enabled", True, type="boolean")
    add("ProfileStackLevel", 10, type="integer")
    add("RateUnit", "A,W", type="MemberList", values=("A", "W"))
    add("PeriodsPerSchedule", 1024, type="integer")
    add("Entries", lambda: len(list(profiles)), type="integer", instance="ChargingProfiles", high=64)
    add("LimitChangeSignificance", 5.0, type="decimal", mutable=True, low=0, high=100, unit="Percent")
    add("ExternalControlSignalsEnabled", True, type="boolean", mutable=True)
    if config.version is Version.V21:
        for name in ("DynamicProfiles", "MaxOfflineDuration", "RandomizedDelay", "LimitAtSoC"):
            add(f"Supports{name}", True, type="boolean")
        add("SupportsEvseSleep", config.evse_sleep, type="boolean")
        add("SupportsUseLocalTime", False, type="boolean")
        add("SupportedAdditionalPurposes", ",".join(PURPOSES), type="MemberList", values=PURPOSES)
        add("ExternalConstraintsProfileDisallowed", False, type="boolean", mutable=True)
        add("MaxExternalConstraintsId", IDS_FROM, type="integer")
        choices = ("ExternalControl", "CSMS")
        add("SetpointPriority", choices[0], type="OptionList", mutable=True, values=choices)
        for purpose in PERSISTENT:
            add("ChargingProfilePersistence", True, type="boolean", instance=purpose)


def add_variables(device_model: DeviceModel, config: StationConfig, evse: EvseState) -> None:
    """Add the variables of a bidirectional EVSE of 2.1; nothing for other EVSEs."""
    number, power_path = evse.number, evse.power_path
    modes, dc, high = config.modes, config.dc, power_path.max_discharge_w
    if high <= 0:
        return

    def add(component: str, variable: str, value: object, instance: str = "", **about: Unpack[Characteristics]) -> None:
        device_model.add(component, variable, value, evse=number, instance=instance, **about)

    add("EVSE", "DischargePower", lambda: max(0.0, -evse.reading.power_w), type="decimal", unit="W", high=high)
    add("V2XChargingCtrlr", "Enabled", True, type="boolean")
    add("V2XChargingCtrlr", "SupportedOperationModes", ",".join(modes), type="MemberList", values=modes)
    transfers = TRANSFERS if dc else TRANSFERS_AC
    add("V2XChargingCtrlr", "SupportedEnergyTransferModes", ",".join(transfers), type="MemberList", values=transfers)
    threshold = LocalConditions().frequency_threshold_mhz
    add("V2XChargingCtrlr", "LocalFrequencyUpdateThreshold", threshold, type="decimal", mutable=True, low=0, unit="mHz")
    for name in ("TxStartedMeasurands", "TxUpdatedMeasurands", "TxEndedMeasurands"):
        for mode in modes:
            values = MEASURANDS + V2X_MEASURANDS
            chosen = "Power.Active.Setpoint" if "Setpoint" in mode or "Frequency" in mode else ""
            add("V2XChargingCtrlr", name, chosen, type="MemberList", mutable=True, values=values, instance=mode)
    for name in THRESHOLDS:
        add("V2XChargingCtrlr", "LocalLoadBalancing", "", type="decimal", mutable=True, instance=name, unit="W")
    add("ISO15118Ctrlr", "Enabled", True, type="boolean")
    add("ISO15118Ctrlr", "ServiceRenegotiationSupport", config.service_renegotiation, type="boolean")
    add("ISO15118Ctrlr", "SeccId", "EMU", mutable=True)
    for name, value in (("Available", False), ("VehicleId", ""), ("VehicleCertificate", ""), ("ProtocolAgreed", "")):
        add(CONNECTED_EV, name, value, type="boolean" if name == "Available" else "string")
    add(CONNECTED_EV, "ProtocolSupportedByEV", "", instance="1")
    add(CONNECTED_EV, "DCCurrent", lambda: evse.reading.current_a or 0.0, type="decimal", unit="A")
    add(CONNECTED_EV, "DCVoltage", lambda: evse.reading.voltage_v or 0.0, type="decimal", unit="V")
    for name, unit in (("EnergyImport", "Wh"), ("RemainingTimeFull", "s")):
        add(CONNECTED_EV, name, 0.0, type="decimal", unit=unit)
    percent: Characteristics = {"type": "decimal", "unit": "Percent", "low": 0.0, "high": 100.0}
    add(CONNECTED_EV, "StateOfCharge", lambda: evse.reading.soc_pct or 0.0, **percent)
    if dc:
        nameplate = {
            "MaxW": high, "MaxVA": high, "MaxVar": 0.0, "MaxVarNeg": 0.0, "MaxChargeRateW": power_path.max_charge_w,
            "MaxChargeRateVA": power_path.max_charge_w, "OverExcitedW": high, "UnderExcitedW": high,
            "OverExcitedPF": 1.0, "UnderExcitedPF": 1.0, "VNom": 230.0, "MaxV": 253.0, "MinV": 195.0,
        }  # fmt: skip
        for name, rating in nameplate.items():
            add("DCDERCtrlr", name, rating, type="decimal")
        add("DCDERCtrlr", "ReactiveSusceptance", 0.0, type="decimal")
        add("DCDERCtrlr", "ModesSupported", ",".join(sorted(BODIES)), type="MemberList", values=tuple(sorted(BODIES)))
        labels = {"Manufacturer": "v2x-gateway", "Model": "emulator", "SerialNumber": "EMU-1", "SwVersion": "1"}
        for label, text in labels.items():
            add("DCDERCtrlr", f"Inverter{label}", text)
    else:  # the controls that the station performs in place of the EV (R03.FR.03)
        add("ACDERCtrlr", "ModesSupported", ",".join(sorted(BODIES)), type="MemberList", values=tuple(sorted(BODIES)))


def set_connected_ev(device_model: DeviceModel, number: int, vehicle: Needs | None) -> None:
    """Set the variables of ConnectedEV at one EVSE by a vehicle, or for none (Q01.FR.36)."""
    if device_model.get(CONNECTED_EV, "Available", number) is None:
        return
    about = None if vehicle is None else vehicle.connected_ev
    device_model.put(CONNECTED_EV, "Available", vehicle is not None, number)
    device_model.put(CONNECTED_EV, "VehicleId", (vehicle.vehicle if vehicle is not None else None) or "", number)
    device_model.put(CONNECTED_EV, "ProtocolAgreed", about.agreed if about is not None else "", number)
    supported = about.supported if about is not None else ()
    device_model.put(CONNECTED_EV, "ProtocolSupportedByEV", supported[0] if supported else "", number, "1")
    for (component, evse, _, _), variable in device_model.items():
        if (component, evse) == (CONNECTED_EV, number):
            variable.attributes.clear()
    for name, attribute, value in () if about is None else about.values:
        found = device_model.find((CONNECTED_EV, number, name, ""))
        if found is not None:
            found.attributes[attribute] = as_text(value)


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
