"""Requests of a 2.x CSMS about the device model and network profiles (B05-B10)."""

from __future__ import annotations

from emulators.charger.station.csms_link.network_profiles import COMPONENT
from emulators.charger.station.device_model import report
from emulators.charger.station.device_model.model import Name, Variable, connector_fits, name_of
from emulators.charger.station.device_model.variables_v2x import load_thresholds
from emulators.charger.station.ocpp2.reports import check_items, send_report
from emulators.charger.station.responses import accepted_if, rejected, response
from emulators.charger.station.shared_requests import RequestHandlers
from protocols.ocpp.enums import v21
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
        if result["attributeStatus"] == v21.SetVariableStatusEnumType.accepted:
            self._apply(data["component"]["name"], data["variable"]["name"], data["attributeValue"])
        return result

    def _set_vendor_variable(self, data: Payload) -> Payload | None:
        """Apply a set-point or grid-forming order in a vendor variable; None for other variables."""
        setpoint, forming = self._station.vendor.setpoint, self._station.vendor.forming
        component, value = data["component"], data["attributeValue"]
        name = (component["name"], data["variable"]["name"])
        if setpoint.component and name == (setpoint.component, setpoint.variable):
            self._station.vendor_power.setpoint_variable(value)
            return _status(True)
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
        known = self._station.device_model.find(name_of(component, data["variable"])) is not None
        if slot.isdigit() and known and connector_fits(component):
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
        self._report(request, entries)
        return response(v21.GenericDeviceModelStatusEnumType.accepted)

    def get_report(self, request: Payload) -> Payload:
        """GetReport (B08)."""
        variables = request.get("componentVariable", [])
        check_items(variables)
        entries = report.select(self._station.device_model, variables, request.get("componentCriteria", []))
        if not entries:
            return response(v21.GenericDeviceModelStatusEnumType.empty_result_set)
        self._report(request, entries)
        return response(v21.GenericDeviceModelStatusEnumType.accepted)

    def _report(self, request: Payload, entries: list[tuple[Name, Variable]]) -> None:
        action, number = v21.Action.notify_report, request["requestId"]
        work = send_report(self._station, action, number, "reportData", entries, REPORT_ENTRIES, report.entry)
        self._station.later(work)

    # network profiles

    def set_network_profile(self, request: Payload) -> Payload:
        """SetNetworkProfile (B09)."""
        fault = self._station.link.network_profiles.set(request["configurationSlot"], request["connectionData"])
        return accepted_if(True) if fault is None else rejected("InvalidValue", fault)


def _status(done: bool) -> Payload:
    statuses = v21.SetVariableStatusEnumType
    return {"attributeStatus": statuses.accepted if done else statuses.rejected}
