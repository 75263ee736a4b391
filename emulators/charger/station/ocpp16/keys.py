"""The configuration keys of an emulated 1.6 station (1.6 chapter 9), and how they are read and set (5.3, 5.8)."""

from __future__ import annotations

from typing import Any

from emulators.charger.station.device_model.model import Variable, fits
from emulators.charger.station.smart_charging import vendor_power
from emulators.charger.station.station import Station
from protocols.ocpp.schema import Payload

KEYS_PER_ANSWER = 100  # GetConfigurationMaxKeys
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
_INTEGER, _BOOLEAN = "integer", "boolean"


def furnish(station: Station) -> None:
    """The configuration keys of 1.6, chapter 9, and of the vendor profile. They live in a component without a name."""

    def add(key: str, value: object, kind: str = "string", mutable: bool = True, **about: Any) -> None:
        station.device.add("", key, value, type=kind, mutable=mutable, **about)

    add("AllowOfflineTxForUnknownId", False, _BOOLEAN)
    add("AuthorizationKey", "", secret=True)
    add("AuthorizeRemoteTxRequests", False, _BOOLEAN)
    add("ClockAlignedDataInterval", 0, _INTEGER, low=0)
    add("ConnectionTimeOut", 120, _INTEGER, low=0)
    add("ConnectorPhaseRotation", "NotApplicable")
    add("GetConfigurationMaxKeys", KEYS_PER_ANSWER, _INTEGER, mutable=False)
    add("HeartbeatInterval", 300, _INTEGER, low=1)
    add("LocalAuthListEnabled", True, _BOOLEAN)
    add("LocalAuthListMaxLength", 1000, _INTEGER, mutable=False)
    add("LocalAuthorizeOffline", True, _BOOLEAN)
    add("LocalPreAuthorize", False, _BOOLEAN)
    for key in ("MeterValuesAlignedData", "StopTxnAlignedData", "StopTxnSampledData"):
        add(key, ",".join(MEASURANDS[:2]), "MemberList", values=MEASURANDS)
    add("MeterValuesSampledData", ",".join(MEASURANDS), "MemberList", values=MEASURANDS)
    add("MeterValueSampleInterval", round(station.config.meter_interval_s), _INTEGER, low=0)
    add("NumberOfConnectors", len(station.evses), _INTEGER, mutable=False)
    add("ResetRetries", 1, _INTEGER, low=0)
    add("SecurityProfile", 0, _INTEGER, mutable=False)
    add("SendLocalListMaxLength", 1000, _INTEGER, mutable=False)
    add("StopTransactionOnEVSideDisconnect", True, _BOOLEAN)
    add("StopTransactionOnInvalidId", True, _BOOLEAN)
    add(
        "SupportedFeatureProfiles",
        "Core,FirmwareManagement,LocalAuthListManagement,RemoteTrigger,Reservation,SmartCharging",
        mutable=False,
    )
    add("TransactionMessageAttempts", 5, _INTEGER, low=1)
    add("TransactionMessageRetryInterval", 10, _INTEGER, low=0)
    add("UnlockConnectorOnEVSideDisconnect", True, _BOOLEAN)
    add("WebSocketPingInterval", 20, _INTEGER, low=0)
    add("ChargeProfileMaxStackLevel", 10, _INTEGER, mutable=False)
    add("ChargingScheduleAllowedChargingRateUnit", "Current,Power", mutable=False)
    add("ChargingScheduleMaxPeriods", 1024, _INTEGER, mutable=False)
    add("MaxChargingProfilesInstalled", 64, _INTEGER, mutable=False)
    if station.vendor.setpoint.key:
        add(station.vendor.setpoint.key, "0.0", "decimal")


def keys_of(station: Station) -> dict[str, Variable]:
    """All of them, by name: they live in a component without one."""
    return {name: v for (component, _, name, _), v in station.device.items() if not component}


def change(station: Station, key: str, value: str) -> str:
    """ChangeConfigurationResponse.status."""
    variable = station.device.find(("", 0, key, ""))
    if variable is None:
        return "NotSupported"
    if not variable.mutable or not fits(variable, value):
        return "Rejected"
    if key == station.vendor.setpoint.key and not vendor_power.variable(station, value):
        return "Rejected"
    variable.stored = value
    if key == "HeartbeatInterval":
        station.line.beat_again()
    elif key == "AuthorizationKey":
        station.line.network.set_password(value)
        station.later(station.line.reconnect("new credentials"))  # whitepaper A01
    station.variables_changed()
    station.save("variables")
    return "Accepted"


def read(station: Station, asked: list[str]) -> Payload:
    """GetConfigurationResponse."""
    keys = keys_of(station)
    asked = asked or list(keys)
    known = []
    for key in asked:
        if key in keys:
            entry: Payload = {"key": key, "readonly": not keys[key].mutable}
            if not keys[key].secret:
                entry["value"] = keys[key].value[:500]
            known.append(entry)
    unknown = [key for key in asked if key not in keys]
    return {"configurationKey": known} | ({"unknownKey": unknown} if unknown else {})
