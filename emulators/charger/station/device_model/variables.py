"""Factory variables of an emulated 2.x station: controllers, station, EVSEs and connectors (2.x part 2, appendix).

Variables of smart and bidirectional charging are in `variables_v2x.py`, configuration keys of 1.6 in `ocpp16/keys.py`.
"""

from __future__ import annotations

from typing import Unpack

from emulators.charger.station.device_model import variables_v2x
from emulators.charger.station.device_model.model import Characteristics
from emulators.charger.station.device_model.variables_v2x import V2X_MEASURANDS
from emulators.charger.station.evse import EvseState
from emulators.charger.station.measurands import MEASURANDS
from emulators.charger.station.ocpp_enums import ConnectorStatus
from emulators.charger.station.station import Station
from emulators.charger.station.tariffs import tariffs
from protocols.ocpp.schema import Version

SLOTS = ("1", "2", "3")  # of network profiles
STATES = tuple(ConnectorStatus)
STATION_STATES = (  # from the best to the worst
    ConnectorStatus.available,
    ConnectorStatus.occupied,
    ConnectorStatus.reserved,
    ConnectorStatus.faulted,
)
ITEMS = 50  # in one message of the device model
BYTES = 65536
_I, _B, _S = "integer", "boolean", "string"
# component, variable, instance, value, type, mutable, ...
Row = tuple[str, str, str, object, str, bool, Characteristics]

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
_AT_LEAST_0: Characteristics = {"low": 0, "unit": "s"}
_INTERVAL: Characteristics = {"type": _I, "mutable": True, "low": 0, "unit": "s"}
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


def add_variables(station: Station) -> None:
    """Add the factory variables of a 2.x station to its device model."""
    model, late = station.device_model, station.config.version is Version.V21
    for component, variable, instance, value, kind, mutable, about in CONTROLLERS:
        characteristics: Characteristics = {**about, "type": kind, "mutable": mutable}
        model.add(component, variable, value, instance=instance, **characteristics)
    _add_station(station)
    variables_v2x.add_smart_charging(model, station.profiles, station.config)
    tariffs.add_variables(model, late)
    for evse in station.evses.values():
        _add_evse(station, evse)
        if late:
            variables_v2x.add_variables(model, station.config, evse)
    if late:
        station.link.network_profiles.add_variables()


def _add_station(station: Station) -> None:
    add = station.device_model.add
    add("ChargingStation", "Available", True, type=_B)
    add("ChargingStation", "AvailabilityState", lambda: _state(station), type="OptionList", values=STATES)
    add("ChargingStation", "Problem", lambda: any(e.fault for e in station.evses.values()), type=_B)
    add("ChargingStation", "Model", station.config.model)
    add("ChargingStation", "SupplyPhases", 3, type=_I)
    add(
        "ChargingStation",
        "Power",
        lambda: sum(evse.reading.power_w for evse in station.evses.values()),
        type="decimal",
        unit="W",
    )
    add("ClockCtrlr", "DateTime", station.timestamp, type="dateTime")
    add("SampledDataCtrlr", "TxUpdatedInterval", round(station.config.meter_interval_s), **_INTERVAL)
    add("LocalAuthListCtrlr", "Entries", lambda: len(station.local_list), type=_I, high=1000)
    add("SecurityCtrlr", "CertificateEntries", lambda: len(station.certificates.installed), type=_I, high=32)
    add("DisplayMessageCtrlr", "DisplayMessages", lambda: len(station.display), type=_I, high=50)
    station.device_model.put("SecurityCtrlr", "Identity", station.config.id)


def _add_evse(station: Station, evse: EvseState) -> None:
    number, power_path = evse.number, evse.power_path

    def add(variable: str, value: object, component: str = "EVSE", **about: Unpack[Characteristics]) -> None:
        station.device_model.add(component, variable, value, evse=number, **about)

    add("AvailabilityState", lambda: evse.status, type="OptionList", values=STATES)
    add("Available", lambda: evse.operative, type=_B)
    add("Problem", lambda: evse.fault is not None, type=_B)
    add("AllowReset", True, type=_B)
    add("SupplyPhases", 3, type=_I)
    add("Power", lambda: evse.reading.power_w, type="decimal", unit="W", high=power_path.max_charge_w)
    add("DCVoltage", lambda: evse.reading.voltage_v or 0.0, type="decimal", unit="V")
    add("DCCurrent", lambda: evse.reading.current_a or 0.0, type="decimal", unit="A")
    add("Temperature", lambda: evse.thermal.celsius, type="decimal", unit="Celsius", low=-40.0, high=125.0)
    add("AvailabilityState", lambda: evse.status, "Connector", type="OptionList", values=STATES)
    add("Available", lambda: evse.operative, "Connector", type=_B)
    add("ConnectorType", "cCCS2" if station.config.dc else "cType2", "Connector")
    add("SupplyPhases", 3, "Connector", type=_I)


def _state(station: Station) -> str:
    """Return the availability state of the station: the best of its EVSEs."""
    states = {evse.status for evse in station.evses.values()}
    return next((state for state in STATION_STATES if state in states), ConnectorStatus.unavailable)
