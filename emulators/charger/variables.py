"""The device model of an emulated 2.x station as it leaves the factory; names and instances are those of the appendix.

What 1.6 calls configuration keys is in `ocpp16.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from emulators.charger.der import BODIES
from emulators.charger.device_model import DeviceModel
from emulators.charger.external import IDS_FROM
from emulators.charger.modes import Surroundings
from emulators.charger.outlet import Outlet
from emulators.charger.profile_rules import THRESHOLDS

MEASURANDS = (
    "Energy.Active.Import.Register",
    "Energy.Active.Export.Register",
    "Power.Active.Import",
    "Power.Active.Export",
    "SoC",
    "Voltage",
    "Current.Import",
    "Current.Export",
)
V2X_MEASURANDS = (
    "Power.Active.Setpoint",
    "Power.Active.Residual",
    "EnergyRequest.Minimum.V2X",
    "EnergyRequest.Maximum.V2X",
    "Frequency",
)
TRANSFERS = ("DC", "DC_BPT")
TRANSFERS_AC = ("AC_single_phase", "AC_three_phase", "AC_BPT")


def furnish(
    model: DeviceModel, outlets: Sequence[Outlet], modes: Iterable[str], dc: bool, late: bool, interval: float
) -> None:
    """Put the variables of a station with these EVSEs into its model. `late` is OCPP 2.1."""
    _controllers(model, len(outlets), interval)
    _smart_charging(model, late)
    for number, outlet in enumerate(outlets, 1):
        model.add("EVSE", "AvailabilityState", "Available", evse=number)
        model.add("EVSE", "Available", True, evse=number, type="boolean")
        model.add("EVSE", "SupplyPhases", 3, evse=number, type="integer")
        model.add("EVSE", "Power", 0.0, evse=number, type="decimal", unit="W", high=outlet.max_charge_w)
        model.add("Connector", "AvailabilityState", "Available", evse=number)
        model.add("Connector", "ConnectorType", "cCCS2" if dc else "cType2", evse=number)
        if late:
            _v2x(model, number, outlet, modes, dc)


def _controllers(model: DeviceModel, evses: int, interval: float) -> None:
    add = model.add
    add("ChargingStation", "AvailabilityState", "Available")
    add("ChargingStation", "Model", "emulator")
    add("OCPPCommCtrlr", "HeartbeatInterval", 300, type="integer", mutable=True, low=1, high=86400, unit="s")
    add("OCPPCommCtrlr", "OfflineThreshold", 60, type="integer", mutable=True, low=0, unit="s")
    add("OCPPCommCtrlr", "MessageTimeout", 30, type="integer", instance="Default", low=1, unit="s")
    add("OCPPCommCtrlr", "MessageAttempts", 5, type="integer", mutable=True, instance="TransactionEvent", low=1)
    add(
        "OCPPCommCtrlr",
        "MessageAttemptInterval",
        10,
        type="integer",
        mutable=True,
        instance="TransactionEvent",
        unit="s",
    )
    add("OCPPCommCtrlr", "RetryBackOffWaitMinimum", 2, type="integer", mutable=True, low=1, unit="s")
    add("OCPPCommCtrlr", "RetryBackOffRandomRange", 2, type="integer", mutable=True, low=0, unit="s")
    add("OCPPCommCtrlr", "RetryBackOffRepeatTimes", 5, type="integer", mutable=True, low=0)
    add("OCPPCommCtrlr", "WebSocketPingInterval", 20, type="integer", mutable=True, low=0, unit="s")
    add("OCPPCommCtrlr", "ResetRetries", 1, type="integer", mutable=True)
    add("OCPPCommCtrlr", "UnlockOnEVSideDisconnect", True, type="boolean", mutable=True)
    add("AuthCtrlr", "Enabled", True, type="boolean", mutable=True)
    add("AuthCtrlr", "AuthorizeRemoteStart", False, type="boolean", mutable=True)
    add("AuthCtrlr", "LocalPreAuthorize", False, type="boolean", mutable=True)
    add("AuthCtrlr", "OfflineTxForUnknownIdEnabled", False, type="boolean", mutable=True)
    add("LocalAuthListCtrlr", "Enabled", True, type="boolean", mutable=True)
    add("LocalAuthListCtrlr", "Entries", 0, type="integer", high=1000)
    add("TxCtrlr", "EVConnectionTimeOut", 120, type="integer", mutable=True, low=1, unit="s")
    add("TxCtrlr", "StopTxOnInvalidId", True, type="boolean", mutable=True)
    add("TxCtrlr", "StopTxOnEVSideDisconnect", True, type="boolean")
    add("TxCtrlr", "TxStartPoint", "Authorized", type="MemberList", values=("Authorized",))
    add("TxCtrlr", "TxStopPoint", "Authorized,EVConnected", type="MemberList", values=("Authorized", "EVConnected"))
    add("SampledDataCtrlr", "Enabled", True, type="boolean", mutable=True)
    for name in ("TxStartedMeasurands", "TxUpdatedMeasurands", "TxEndedMeasurands"):
        chosen = ",".join(MEASURANDS)
        add("SampledDataCtrlr", name, chosen, type="MemberList", mutable=True, values=MEASURANDS + V2X_MEASURANDS)
    add("SampledDataCtrlr", "TxUpdatedInterval", round(interval), type="integer", mutable=True, low=0, unit="s")
    add("SampledDataCtrlr", "TxEndedInterval", 0, type="integer", mutable=True, low=0, unit="s")
    add("AlignedDataCtrlr", "Interval", 0, type="integer", mutable=True, low=0, unit="s")
    add("SecurityCtrlr", "BasicAuthPassword", "", mutable=True, secret=True)
    add("SecurityCtrlr", "Identity", "")
    add("SecurityCtrlr", "OrganizationName", "v2x-gateway", mutable=True)
    add("SecurityCtrlr", "SecurityProfile", 0, type="integer")
    add("ClockCtrlr", "DateTime", "")
    add("ClockCtrlr", "TimeSource", "Heartbeat", type="SequenceList", values=("Heartbeat",))
    add("DeviceDataCtrlr", "ItemsPerMessage", 50, type="integer", instance="GetReport")
    add("DeviceDataCtrlr", "ItemsPerMessage", 50, type="integer", instance="GetVariables")
    add("DeviceDataCtrlr", "ItemsPerMessage", 50, type="integer", instance="SetVariables")
    add("DeviceDataCtrlr", "BytesPerMessage", 65536, type="integer", instance="GetReport")
    add("ReservationCtrlr", "Enabled", True, type="boolean")


def _smart_charging(model: DeviceModel, late: bool) -> None:
    add = model.add
    add("SmartChargingCtrlr", "Enabled", True, type="boolean")
    add("SmartChargingCtrlr", "ProfileStackLevel", 10, type="integer")
    add("SmartChargingCtrlr", "RateUnit", "A,W", type="MemberList", values=("A", "W"))
    add("SmartChargingCtrlr", "PeriodsPerSchedule", 1024, type="integer")
    add("SmartChargingCtrlr", "Entries", 0, type="integer", instance="ChargingProfiles", high=64)
    add(
        "SmartChargingCtrlr",
        "LimitChangeSignificance",
        5.0,
        type="decimal",
        mutable=True,
        low=0,
        high=100,
        unit="Percent",
    )
    add("SmartChargingCtrlr", "ExternalControlSignalsEnabled", True, type="boolean", mutable=True)
    if late:
        for name in ("DynamicProfiles", "MaxOfflineDuration", "RandomizedDelay", "LimitAtSoC", "EvseSleep"):
            add("SmartChargingCtrlr", f"Supports{name}", True, type="boolean")
        add("SmartChargingCtrlr", "SupportsUseLocalTime", False, type="boolean")
        add("SmartChargingCtrlr", "SupportedAdditionalPurposes", "PriorityCharging,LocalGeneration", type="MemberList")
        add("SmartChargingCtrlr", "ExternalConstraintsProfileDisallowed", False, type="boolean", mutable=True)
        add("SmartChargingCtrlr", "MaxExternalConstraintsId", IDS_FROM, type="integer")
        choices = ("ExternalControl", "CSMS")
        add("SmartChargingCtrlr", "SetpointPriority", choices[0], type="OptionList", mutable=True, values=choices)
        for purpose in ("ChargingStationMaxProfile", "TxDefaultProfile", "PriorityCharging"):
            add("SmartChargingCtrlr", "ChargingProfilePersistence", True, type="boolean", instance=purpose)


def _v2x(model: DeviceModel, number: int, outlet: Outlet, modes: Iterable[str], dc: bool) -> None:
    modes = tuple(modes)
    high = outlet.max_discharge_w
    if high <= 0:
        return

    def add(component: str, variable: str, value: object, **about: object) -> None:
        model.add(component, variable, value, evse=number, **about)

    model.add("EVSE", "DischargePower", 0.0, evse=number, type="decimal", unit="W", high=high)
    add("V2XChargingCtrlr", "Enabled", True, type="boolean")
    add("V2XChargingCtrlr", "SupportedOperationModes", ",".join(modes), type="MemberList", values=modes)
    transfers = TRANSFERS if dc else TRANSFERS_AC
    add("V2XChargingCtrlr", "SupportedEnergyTransferModes", ",".join(transfers), type="MemberList", values=transfers)
    add(
        "V2XChargingCtrlr",
        "LocalFrequencyUpdateThreshold",
        Surroundings().frequency_threshold_mhz,
        type="decimal",
        mutable=True,
        low=0,
        unit="mHz",
    )
    for name in ("TxStartedMeasurands", "TxUpdatedMeasurands", "TxEndedMeasurands"):
        for mode in modes:
            values = MEASURANDS + V2X_MEASURANDS
            chosen = "Power.Active.Setpoint" if "Setpoint" in mode or "Frequency" in mode else ""
            add("V2XChargingCtrlr", name, chosen, type="MemberList", mutable=True, values=values, instance=mode)
    for name in THRESHOLDS:
        add("V2XChargingCtrlr", "LocalLoadBalancing", "", type="decimal", mutable=True, instance=name, unit="W")
    add("ISO15118Ctrlr", "Enabled", True, type="boolean")
    add("ISO15118Ctrlr", "ServiceRenegotiationSupport", True, type="boolean")
    add("ISO15118Ctrlr", "SeccId", "EMU", mutable=True)
    for name, value in (("Available", False), ("VehicleId", ""), ("VehicleCertificate", ""), ("ProtocolAgreed", "")):
        add("ConnectedEV", name, value, type="boolean" if name == "Available" else "string")
    add("ConnectedEV", "ProtocolSupportedByEV", "", instance="1")
    if dc:
        nameplate = {
            "MaxW": high,
            "MaxVA": high,
            "MaxVar": 0.0,
            "MaxVarNeg": 0.0,
            "MaxChargeRateW": outlet.max_charge_w,
        }
        nameplate |= {"MaxChargeRateVA": outlet.max_charge_w, "OverExcitedW": high, "UnderExcitedW": high}
        nameplate |= {"OverExcitedPF": 1.0, "UnderExcitedPF": 1.0, "VNom": 230.0, "MaxV": 253.0, "MinV": 195.0}
        for name, rating in nameplate.items():
            add("DCDERCtrlr", name, rating, type="decimal")
        add("DCDERCtrlr", "ReactiveSusceptance", 0.0, type="decimal")
        add("DCDERCtrlr", "ModesSupported", ",".join(sorted(BODIES)), type="MemberList", values=tuple(sorted(BODIES)))
        for label, text in (
            ("Manufacturer", "v2x-gateway"),
            ("Model", "emulator"),
            ("SerialNumber", "EMU-1"),
            ("SwVersion", "1"),
        ):
            add("DCDERCtrlr", f"Inverter{label}", text)
