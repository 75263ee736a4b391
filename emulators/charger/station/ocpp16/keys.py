"""Configuration keys of an emulated 1.6 station (1.6 chapter 9), read and set by 5.8 and 5.3."""

from __future__ import annotations

from typing import Unpack

from emulators.charger.station.device_model.model import Characteristics, fits
from emulators.charger.station.measurands import MEASURANDS
from emulators.charger.station.responses import response
from emulators.charger.station.shared_requests import RequestHandlers
from emulators.charger.station.station import Station
from protocols.ocpp.enums import v16
from protocols.ocpp.schema import Payload

KEYS_PER_ANSWER = 100  # GetConfigurationMaxKeys
_INTEGER, _BOOLEAN = "integer", "boolean"


def add_keys(station: Station) -> None:
    """Add the keys of 1.6 chapter 9 and of the vendor profile to the device model, in a component without a name."""

    def add(key: str, value: object, **about: Unpack[Characteristics]) -> None:
        about.setdefault("mutable", True)
        station.device_model.add("", key, value, **about)

    add("AllowOfflineTxForUnknownId", False, type=_BOOLEAN)
    add("AuthorizationKey", "", secret=True)
    add("AuthorizeRemoteTxRequests", False, type=_BOOLEAN)
    add("ClockAlignedDataInterval", 0, type=_INTEGER, low=0)
    add("ConnectionTimeOut", 120, type=_INTEGER, low=0)
    add("ConnectorPhaseRotation", "NotApplicable")
    add("GetConfigurationMaxKeys", KEYS_PER_ANSWER, type=_INTEGER, mutable=False)
    add("HeartbeatInterval", 300, type=_INTEGER, low=1)
    add("LocalAuthListEnabled", True, type=_BOOLEAN)
    add("LocalAuthListMaxLength", 1000, type=_INTEGER, mutable=False)
    add("LocalAuthorizeOffline", True, type=_BOOLEAN)
    add("LocalPreAuthorize", False, type=_BOOLEAN)
    for key in ("MeterValuesAlignedData", "StopTxnAlignedData", "StopTxnSampledData"):
        add(key, ",".join(MEASURANDS[:2]), type="MemberList", values=MEASURANDS)
    add("MeterValuesSampledData", ",".join(MEASURANDS), type="MemberList", values=MEASURANDS)
    add("MeterValueSampleInterval", round(station.config.meter_interval_s), type=_INTEGER, low=0)
    add("NumberOfConnectors", len(station.evses), type=_INTEGER, mutable=False)
    add("ResetRetries", 1, type=_INTEGER, low=0)
    add("SecurityProfile", 0, type=_INTEGER, mutable=False)
    add("SendLocalListMaxLength", 1000, type=_INTEGER, mutable=False)
    add("StopTransactionOnEVSideDisconnect", True, type=_BOOLEAN)
    add("StopTransactionOnInvalidId", True, type=_BOOLEAN)
    add(
        "SupportedFeatureProfiles",
        "Core,FirmwareManagement,LocalAuthListManagement,RemoteTrigger,Reservation,SmartCharging",
        mutable=False,
    )
    add("TransactionMessageAttempts", 5, type=_INTEGER, low=1)
    add("TransactionMessageRetryInterval", 10, type=_INTEGER, low=0)
    add("UnlockConnectorOnEVSideDisconnect", True, type=_BOOLEAN)
    add("WebSocketPingInterval", 20, type=_INTEGER, low=0)
    add("ChargeProfileMaxStackLevel", 10, type=_INTEGER, mutable=False)
    add("ChargingScheduleAllowedChargingRateUnit", "Current,Power", mutable=False)
    add("ChargingScheduleMaxPeriods", 1024, type=_INTEGER, mutable=False)
    add("MaxChargingProfilesInstalled", 64, type=_INTEGER, mutable=False)
    if station.vendor.setpoint.key:
        add(station.vendor.setpoint.key, "0.0", type="decimal")


class ConfigurationRequests(RequestHandlers):
    """Handlers of ChangeConfiguration and GetConfiguration."""

    def change_configuration(self, request: Payload) -> Payload:
        """ChangeConfiguration (5.3)."""
        key, value = request["key"], request["value"]
        variable = self._station.device_model.find(("", 0, key, ""))
        if variable is None:
            return response(v16.ConfigurationStatus.not_supported)
        if not variable.mutable or not fits(variable, value):
            return response(v16.ConfigurationStatus.rejected)
        if key == self._station.vendor.setpoint.key and not self._station.vendor_power.setpoint_variable(value):
            return response(v16.ConfigurationStatus.rejected)
        variable.stored = value
        if key == "HeartbeatInterval":
            self._station.link.restart_heartbeat()
        elif key == "AuthorizationKey":
            self._station.link.network_profiles.set_password(value)
            self._station.later(self._station.link.reconnect("new credentials"))  # whitepaper A01
        self._station.variables_changed()
        self._station.save("variables")
        return response(v16.ConfigurationStatus.accepted)

    def get_configuration(self, request: Payload) -> Payload:
        """GetConfiguration (5.8)."""
        keys = {name: v for (component, _, name, _), v in self._station.device_model.items() if not component}
        requested = request.get("key", []) or list(keys)
        known: list[Payload] = [
            {"key": key, "readonly": not keys[key].mutable}
            | ({} if keys[key].secret else {"value": keys[key].value[:500]})
            for key in requested
            if key in keys
        ]
        unknown = [key for key in requested if key not in keys]
        return {"configurationKey": known} | ({"unknownKey": unknown} if unknown else {})
