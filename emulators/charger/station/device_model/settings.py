"""What a CSMS may set and the station obeys, under one name for all versions: a table of variables and keys.

1.6 keeps its configuration keys in a component without a name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocols.ocpp.schema import Version

if TYPE_CHECKING:
    from emulators.charger.station.station import Station

Place = tuple[str, str, str]  # component, variable, instance
# name: (2.x, 1.6, where neither is there)
SETTINGS: dict[str, tuple[Place | None, str | None, float]] = {
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


def place(station: Station, name: str) -> Place | None:
    """Where the station's version keeps a setting; None where it has none."""
    late, early, _ = SETTINGS[name]
    if station.config.version is Version.V16:
        return None if early is None else ("", early, "")
    return late


def number(station: Station, name: str) -> float:
    """A setting as it is now."""
    found, default = place(station, name), SETTINGS[name][2]
    if found is None:
        return default
    text = station.device.get(found[0], found[1], 0, found[2])
    if text in ("true", "false"):
        return float(text == "true")
    try:
        return default if not text else float(text)
    except ValueError:
        return default


def truth(station: Station, name: str) -> bool:
    """The same for what is on or off."""
    return number(station, name) != 0


def put(station: Station, name: str, value: float) -> None:
    """Change it from inside, as the answer to a BootNotification does with the heartbeat."""
    found = place(station, name)
    if found is not None and station.device.get(found[0], found[1], 0, found[2]) is not None:
        station.device.put(found[0], found[1], round(value), 0, found[2])
