"""Periodic event streams of a 2.1 station (N11-N15): opened, closed and adjusted, and their values.

A value of a stream means the same as an event of its monitor (N15.FR.03). Monitors are those that an operator sets and
those of NotifyMonitoringReport, which is requested when a stream names an unknown monitor. The messages are among the
recently received ones.
"""

from __future__ import annotations

import logging

from gateway.csms import device_model
from gateway.csms.event_stream_registry import MAX_MONITORS, MAX_STREAMS, Monitor, Stream
from gateway.csms.station import Station
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse

log = logging.getLogger("v2x.csms")

Status = v21.GenericStatusEnumType

BACKLOG_AFTER = 3  # increases of `pending` in a row


def _stream(description: Payload) -> Stream:
    params = description["params"]
    return Stream(description["id"], description["variableMonitoringId"], params.get("interval"), params.get("values"))


def opened(station: Station, payload: Payload) -> Payload:
    """Open a stream (N11.FR.04-06). Opening one again replaces its parameters."""
    streams, new = station.streams, _stream(payload["constantStreamData"])
    if not (new.interval or new.values):
        return _rejected("MissingParam", "neither interval nor values: it would never send")
    if new.id not in streams.open and len(streams.open) >= MAX_STREAMS:
        return _rejected("OutOfMemory", f"{MAX_STREAMS} streams are open already")
    streams.open[new.id] = new
    if new.monitor not in streams.monitors:
        if v21.Action.get_monitoring_report not in streams.pending:  # else the pending response includes this monitor
            streams.requested.discard(v21.Action.get_monitoring_report)
        _request(station, v21.Action.get_monitoring_report, {"requestId": station.next_request_id()})
    return {"status": Status.accepted}


def _rejected(code: str, text: str) -> Payload:
    return {"status": Status.rejected, "statusInfo": {"reasonCode": code, "additionalInfo": text}}


def _request(station: Station, action: str, payload: Payload) -> None:
    """Request it once per boot and opened stream: a station without an answer is not queried with every value."""
    if action in station.streams.requested:
        return
    station.streams.requested.add(action)
    station.streams.pending.add(action)

    async def request() -> None:
        try:
            answer = await station.request(action, payload)
        finally:
            station.streams.pending.discard(action)
        for stream in (answer or {}).get("constantStreamData", ())[:MAX_STREAMS]:  # N12: open since before a restart
            station.streams.open.setdefault(stream["id"], _stream(stream))

    station.spawn(request())


def closed(station: Station, payload: Payload) -> Payload:
    """Close a stream (N13.FR.02)."""
    station.streams.open.pop(payload["id"], None)
    return {}


def values_received(station: Station, payload: Payload) -> Payload:
    """Process NotifyPeriodicEventStream (N15). The return value is not sent: it has no response (N15.FR.02)."""
    stream = station.streams.open.get(payload["id"])
    if stream is None:
        _request(station, v21.Action.get_periodic_event_stream, {})
        return {}
    data, base = payload["data"], parse(payload["basetime"])
    stream.received += len(data)
    stream.value = data[-1]["v"]
    stream.at = None if base is None else base + data[-1]["t"]
    _check_backlog(station, stream, payload["pending"])
    monitor = station.streams.monitors.get(stream.monitor)
    if monitor is None:
        _request(station, v21.Action.get_monitoring_report, {"requestId": station.next_request_id()})
        return {}
    for element in data:
        device_model.variable_changed(station, monitor.component, monitor.variable, element["v"])
    return {}


def _check_backlog(station: Station, stream: Stream, pending: int) -> None:
    """Log a stream that sends fewer values than its monitor yields (N15.FR.05)."""
    stream.increases = stream.increases + 1 if pending > stream.pending else 0
    stream.pending = pending
    if stream.increases == BACKLOG_AFTER:
        log.warning(
            "%s: stream %d has a backlog of %d values; AdjustPeriodicEventStream permits larger or more messages",
            station.id,
            stream.id,
            pending,
        )


# monitors


def monitoring_report(station: Station, payload: Payload) -> Payload:
    """Process the report of the station's monitors (N02)."""
    for entry in payload.get("monitor", ()):
        for one in entry["variableMonitoring"]:
            _record_monitor(station, one["id"], entry, one["severity"])
    return {}


def monitors_set(station: Station, request: Payload, answer: Payload) -> None:
    """Record monitors that an operator set, with the ids that the station assigned."""
    for monitor, result in zip(request["setMonitoringData"], answer["setMonitoringResult"], strict=False):
        if result["status"] == v21.SetMonitoringStatusEnumType.accepted and "id" in result:
            _record_monitor(station, result["id"], monitor, monitor["severity"])


def _record_monitor(station: Station, number: int, description: Payload, severity: int | None) -> None:
    monitors = station.streams.monitors
    if number in monitors or len(monitors) < MAX_MONITORS:
        monitors[number] = Monitor(description["component"], description["variable"], severity)


def adjusted(station: Station, request: Payload) -> None:
    """Record parameters of a stream that the station accepted (N14)."""
    stream = station.streams.open.get(request["id"])
    if stream is not None:
        stream.interval, stream.values = request["params"].get("interval"), request["params"].get("values")
