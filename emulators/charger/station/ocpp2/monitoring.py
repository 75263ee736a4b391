"""What the emulated station does when a 2.x CSMS asks about monitors and event streams (N02-N06, N11-N14)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from emulators.charger.station.device_model.model import Name, component_of, connector_fits, name_of, variable_of
from emulators.charger.station.device_model.report import matches
from emulators.charger.station.device_model.variables import ITEMS
from emulators.charger.station.monitoring.monitors import SEVERITIES, Monitor
from emulators.charger.station.station import Station
from protocols.ocpp.rpc import Refusal
from protocols.ocpp.schema import ErrorCode, Payload, Version
from protocols.ocpp.times import stamp

REPORTED = 50  # monitors in one NotifyMonitoringReport
Handler = Callable[[Payload], Payload | Awaitable[Payload]]


def handlers(station: Station) -> dict[str, Handler]:
    """The table for one connection."""
    asked = AskedToMonitor(station)
    table: dict[str, Handler] = {
        "ClearVariableMonitoring": asked.clear,
        "GetMonitoringReport": asked.report,
        "SetMonitoringBase": asked.set_base,
        "SetMonitoringLevel": asked.set_level,
        "SetVariableMonitoring": asked.set,
    }
    if station.config.version is Version.V21:
        table |= {"AdjustPeriodicEventStream": asked.adjust_stream, "GetPeriodicEventStream": asked.get_streams}
    return table


def bound(entries: list[Any]) -> None:
    """No more elements than ItemsPerMessage says."""
    if len(entries) > ITEMS:
        raise Refusal(ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION, f"at most {ITEMS} elements at once")


class AskedToMonitor:
    """Requests about monitors."""

    def __init__(self, station: Station) -> None:
        self.station, self.monitors = station, station.monitoring.monitors

    def set(self, request: Payload) -> Payload:
        """N04."""
        bound(request["setMonitoringData"])
        results = [self._set(asked) for asked in request["setMonitoringData"]]
        self.station.save("monitors")
        self.station.wake()
        return {"setMonitoringResult": results}

    def _set(self, asked: Payload) -> Payload:
        answer = {name: asked[name] for name in ("type", "severity", "component", "variable")}
        name = name_of(asked["component"], asked["variable"])
        variable = self.station.device.find(name)
        if variable is None or not connector_fits(asked["component"]):
            known = self.station.device.knows(name[0], name[1]) and connector_fits(asked["component"])
            return answer | {"status": "UnknownVariable" if known else "UnknownComponent"}
        status, monitor = self.monitors.set(asked, name, variable, self.station.wall())
        if monitor is None:
            return answer | {"status": status}
        self.station.later(self._stream(monitor, asked.get("periodicEventStream")))
        return answer | {"status": status, "id": monitor.id}

    async def _stream(self, monitor: Monitor, params: Payload | None) -> None:
        """N11.FR.01, N13.FR.06: a monitor that is set again without a stream has none any more."""
        await self.station.streams.end(monitor.id)
        if params is not None and self.station.config.version is Version.V21:
            await self.station.streams.begin(monitor, params)

    def clear(self, request: Payload) -> Payload:
        """N06, N13.FR.05."""
        bound(request["id"])
        results = []
        for number in request["id"]:
            status = self.monitors.clear(number)
            if status == "Accepted":
                self.station.later(self.station.streams.end(number))
            results.append({"id": number, "status": status})
        self.station.save("monitors")
        return {"clearMonitoringResult": results}

    def set_base(self, request: Payload) -> Payload:
        """N03."""
        before = {one.id for one in self.monitors}
        self.monitors.set_base(request["monitoringBase"])
        for number in before - {one.id for one in self.monitors}:
            self.station.later(self.station.streams.end(number))
        self.station.save("monitors")
        self.station.wake()
        return {"status": "Accepted"}

    def set_level(self, request: Payload) -> Payload:
        """N05."""
        if request["severity"] not in SEVERITIES:
            return {"status": "Rejected"}
        self.monitors.level = request["severity"]
        self.station.save("monitors")
        return {"status": "Accepted"}

    def report(self, request: Payload) -> Payload:
        """N02."""
        asked = request.get("componentVariable", [])
        bound(asked)

        def wanted(name: Name) -> bool:
            return not asked or any(matches(name, one["component"], one.get("variable")) for one in asked)

        found = self.monitors.select(wanted, request.get("monitoringCriteria", []))
        if not found:
            return {"status": "EmptyResultSet"}
        self.station.later(self._report(request["requestId"], found))
        return {"status": "Accepted"}

    async def _report(self, request: int, found: list[Monitor]) -> None:
        parts = [found[i : i + REPORTED] for i in range(0, len(found), REPORTED)]
        for number, part in enumerate(parts):
            body: Payload = {
                "requestId": request,
                "seqNo": number,
                "generatedAt": stamp(self.station.wall()),
                "tbc": number < len(parts) - 1,
                "monitor": [self._entry(one) for one in part],
            }
            await self.station.call("NotifyMonitoringReport", body)

    def _entry(self, one: Monitor) -> Payload:
        about: Payload = {
            "id": one.id,
            "transaction": one.transaction,
            "value": one.value,
            "type": one.type,
            "severity": one.severity,
        }
        if self.station.config.version is Version.V21:
            about["eventNotificationType"] = one.kind  # N02.FR.22
        component, evse, variable, instance = one.name
        return {
            "component": component_of(component, evse),
            "variable": variable_of(variable, instance),
            "variableMonitoring": [about],
        }

    def get_streams(self, request: Payload) -> Payload:
        """N12."""
        found = self.station.streams.list()
        return {"constantStreamData": found} if found else {}

    def adjust_stream(self, request: Payload) -> Payload:
        """N14."""
        done = self.station.streams.adjust(request["id"], request["params"])
        return {"status": "Accepted" if done else "Rejected"}
