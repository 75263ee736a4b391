"""Monitoring at the emulated station: watches what its variables show, and tells the CSMS by NotifyEvent (N07, N08).

Monitors see the emulated power, temperature, voltage, state of charge and states as they are. Events of a severity that
may wait are kept while the station is offline; those of another are looked at again when it is back (N07, remark).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulators.charger.station.device_model.model import Name, component_of, variable_of
from emulators.charger.station.monitoring.monitors import HARD_WIRED, PRECONFIGURED, Fired, Monitor, Monitors
from emulators.charger.station.transaction import Message
from protocols.ocpp.schema import Payload, Version

if TYPE_CHECKING:
    from emulators.charger.station.station import Station

HOT_C = 70.0
LOWEST = 9  # severity


def built_in(station: Station) -> list[Monitor]:
    """What the maker put in: problems are always told, heat is a monitor that a CSMS may change."""
    found = []
    for number in station.evses:
        problem, heat = ("EVSE", number, "Problem", ""), ("EVSE", number, "Temperature", "")
        found.append(Monitor(number, problem, "Delta", 1.0, 2, kind=HARD_WIRED, known="false"))
        found.append(Monitor(100 + number, heat, "UpperThreshold", HOT_C, 3, kind=PRECONFIGURED))
    return found


class Monitoring:
    """All of a 2.x station; a 1.6 station has none."""

    def __init__(self, station: Station) -> None:
        self.station = station
        self.monitors = Monitors() if station.config.version is Version.V16 else Monitors(built_in(station))
        self._events = 0

    def look(self) -> None:
        """Tell what has fired: once a step of the station."""
        station = self.station
        if not station.device.truth("MonitoringCtrlr", "Enabled"):
            return
        most = LOWEST if station.online else station.device.number("MonitoringCtrlr", "OfflineQueuingSeverity", LOWEST)
        for fired in self.monitors.look(self._read, self._running, station.wall(), most):
            if fired.monitor.stream is not None:
                station.streams.take(fired.monitor.stream, fired.value)
            elif fired.monitor.severity <= self.monitors.level:
                self._tell(fired)

    def next_turn(self) -> float | None:
        """When a periodic one fires next; while offline some wait, and the tick will do."""
        return self.monitors.next_turn() if self.station.online else None

    def _read(self, name: Name) -> object:
        found = self.station.device.find(name)
        return None if found is None else found.raw

    def _running(self, name: Name) -> bool:
        evses = [e for e in self.station.evses.values() if name[1] in (0, e.number)]
        return any(e.transaction is not None for e in evses)

    def _tell(self, fired: Fired) -> None:
        station, one = self.station, fired.monitor
        found = station.device.find(one.name)
        self._events += 1
        event: Payload = {
            "eventId": self._events,
            "timestamp": station.timestamp(),
            "trigger": fired.trigger,
            "actualValue": "" if found is None or found.secret else fired.value,  # N07.FR.10
            "eventNotificationType": one.kind,
            "component": component_of(one.name[0], one.name[1]),
            "variable": variable_of(one.name[2], one.name[3]),
            "variableMonitoringId": one.id,
        }
        if one.alerts:
            event["cleared"] = fired.cleared
        if station.config.version is Version.V21:
            event["severity"] = one.severity  # N07.FR.20
        evse = station.evses.get(one.name[1])
        if evse is not None and evse.transaction is not None:
            event["transactionId"] = evse.transaction.id
        body: Payload = {"generatedAt": station.timestamp(), "seqNo": 0, "tbc": False, "eventData": [event]}
        station.enqueue(Message("NotifyEvent", body))
