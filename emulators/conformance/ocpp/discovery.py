"""Result of a first dialogue with a station: identity and capabilities, from device model or configuration keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from emulators.conformance.capabilities import DeviceIdentity
from emulators.conformance.case import CaseEnd
from emulators.conformance.ocpp.declarations import versions_of
from emulators.conformance.ocpp.recorded import Recorded
from emulators.conformance.ocpp.station_under_test import StationUnderTest
from protocols.ocpp.schema import Payload

REPORT_WITHIN = 60.0
DC_CONNECTORS = ("cCCS1", "cCCS2", "cG105", "cChaoJi", "cMCS", "cGBT-DC", "cLECCS", "cNACS-CCS1")
Inventory = Mapping[tuple[str, str], list[str]]  # values of all EVSEs and instances by component and variable


def identity(recorded: Recorded) -> DeviceIdentity:
    """Return the identity of the last BootNotification; empty without one."""
    boots = recorded.find("BootNotification", since=0)
    if not boots:
        return DeviceIdentity()
    payload = boots[-1].payload
    about = payload.get("chargingStation", {})
    return DeviceIdentity(
        vendor=str(about.get("vendorName", payload.get("chargePointVendor", ""))),
        name=str(about.get("model", payload.get("chargePointModel", ""))),
        serial=str(about.get("serialNumber", payload.get("chargePointSerialNumber", ""))),
        firmware=str(about.get("firmwareVersion", payload.get("firmwareVersion", ""))),
    )


async def capabilities(station: StationUnderTest) -> dict[str, bool]:
    """Return the capabilities that the device model or the configuration keys show."""
    found = versions_of(station.version)
    try:
        if station.early:
            return found | from_keys((await station.request("GetConfiguration")).get("configurationKey", []))
        return found | from_inventory(await inventory(station))
    except CaseEnd:  # it has no report: the defaults apply
        return found


async def inventory(station: StationUnderTest) -> Inventory:
    """Return the full inventory of a 2.x station."""
    body: Payload = {"requestId": 1, "reportBase": "FullInventory"}
    await station.request("GetBaseReport", body, {"status": "Accepted"})

    def complete() -> bool:
        return any(not m.payload.get("tbc", False) for m in station.find("NotifyReport"))

    await station.recorded.wait_for(complete, REPORT_WITHIN)
    found: dict[tuple[str, str], list[str]] = {}
    evses: set[int] = set()
    for message in station.find("NotifyReport"):
        for entry in message.payload.get("reportData", []):
            component, variable = entry["component"], entry["variable"]
            evses |= {evse["id"]} if (evse := component.get("evse")) else set()
            values = [str(a.get("value", "")) for a in entry.get("variableAttribute", [])]
            found.setdefault((component["name"], variable["name"]), []).extend(values)
    found["", "EVSEs"] = [str(number) for number in sorted(evses)]
    return found


def from_inventory(found: Inventory) -> dict[str, bool]:
    """Return the capabilities of a device model."""

    def has(component: str) -> bool:
        states = [v for n in ("Available", "Enabled") for v in found.get((component, n), [])]
        return any(name == component for name, _ in found) and "false" not in (v.casefold() for v in states)

    def true(component: str, variable: str) -> bool:
        return "true" in (value.casefold() for value in found.get((component, variable), []))

    def members(component: str, variable: str) -> set[str]:
        return {part for value in found.get((component, variable), []) for part in value.split(",")}

    modes, v2x = members("V2XChargingCtrlr", "SupportedOperationModes"), has("V2XChargingCtrlr")
    sleeps = true("SmartChargingCtrlr", "SupportsEvseSleep")
    der = members("DCDERCtrlr", "ModesSupported")
    connectors = members("Connector", "ConnectorType")
    return {
        "station.password": ("SecurityCtrlr", "BasicAuthPassword") in found,
        "station.certificates": ("SecurityCtrlr", "CertificateEntries") in found,
        "station.two-evses": len(found.get(("", "EVSEs"), [])) >= 2,
        "station.dc": bool(connectors & set(DC_CONNECTORS)) or ("EVSE", "DCVoltage") in found,
        "station.reservation": has("ReservationCtrlr"),
        "station.local-list": has("LocalAuthListCtrlr"),
        "station.smart-charging": has("SmartChargingCtrlr"),
        "station.priority-charging": "PriorityCharging" in members("SmartChargingCtrlr", "SupportedAdditionalPurposes"),
        "station.dynamic": true("SmartChargingCtrlr", "SupportsDynamicProfiles"),
        "station.iso15118": has("ISO15118Ctrlr"),
        "station.renegotiation": true("ISO15118Ctrlr", "ServiceRenegotiationSupport"),
        "station.v2x": v2x,
        "station.local-frequency": "LocalFrequency" in modes,
        "station.load-balancing": "LocalLoadBalancing" in modes,
        "station.without-load-balancing": v2x and "LocalLoadBalancing" not in modes,
        "station.idle": "Idle" in modes,
        "station.evse-sleep": sleeps,
        "station.without-evse-sleep": "Idle" in modes and not sleeps,
        "station.der": bool(der or members("ACDERCtrlr", "ModesSupported")),
        "station.some-der-types": bool(der) and not {"VoltWatt", "LimitMaxDischarge"} <= der,
    }


def from_keys(keys: Iterable[Payload]) -> dict[str, bool]:
    """Return the capabilities of the configuration keys of 1.6."""
    values = {entry["key"]: str(entry.get("value", "")) for entry in keys}
    profiles = {part.strip() for part in values.get("SupportedFeatureProfiles", "").split(",")}
    connectors = values.get("NumberOfConnectors", "1")
    return {
        "station.two-evses": connectors.isdigit() and int(connectors) >= 2,
        "station.reservation": "Reservation" in profiles,
        "station.local-list": "LocalAuthListManagement" in profiles,
        "station.trigger": "RemoteTrigger" in profiles,
        "station.smart-charging": "SmartCharging" in profiles,
        "station.firmware": "FirmwareManagement" in profiles,
        "station.logs": "FirmwareManagement" in profiles,
        "station.security": "AuthorizationKey" in values or "SecurityProfile" in values,
    }
