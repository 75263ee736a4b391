"""What the emulated station does when a 2.x CSMS asks about its device model (B05-B10), and what follows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from emulators.charger.station.csms_link.network_profiles import COMPONENT
from emulators.charger.station.device_model import report
from emulators.charger.station.ocpp2 import smart_charging
from emulators.charger.station.ocpp2.monitoring import bound
from emulators.charger.station.smart_charging import vendor_power
from emulators.charger.station.station import Station
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import stamp

REPORT_ENTRIES = 50  # in one NotifyReport
Handler = Callable[[Payload], Payload | Awaitable[Payload]]


def handlers(station: Station) -> dict[str, Handler]:
    """The table for one connection."""
    asked = AskedForVariables(station)
    return {
        "GetBaseReport": asked.get_base_report,
        "GetReport": asked.get_report,
        "GetVariables": asked.get_variables,
        "SetNetworkProfile": asked.set_network_profile,
        "SetVariables": asked.set_variables,
    }


class AskedForVariables:
    """Requests about the device model."""

    def __init__(self, station: Station) -> None:
        self.station, self.device = station, station.device

    def get_variables(self, request: Payload) -> Payload:
        """B06."""
        bound(request["getVariableData"])
        return {"getVariableResult": [self.device.read(asked) for asked in request["getVariableData"]]}

    def set_variables(self, request: Payload) -> Payload:
        """B05. Thresholds of local load balancing act from the next profile on."""
        bound(request["setVariableData"])
        results = [self._set_variable(asked) for asked in request["setVariableData"]]
        smart_charging.learn_thresholds(self.station)
        self.station.variables_changed()
        self.station.save("variables")
        return {"setVariableResult": results}

    def _set_variable(self, asked: Payload) -> Payload:
        say, network = self.station.vendor.setpoint, self.station.line.network
        component, variable, value = asked["component"], asked["variable"]["name"], asked["attributeValue"]
        answer: Payload = {"component": component, "variable": asked["variable"]}
        if say.component and (component["name"], variable) == (say.component, say.variable):
            vendor_power.variable(self.station, value)
            return answer | {"attributeStatus": "Accepted"}
        forming = self.station.vendor.forming
        if forming.component and (component["name"], variable) == (forming.component, forming.variable):
            done = vendor_power.formed(self.station, component.get("evse", {}).get("id", 1), value)
            return answer | {"attributeStatus": "Accepted" if done else "Rejected"}
        if asked.get("attributeType", "Actual") == "Actual":
            answer |= {"attributeType": "Actual"} if "attributeType" in asked else {}
            if (component["name"], variable) == ("OCPPCommCtrlr", "NetworkConfigurationPriority"):
                return answer | {"attributeStatus": network.prioritise(value)}
            slot = component.get("instance", "") if component["name"] == COMPONENT else ""
            if slot.isdigit() and self.device.read(asked)["attributeStatus"] in ("Accepted", "Rejected"):
                done = network.write(int(slot), variable, value)
                return answer | {"attributeStatus": "Accepted" if done else "Rejected"}
        result = self.device.write(asked)
        if result["attributeStatus"] == "Accepted":
            self._follow(component["name"], variable, value)
        return result

    def _follow(self, component: str, variable: str, value: str) -> None:
        """What a new value does at once."""
        station = self.station
        if (component, variable) == ("SecurityCtrlr", "BasicAuthPassword"):
            station.line.network.set_password(value)
            station.later(station.line.reconnect("new credentials"))  # A01.FR.11
        elif variable == "HeartbeatInterval":
            station.line.beat_again()

    # reports

    def get_base_report(self, request: Payload) -> Payload:
        """B07."""
        entries = report.base(self.device, request["reportBase"])
        self.station.later(self._report(request["requestId"], entries))
        return {"status": "Accepted"}

    def get_report(self, request: Payload) -> Payload:
        """B08."""
        asked = request.get("componentVariable", [])
        bound(asked)
        entries = report.select(self.device, asked, request.get("componentCriteria", []))
        if not entries:
            return {"status": "EmptyResultSet"}
        self.station.later(self._report(request["requestId"], entries))
        return {"status": "Accepted"}

    async def _report(self, request: int, entries: list[dict[str, Any]]) -> None:
        parts = [entries[i : i + REPORT_ENTRIES] for i in range(0, len(entries), REPORT_ENTRIES)]
        for number, part in enumerate(parts):
            body: Payload = {
                "requestId": request,
                "generatedAt": stamp(self.station.wall()),
                "seqNo": number,
                "reportData": part,
                "tbc": number < len(parts) - 1,
            }
            await self.station.call("NotifyReport", body)

    # network

    def set_network_profile(self, request: Payload) -> Payload:
        """B09."""
        fault = self.station.line.network.set(request["configurationSlot"], request["connectionData"])
        if fault is None:
            return {"status": "Accepted"}
        return {"status": "Rejected", "statusInfo": {"reasonCode": "InvalidValue", "additionalInfo": fault}}
