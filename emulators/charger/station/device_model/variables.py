"""The device model of an emulated 2.x station as it leaves the factory; names and instances are those of the appendix.

Here: controllers, station, EVSEs and connectors. What only 2.1 and bidirectional stations have is in
`variables_v2x.py`; what 1.6 calls configuration keys in `ocpp16_keys.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from emulators.charger.station.device_model import variables_v2x
from emulators.charger.station.device_model.variables_v2x import MEASURANDS, V2X_MEASURANDS
from emulators.charger.station.tariffs import tariffs
from protocols.ocpp.schema import Version

if TYPE_CHECKING:
    from emulators.charger.station.evse import EvseState
    from emulators.charger.station.station import Station

SLOTS = ("1", "2", "3")  # of network profiles
STATES = ("Available", "Occupied", "Reserved", "Unavailable", "Faulted")
ITEMS = 50  # in one message of the device model
BYTES = 65536
_I, _B, _S = "integer", "boolean", "string"
Row = tuple[
    str, str, str, object, str, bool, dict[str, Any]
]  # component, variable, instance, value, type, mutable, ...

_LISTS: tuple[Row, ...] = tuple(
    (component, name, "", ",".join(MEASURANDS), "MemberList", True, {"values": MEASURANDS + V2X_MEASURANDS})
    for component, names in (
        ("SampledDataCtrlr", ("TxStartedMeasurands", "TxUpdatedMeasurands", "TxEndedMeasurands")),
        ("AlignedDataCtrlr", ("Measurands", "TxEndedMeasurands")),
    )
    for name in names
)
_PER_MESSAGE: tuple[Row, ...] = tuple(
    (component, name, instance, number, _I, False, {})
    for component, instances in (
        ("DeviceDataCtrlr", ("GetReport", "GetVariables", "SetVariables")),
        ("MonitoringCtrlr", ("SetVariableMonitoring", "ClearVariableMonitoring")),
        ("LocalAuthListCtrlr", ("",)),
    )
    for instance in instances
    for name, number in (("ItemsPerMessage", ITEMS), ("BytesPerMessage", BYTES))
)
_AT_LEAST_0: dict[str, Any] = {"low": 0, "unit": "s"}
CONTROLLERS: tuple[Row, ...] = (
    ("OCPPCommCtrlr", "HeartbeatInterval", "", 300, _I, True, {"low": 1, "high": 86400, "unit": "s"}),
    ("OCPPCommCtrlr", "OfflineThreshold", "", 60, _I, True, _AT_LEAST_0),
    ("OCPPCommCtrlr", "MessageTimeout", "Default", 30, _I, False, {"low": 1, "unit": "s"}),
    ("OCPPCommCtrlr", "MessageAttempts", "TransactionEvent", 5, _I, True, {"low": 1}),
    ("OCPPCommCtrlr", "MessageAttemptInterval", "TransactionEvent", 10, _I, True, _AT_LEAST_0),
    ("OCPPCommCtrlr", "RetryBackOffWaitMinimum", "", 2, _I, True, {"low": 1, "unit": "s"}),
    ("OCPPCommCtrlr", "RetryBackOffRandomRange", "", 2, _I, True, _AT_LEAST_0),
    ("OCPPCommCtrlr", "RetryBackOffRepeatTimes", "", 5, _I, True, {"low": 0, "high": 16}),
    ("OCPPCommCtrlr", "WebSocketPingInterval", "", 20, _I, True, _AT_LEAST_0),
    ("OCPPCommCtrlr", "ResetRetries", "", 1, _I, True, {"low": 0}),
    ("OCPPCommCtrlr", "UnlockOnEVSideDisconnect", "", True, _B, True, {}),
    ("OCPPCommCtrlr", "FileTransferProtocols", "", "HTTP,HTTPS", "MemberList", False, {"values": ("HTTP", "HTTPS")}),
    ("OCPPCommCtrlr", "NetworkConfigurationPriority", "", "1", "SequenceList", True, {"values": SLOTS}),
    ("OCPPCommCtrlr", "NetworkProfileConnectionAttempts", "", 3, _I, True, {"low": 1, "high": 100}),
    ("OCPPCommCtrlr", "ActiveNetworkProfile", "", 1, _I, False, {}),
    ("AuthCtrlr", "Enabled", "", True, _B, True, {}),
    ("AuthCtrlr", "AuthorizeRemoteStart", "", False, _B, True, {}),
    ("AuthCtrlr", "LocalAuthorizeOffline", "", True, _B, True, {}),
    ("AuthCtrlr", "LocalPreAuthorize", "", False, _B, True, {}),
    ("AuthCtrlr", "OfflineTxForUnknownIdEnabled", "", False, _B, True, {}),
    ("AuthCtrlr", "DisableRemoteAuthorization", "", False, _B, True, {}),
    ("AuthCtrlr", "MasterPassGroupId", "", "", _S, True, {}),
    ("LocalAuthListCtrlr", "Available", "", True, _B, False, {}),
    ("LocalAuthListCtrlr", "Enabled", "", True, _B, True, {}),
    ("LocalAuthListCtrlr", "DisablePostAuthorize", "", False, _B, True, {}),
    ("TxCtrlr", "EVConnectionTimeOut", "", 120, _I, True, {"low": 1, "unit": "s"}),
    ("TxCtrlr", "StopTxOnInvalidId", "", True, _B, True, {}),
    ("TxCtrlr", "StopTxOnEVSideDisconnect", "", True, _B, False, {}),
    ("TxCtrlr", "TxStartPoint", "", "Authorized", "MemberList", False, {"values": ("Authorized",)}),
    (
        "TxCtrlr", "TxStopPoint", "", "Authorized,EVConnected", "MemberList", False,
        {"values": ("Authorized", "EVConnected")},
    ),
    ("SampledDataCtrlr", "Enabled", "", True, _B, True, {}),
    ("SampledDataCtrlr", "TxEndedInterval", "", 0, _I, True, _AT_LEAST_0),
    ("AlignedDataCtrlr", "Enabled", "", True, _B, True, {}),
    ("AlignedDataCtrlr", "Interval", "", 0, _I, True, {"low": 0, "high": 86400, "unit": "s"}),
    ("AlignedDataCtrlr", "TxEndedInterval", "", 0, _I, True, {"low": 0, "high": 86400, "unit": "s"}),
    ("AlignedDataCtrlr", "SendDuringIdle", "", False, _B, True, {}),
    *_LISTS,
    ("SecurityCtrlr", "BasicAuthPassword", "", "", _S, True, {"secret": True, "high": 40}),
    ("SecurityCtrlr", "Identity", "", "", _S, False, {"high": 48}),
    ("SecurityCtrlr", "OrganizationName", "", "v2x-gateway", _S, True, {}),
    ("SecurityCtrlr", "SecurityProfile", "", 0, _I, False, {}),
    ("ClockCtrlr", "TimeSource", "", "Heartbeat", "SequenceList", True, {"values": ("Heartbeat",)}),
    *_PER_MESSAGE,
    ("ReservationCtrlr", "Available", "", True, _B, False, {}),
    ("ReservationCtrlr", "Enabled", "", True, _B, True, {}),
    ("ReservationCtrlr", "NonEvseSpecific", "", True, _B, False, {}),
    ("MonitoringCtrlr", "Available", "", True, _B, False, {}),
    ("MonitoringCtrlr", "Enabled", "", True, _B, True, {}),
    ("MonitoringCtrlr", "OfflineQueuingSeverity", "", 9, _I, True, {"low": 0, "high": 9}),
    ("DisplayMessageCtrlr", "Available", "", True, _B, False, {}),
    ("DisplayMessageCtrlr", "Enabled", "", True, _B, True, {}),
    ("DisplayMessageCtrlr", "SupportedFormats", "", "ASCII,UTF8", "MemberList", False, {"values": ("ASCII", "UTF8")}),
    (
        "DisplayMessageCtrlr", "SupportedPriorities", "", "AlwaysFront,InFront,NormalCycle", "MemberList", False,
        {"values": ("AlwaysFront", "InFront", "NormalCycle")},
    ),
)  # fmt: skip


def furnish(station: Station) -> None:
    """Put the variables of a station into its model."""
    model, late = station.device, station.config.version is Version.V21
    for component, variable, instance, value, kind, mutable, about in CONTROLLERS:
        model.add(component, variable, value, instance=instance, type=kind, mutable=mutable, **about)
    _station(station)
    variables_v2x.smart_charging(station, late)
    tariffs.furnish(station, late)
    for evse in station.evses.values():
        _evse(station, evse)
        if late:
            variables_v2x.furnish(station, evse)


def _station(station: Station) -> None:
    add, upkeep = station.device.add, station.upkeep
    add("ChargingStation", "Available", True, type=_B)
    add("ChargingStation", "AvailabilityState", lambda: _state(station), type="OptionList", values=STATES)
    add("ChargingStation", "Problem", lambda: any(e.fault for e in station.evses.values()), type=_B)
    add("ChargingStation", "Model", station.config.model)
    add("ChargingStation", "SupplyPhases", 3, type=_I)
    add("ChargingStation", "Power", lambda: _total(station), type="decimal", unit="W")
    add("ClockCtrlr", "DateTime", station.timestamp, type="dateTime")
    add("SampledDataCtrlr", "TxUpdatedInterval", round(station.config.meter_interval_s), type=_I, mutable=True,
        **_AT_LEAST_0)  # fmt: skip
    add("LocalAuthListCtrlr", "Entries", lambda: len(station.local_list), type=_I, high=1000)
    add("SecurityCtrlr", "CertificateEntries", lambda: len(upkeep.certificates.installed), type=_I, high=32)
    add("DisplayMessageCtrlr", "DisplayMessages", lambda: len(station.display), type=_I, high=50)
    station.device.put("SecurityCtrlr", "Identity", station.config.id)


def _evse(station: Station, evse: EvseState) -> None:
    number, outlet = evse.number, evse.outlet

    def add(variable: str, value: object, component: str = "EVSE", **about: Any) -> None:
        station.device.add(component, variable, value, evse=number, **about)

    add("AvailabilityState", lambda: evse.status, type="OptionList", values=STATES)
    add("Available", lambda: evse.operative, type=_B)
    add("Problem", lambda: evse.fault is not None, type=_B)
    add("AllowReset", True, type=_B)
    add("SupplyPhases", 3, type=_I)
    add("Power", lambda: evse.reading.power_w, type="decimal", unit="W", high=outlet.max_charge_w)
    add("DCVoltage", lambda: evse.reading.voltage_v or 0.0, type="decimal", unit="V")
    add("DCCurrent", lambda: evse.reading.current_a or 0.0, type="decimal", unit="A")
    add("Temperature", lambda: evse.warmth.celsius, type="decimal", unit="Celsius", low=-40.0, high=125.0)
    add("AvailabilityState", lambda: evse.status, "Connector", type="OptionList", values=STATES)
    add("Available", lambda: evse.operative, "Connector", type=_B)
    add("ConnectorType", "cCCS2" if station.config.dc else "cType2", "Connector")
    add("SupplyPhases", 3, "Connector", type=_I)


def _state(station: Station) -> str:
    states: Sequence[str] = [evse.status for evse in station.evses.values()]
    return next((state for state in ("Available", "Occupied", "Reserved", "Faulted") if state in states), "Unavailable")


def _total(station: Station) -> float:
    return sum(evse.reading.power_w for evse in station.evses.values())
