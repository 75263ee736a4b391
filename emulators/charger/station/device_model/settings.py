"""Settings that a CSMS can change, under one name for all versions: variables of 2.x, configuration keys of 1.6.

1.6 keeps its configuration keys in a component without a name.
"""

from __future__ import annotations

from emulators.charger.station.device_model.model import DeviceModel
from protocols.ocpp.schema import Version

Location = tuple[str, str, str]  # component, variable, instance
# name: (2.x, 1.6, default where the version has neither)
SETTINGS: dict[str, tuple[Location | None, str | None, float]] = {
    "aligned_enabled": (("AlignedDataCtrlr", "Enabled", ""), None, 1),
    "aligned_idle_only": (("AlignedDataCtrlr", "SendDuringIdle", ""), None, 0),
    "aligned_interval": (("AlignedDataCtrlr", "Interval", ""), "ClockAlignedDataInterval", 0),
    "aligned_ended_interval": (("AlignedDataCtrlr", "TxEndedInterval", ""), None, 0),
    "attempts": (("OCPPCommCtrlr", "MessageAttempts", "TransactionEvent"), "TransactionMessageAttempts", 5),
    "attempt_interval": (
        ("OCPPCommCtrlr", "MessageAttemptInterval", "TransactionEvent"),
        "TransactionMessageRetryInterval",
        10,
    ),
    "back_off": (("OCPPCommCtrlr", "RetryBackOffWaitMinimum", ""), None, 2),
    "back_off_random": (("OCPPCommCtrlr", "RetryBackOffRandomRange", ""), None, 2),
    "back_off_times": (("OCPPCommCtrlr", "RetryBackOffRepeatTimes", ""), None, 5),
    "connection_attempts": (("OCPPCommCtrlr", "NetworkProfileConnectionAttempts", ""), None, 3),
    "connection_timeout": (("TxCtrlr", "EVConnectionTimeOut", ""), "ConnectionTimeOut", 120),
    "heartbeat": (("OCPPCommCtrlr", "HeartbeatInterval", ""), "HeartbeatInterval", 300),
    "list_enabled": (("LocalAuthListCtrlr", "Enabled", ""), "LocalAuthListEnabled", 1),
    "list_final": (("LocalAuthListCtrlr", "DisablePostAuthorize", ""), None, 0),
    "offline_list": (("AuthCtrlr", "LocalAuthorizeOffline", ""), "LocalAuthorizeOffline", 1),
    "offline_threshold": (("OCPPCommCtrlr", "OfflineThreshold", ""), None, 0),
    "offline_unknown": (("AuthCtrlr", "OfflineTxForUnknownIdEnabled", ""), "AllowOfflineTxForUnknownId", 0),
    "pre_authorize": (("AuthCtrlr", "LocalPreAuthorize", ""), "LocalPreAuthorize", 0),
    "remote_authorize": (("AuthCtrlr", "AuthorizeRemoteStart", ""), "AuthorizeRemoteTxRequests", 0),
    "sample_interval": (("SampledDataCtrlr", "TxUpdatedInterval", ""), "MeterValueSampleInterval", 0),
    "sampled_ended_interval": (("SampledDataCtrlr", "TxEndedInterval", ""), None, 0),
    "sampled_enabled": (("SampledDataCtrlr", "Enabled", ""), None, 1),
    "stop_invalid": (("TxCtrlr", "StopTxOnInvalidId", ""), "StopTransactionOnInvalidId", 1),
}


class Settings:
    """Current settings of one station, read from its device model."""

    def __init__(self, device_model: DeviceModel, version: Version) -> None:
        self._device_model, self._version = device_model, version

    def _location(self, name: str) -> Location | None:
        late, early, _ = SETTINGS[name]
        if self._version is Version.V16:
            return None if early is None else ("", early, "")
        return late

    def number(self, name: str) -> float:
        """Return a setting; its default where the version does not have it."""
        found, default = self._location(name), SETTINGS[name][2]
        if found is None:
            return default
        text = self._device_model.get(found[0], found[1], 0, found[2])
        if text in ("true", "false"):
            return float(text == "true")
        try:
            return default if not text else float(text)
        except ValueError:
            return default

    def truth(self, name: str) -> bool:
        """Return a setting that is on or off."""
        return self.number(name) != 0

    def put(self, name: str, value: float) -> None:
        """Set a value from inside the station, such as the heartbeat interval of a BootNotification response."""
        found = self._location(name)
        if found is not None and self._device_model.get(found[0], found[1], 0, found[2]) is not None:
            self._device_model.put(found[0], found[1], round(value), 0, found[2])
