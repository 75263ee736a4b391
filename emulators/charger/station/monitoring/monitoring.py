"""Monitoring of an emulated station: evaluates monitors and reports their events by NotifyEvent (N07, N08).

Monitors read the emulated power, temperature, voltage, state of charge and states. While the station is offline,
monitors up to OfflineQueuingSeverity are evaluated and their events queued, the others after reconnection.
"""

from __future__ import annotations

from collections.abc import Iterable

from emulators.charger.station.context import StationContext
from emulators.charger.station.csms_link.message_queue import Message
from emulators.charger.station.device_model.model import Name, component_of, variable_of
from emulators.charger.station.monitoring.event_streams import EventStreams
from emulators.charger.station.monitoring.monitors import Monitor, MonitorEvent, Monitors, MonitorType, Origin
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload, Version

HOT_C = 70.0
LOWEST_SEVERITY = 9


def built_in(evses: Iterable[int]) -> list[Monitor]:
    """Return the factory monitors: hard-wired on problems, preconfigured on the temperature."""
    found = []
    for number in evses:
        problem, heat = ("EVSE", number, "Problem", ""), ("EVSE", number, "Temperature", "")
        found.append(Monitor(number, problem, MonitorType.delta, 1.0, 2, kind=Origin.hard_wired_monitor, known="false"))
        hot = MonitorType.upper_threshold
        found.append(Monitor(100 + number, heat, hot, HOT_C, 3, kind=Origin.preconfigured_monitor))
    return found


class Monitoring:
    """Evaluation of the monitors of a 2.x station; a 1.6 station has none."""

    def __init__(self, context: StationContext, monitors: Monitors, event_streams: EventStreams) -> None:
        self._context = context
        self.monitors, self._event_streams = monitors, event_streams
        self._events = 0

    def update(self) -> None:
        """Evaluate all monitors and report their events, once per step of the station."""
        context = self._context
        if not context.device_model.truth("MonitoringCtrlr", "Enabled"):
            return
        most: float = LOWEST_SEVERITY
        if not context.online:
            most = context.device_model.number("MonitoringCtrlr", "OfflineQueuingSeverity", LOWEST_SEVERITY)
        for event in self.monitors.evaluate(self._read, self._running, context.wall(), most):
            if event.monitor.stream is not None:
                self._event_streams.append(event.monitor.stream, event.value)
            elif event.monitor.severity <= self.monitors.level:
                self._notify(event)

    def next_change_at(self) -> float | None:
        """Return when the next periodic monitor fires; None while offline, where the tick is exact enough."""
        return self.monitors.next_change_at() if self._context.online else None

    def _read(self, name: Name) -> object:
        found = self._context.device_model.find(name)
        return None if found is None else found.raw

    def _running(self, name: Name) -> bool:
        evses = [e for e in self._context.evses.values() if name[1] in (0, e.number)]
        return any(e.transaction is not None for e in evses)

    def _notify(self, fired: MonitorEvent) -> None:
        context, one = self._context, fired.monitor
        found = context.device_model.find(one.name)
        self._events += 1
        event: Payload = {
            "eventId": self._events,
            "timestamp": context.timestamp(),
            "trigger": fired.trigger,
            "actualValue": "" if found is None or found.secret else fired.value,  # N07.FR.10
            "eventNotificationType": one.kind,
            "component": component_of(one.name[0], one.name[1]),
            "variable": variable_of(one.name[2], one.name[3]),
            "variableMonitoringId": one.id,
        }
        if one.alerts:
            event["cleared"] = fired.cleared
        if context.config.version is Version.V21:
            event["severity"] = one.severity  # N07.FR.20
        evse = context.evses.get(one.name[1])
        if evse is not None and evse.transaction is not None:
            event["transactionId"] = evse.transaction.id
        body: Payload = {"generatedAt": context.timestamp(), "seqNo": 0, "tbc": False, "eventData": [event]}
        context.enqueue(Message(v21.Action.notify_event, body))
