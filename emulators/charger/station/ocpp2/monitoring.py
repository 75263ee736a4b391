"""Requests of a 2.x CSMS about monitors and event streams (N02-N06, N11-N14)."""

from __future__ import annotations

from emulators.charger.station.device_model.model import Name, component_of, connector_fits, name_of, variable_of
from emulators.charger.station.device_model.report import matches
from emulators.charger.station.monitoring.monitors import SEVERITIES, Monitor
from emulators.charger.station.ocpp2.responses import check_items
from emulators.charger.station.shared_requests import RequestHandlers
from protocols.ocpp.schema import Payload, Version

REPORTED = 50  # monitors in one NotifyMonitoringReport


class MonitoringRequests(RequestHandlers):
    """Handlers of requests about monitors and event streams."""

    def set(self, request: Payload) -> Payload:
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
            return result | {"status": "UnknownVariable" if known else "UnknownComponent"}
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

    def clear(self, request: Payload) -> Payload:
        """ClearVariableMonitoring (N06, N13.FR.05)."""
        check_items(request["id"])
        results = []
        for number in request["id"]:
            status = self._station.monitoring.monitors.clear(number)
            if status == "Accepted":
                self._station.later(self._station.event_streams.end(number))
            results.append({"id": number, "status": status})
        self._station.save("monitors")
        return {"clearMonitoringResult": results}

    def set_base(self, request: Payload) -> Payload:
        """SetMonitoringBase (N03)."""
        before = {one.id for one in self._station.monitoring.monitors}
        self._station.monitoring.monitors.set_base(request["monitoringBase"])
        for number in before - {one.id for one in self._station.monitoring.monitors}:
            self._station.later(self._station.event_streams.end(number))
        self._station.save("monitors")
        self._station.wake()
        return {"status": "Accepted"}

    def set_level(self, request: Payload) -> Payload:
        """SetMonitoringLevel (N05)."""
        if request["severity"] not in SEVERITIES:
            return {"status": "Rejected"}
        self._station.monitoring.monitors.level = request["severity"]
        self._station.save("monitors")
        return {"status": "Accepted"}

    def report(self, request: Payload) -> Payload:
        """GetMonitoringReport (N02)."""
        variables = request.get("componentVariable", [])
        check_items(variables)

        def matches_name(name: Name) -> bool:
            return not variables or any(matches(name, v["component"], v.get("variable")) for v in variables)

        found = self._station.monitoring.monitors.select(matches_name, request.get("monitoringCriteria", []))
        if not found:
            return {"status": "EmptyResultSet"}
        self._station.later(self._report(request["requestId"], found))
        return {"status": "Accepted"}

    async def _report(self, request: int, found: list[Monitor]) -> None:
        parts = [found[i : i + REPORTED] for i in range(0, len(found), REPORTED)]
        for number, part in enumerate(parts):
            body: Payload = {
                "requestId": request,
                "seqNo": number,
                "generatedAt": self._station.timestamp(),
                "tbc": number < len(parts) - 1,
                "monitor": [self._entry(one) for one in part],
            }
            await self._station.call("NotifyMonitoringReport", body)

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

    def get_streams(self, request: Payload) -> Payload:
        """GetPeriodicEventStream (N12)."""
        found = self._station.event_streams.list()
        return {"constantStreamData": found} if found else {}

    def adjust_stream(self, request: Payload) -> Payload:
        """AdjustPeriodicEventStream (N14)."""
        done = self._station.event_streams.adjust(request["id"], request["params"])
        return {"status": "Accepted" if done else "Rejected"}
