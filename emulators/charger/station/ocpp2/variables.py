"""Requests of a 2.x CSMS about the device model and network profiles (B05-B10)."""

from __future__ import annotations

from emulators.charger.station.csms_link.network_profiles import COMPONENT
from emulators.charger.station.device_model import report
from emulators.charger.station.device_model.variables_v2x import load_thresholds
from emulators.charger.station.ocpp2.responses import check_items, rejected
from emulators.charger.station.shared_requests import RequestHandlers
from protocols.ocpp.schema import Payload

REPORT_ENTRIES = 50  # in one NotifyReport


class VariableRequests(RequestHandlers):
    """Handlers of device model requests."""

    def get_variables(self, request: Payload) -> Payload:
        """GetVariables (B06)."""
        check_items(request["getVariableData"])
        return {"getVariableResult": [self._station.device_model.read(data) for data in request["getVariableData"]]}

    def set_variables(self, request: Payload) -> Payload:
        """SetVariables (B05)."""
        check_items(request["setVariableData"])
        results = [self._set_variable(data) for data in request["setVariableData"]]
        load_thresholds(self._station.device_model, self._station.evses.values())
        self._station.variables_changed()
        self._station.save("variables")
        return {"setVariableResult": results}

    def _set_variable(self, data: Payload) -> Payload:
        """Apply one SetVariableData: vendor channel, network profile or device model."""
        special = self._set_vendor_variable(data)
        if special is None and data.get("attributeType", "Actual") == "Actual":
            special = self._set_network_variable(data)
        if special is not None:
            result: Payload = {"component": data["component"], "variable": data["variable"]}
            return result | special
        result = self._station.device_model.write(data)
        if result["attributeStatus"] == "Accepted":
            self._apply(data["component"]["name"], data["variable"]["name"], data["attributeValue"])
        return result

    def _set_vendor_variable(self, data: Payload) -> Payload | None:
        """Apply a set-point or grid-forming order in a vendor variable; None for other variables."""
        setpoint, forming = self._station.vendor.setpoint, self._station.vendor.forming
        component, value = data["component"], data["attributeValue"]
        name = (component["name"], data["variable"]["name"])
        if setpoint.component and name == (setpoint.component, setpoint.variable):
            self._station.vendor_power.setpoint_variable(value)
            return {"attributeStatus": "Accepted"}
        if forming.component and name == (forming.component, forming.variable):
            return _status(self._station.vendor_power.grid_forming(component.get("evse", {}).get("id", 1), value))
        return None

    def _set_network_variable(self, data: Payload) -> Payload | None:
        """Set a variable of the network profiles; None for other variables."""
        component, variable, value = data["component"], data["variable"]["name"], data["attributeValue"]
        stated = {"attributeType": "Actual"} if "attributeType" in data else {}
        if (component["name"], variable) == ("OCPPCommCtrlr", "NetworkConfigurationPriority"):
            return stated | {"attributeStatus": self._station.link.network_profiles.prioritise(value)}
        slot = component.get("instance", "") if component["name"] == COMPONENT else ""
        if slot.isdigit() and self._station.device_model.read(data)["attributeStatus"] in ("Accepted", "Rejected"):
            return stated | _status(self._station.link.network_profiles.write(int(slot), variable, value))
        return None

    def _apply(self, component: str, variable: str, value: str) -> None:
        """Apply a new value that has an immediate effect."""
        if (component, variable) == ("SecurityCtrlr", "BasicAuthPassword"):
            self._station.link.network_profiles.set_password(value)
            self._station.later(self._station.link.reconnect("new credentials"))  # A01.FR.11
        elif variable == "HeartbeatInterval":
            self._station.link.restart_heartbeat()

    # reports

    def get_base_report(self, request: Payload) -> Payload:
        """GetBaseReport (B07)."""
        entries = report.base(self._station.device_model, request["reportBase"])
        self._station.later(self._report(request["requestId"], entries))
        return {"status": "Accepted"}

    def get_report(self, request: Payload) -> Payload:
        """GetReport (B08)."""
        variables = request.get("componentVariable", [])
        check_items(variables)
        entries = report.select(self._station.device_model, variables, request.get("componentCriteria", []))
        if not entries:
            return {"status": "EmptyResultSet"}
        self._station.later(self._report(request["requestId"], entries))
        return {"status": "Accepted"}

    async def _report(self, request: int, entries: list[Payload]) -> None:
        parts = [entries[i : i + REPORT_ENTRIES] for i in range(0, len(entries), REPORT_ENTRIES)]
        for number, part in enumerate(parts):
            body: Payload = {
                "requestId": request,
                "generatedAt": self._station.timestamp(),
                "seqNo": number,
                "reportData": part,
                "tbc": number < len(parts) - 1,
            }
            await self._station.call("NotifyReport", body)

    # network profiles

    def set_network_profile(self, request: Payload) -> Payload:
        """SetNetworkProfile (B09)."""
        fault = self._station.link.network_profiles.set(request["configurationSlot"], request["connectionData"])
        return {"status": "Accepted"} if fault is None else rejected("InvalidValue", fault)


def _status(done: bool) -> Payload:
    return {"attributeStatus": "Accepted" if done else "Rejected"}
