"""Requests of a 2.x CSMS about monitors and event streams (N02-N06, N11-N14)."""

from __future__ import annotations

from emulators.charger.station.device_model.model import Name, component_of, connector_fits, name_of, variable_of
from emulators.charger.station.device_model.report import matches
from emulators.charger.station.monitoring.monitors import SEVERITIES, Monitor
from emulators.charger.station.ocpp2.reports import check_items, send_report
from emulators.charger.station.responses import accepted_if, response
from emulators.charger.station.shared_requests import RequestHandlers
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload, Version

REPORTED = 50  # monitors in one NotifyMonitoringReport


class MonitoringRequests(RequestHandlers):
    """Handlers of requests about monitors and event streams."""

    def set_variable_monitoring(self, request: Payload) -> Payload:
        """SetVariableMonitoring (N04)."""
        check_items(request["setMonitoringData"])
        results = [self._set(data) for data in request["setMonitoringData"]]
        self._station.save("monitors")
        self._station.wake()
        return {"setMonitoringResult": results}

    def _set(self, data: Payload) -> Payload:
        result = {name: data[name] for name in ("type", "severity", "component", "variable")}
        name = name_of(data["component"], data["variable"])
        variable = self._station.device_model.find(name)
        if variable is None or not connector_fits(data["component"]):
            known = self._station.device_model.has_component(name[0], name[1]) and connector_fits(data["component"])
            statuses = v21.SetMonitoringStatusEnumType
            return result | response(statuses.unknown_variable if known else statuses.unknown_component)
        status, monitor = self._station.monitoring.monitors.set(data, name, variable, self._station.wall())
        if monitor is None:
            return result | {"status": status}
        self._station.later(self._stream(monitor, data.get("periodicEventStream")))
        return result | {"status": status, "id": monitor.id}

    async def _stream(self, monitor: Monitor, params: Payload | None) -> None:
        """Replace the stream of a monitor that was set, or close it (N11.FR.01, N13.FR.06)."""
        await self._station.event_streams.end(monitor.id)
        if params is not None and self._station.config.version is Version.V21:
            await self._station.event_streams.begin(monitor, params)

    def clear_variable_monitoring(self, request: Payload) -> Payload:
        """ClearVariableMonitoring (N06, N13.FR.05)."""
        check_items(request["id"])
        results = []
        for number in request["id"]:
            status = self._station.monitoring.monitors.clear(number)
            if status == v21.ClearMonitoringStatusEnumType.accepted:
                self._station.later(self._station.event_streams.end(number))
            results.append({"id": number, "status": status})
        self._station.save("monitors")
        return {"clearMonitoringResult": results}

    def set_monitoring_base(self, request: Payload) -> Payload:
        """SetMonitoringBase (N03)."""
        before = {one.id for one in self._station.monitoring.monitors}
        self._station.monitoring.monitors.set_base(request["monitoringBase"])
        for number in before - {one.id for one in self._station.monitoring.monitors}:
            self._station.later(self._station.event_streams.end(number))
        self._station.save("monitors")
        self._station.wake()
        return response(v21.GenericDeviceModelStatusEnumType.accepted)

    def set_monitoring_level(self, request: Payload) -> Payload:
        """SetMonitoringLevel (N05)."""
        if request["severity"] not in SEVERITIES:
            return response(v21.GenericStatusEnumType.rejected)
        self._station.monitoring.monitors.set_level(request["severity"])
        self._station.save("monitors")
        return response(v21.GenericStatusEnumType.accepted)

    def get_monitoring_report(self, request: Payload) -> Payload:
        """GetMonitoringReport (N02)."""
        variables = request.get("componentVariable", [])
        check_items(variables)

        def matches_name(name: Name) -> bool:
            return not variables or any(matches(name, v["component"], v.get("variable")) for v in variables)

        found = self._station.monitoring.monitors.select(matches_name, request.get("monitoringCriteria", []))
        if not found:
            return response(v21.GenericDeviceModelStatusEnumType.empty_result_set)
        action, number = v21.Action.notify_monitoring_report, request["requestId"]
        entries = [self._entry(one) for one in found]
        self._station.later(send_report(self._station, action, number, "monitor", entries, REPORTED))
        return response(v21.GenericDeviceModelStatusEnumType.accepted)

    def _entry(self, one: Monitor) -> Payload:
        about: Payload = {
            "id": one.id,
            "transaction": one.transaction,
            "value": one.value,
            "type": one.type,
            "severity": one.severity,
        }
        if self._station.config.version is Version.V21:
            about["eventNotificationType"] = one.kind  # N02.FR.22
        component, evse, variable, instance = one.name
        return {
            "component": component_of(component, evse),
            "variable": variable_of(variable, instance),
            "variableMonitoring": [about],
        }

    def get_periodic_event_stream(self, request: Payload) -> Payload:
        """GetPeriodicEventStream (N12)."""
        found = self._station.event_streams.list()
        return {"constantStreamData": found} if found else {}

    def adjust_periodic_event_stream(self, request: Payload) -> Payload:
        """AdjustPeriodicEventStream (N14)."""
        done = self._station.event_streams.adjust(request["id"], request["params"])
        return accepted_if(done)
