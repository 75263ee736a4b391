"""Periodic event streams of a 2.1 station: values of a monitor in bulk, by messages without an answer (N11-N15).

A value of a stream means what an event of its monitor would mean (N15.FR.03), so the monitors are learnt: from what an
operator sets, and from NotifyMonitoringReport, which is asked for when a stream names a monitor that is not known. The
messages themselves are in the ring of what was heard.
"""

from __future__ import annotations

import logging

from gateway.csms import device_model
from gateway.csms.event_stream_registry import MONITORS_KEPT, MOST_STREAMS, Monitored, Stream
from gateway.csms.station import Station
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse

log = logging.getLogger("v2x.csms")

GROWTHS = 3  # in a row; then `pending` is a backlog and no chance


def _stream(about: Payload) -> Stream:
    params = about["params"]
    return Stream(about["id"], about["variableMonitoringId"], params.get("interval"), params.get("values"))


def opened(station: Station, payload: Payload) -> Payload:
    """N11.FR.04-06. One that is opened again has new parameters."""
    streams, new = station.streams, _stream(payload["constantStreamData"])
    if not (new.interval or new.values):
        return _rejected("MissingParam", "neither interval nor values: it would never send")
    if new.id not in streams.open and len(streams.open) >= MOST_STREAMS:
        return _rejected("OutOfMemory", f"{MOST_STREAMS} streams are open already")
    streams.open[new.id] = new
    if new.monitor not in streams.monitors:
        if "GetMonitoringReport" not in streams.asking:  # else the answer under way knows this one, too
            streams.asked.discard("GetMonitoringReport")
        _ask(station, "GetMonitoringReport", {"requestId": station.next_request()})
    return {"status": "Accepted"}


def _rejected(code: str, text: str) -> Payload:
    return {"status": "Rejected", "statusInfo": {"reasonCode": code, "additionalInfo": text}}


def _ask(station: Station, action: str, payload: Payload) -> None:
    """Once for each boot and each stream that is opened: a station that cannot tell is not asked with every value."""
    if action in station.streams.asked:
        return
    station.streams.asked.add(action)
    station.streams.asking.add(action)

    async def ask() -> None:
        try:
            answer = await station.ask(action, payload)
        finally:
            station.streams.asking.discard(action)
        for about in (answer or {}).get("constantStreamData", ())[:MOST_STREAMS]:  # N12: open since an earlier life
            station.streams.open.setdefault(about["id"], _stream(about))

    station.later(ask())


def closed(station: Station, payload: Payload) -> Payload:
    """N13.FR.02."""
    station.streams.open.pop(payload["id"], None)
    return {}


def sent(station: Station, payload: Payload) -> Payload:
    """N15: NotifyPeriodicEventStream. What it returns goes nowhere, for nothing is answered (N15.FR.02)."""
    stream = station.streams.open.get(payload["id"])
    if stream is None:
        _ask(station, "GetPeriodicEventStream", {})
        return {}
    data, base = payload["data"], parse(payload["basetime"])
    stream.received += len(data)
    stream.value = data[-1]["v"]
    stream.at = None if base is None else base + data[-1]["t"]
    _watch_backlog(station, stream, payload["pending"])
    about = station.streams.monitors.get(stream.monitor)
    if about is None:
        _ask(station, "GetMonitoringReport", {"requestId": station.next_request()})
        return {}
    for element in data:
        device_model.changed(station, about.component, about.variable, element["v"])
    return {}


def _watch_backlog(station: Station, stream: Stream, pending: int) -> None:
    """N15.FR.05: whoever set the stream is told that it does not carry what its monitor yields."""
    stream.grown = stream.grown + 1 if pending > stream.pending else 0
    stream.pending = pending
    if stream.grown == GROWTHS:
        log.warning(
            "%s: stream %d falls behind, %d values wait; AdjustPeriodicEventStream allows it larger or more messages",
            station.id,
            stream.id,
            pending,
        )


# what is known of monitors


def monitoring_report(station: Station, payload: Payload) -> Payload:
    """N02: what the station's monitors are."""
    for entry in payload.get("monitor", ()):
        for one in entry["variableMonitoring"]:
            _learn(station, one["id"], entry, one["severity"])
    return {}


def monitors_set(station: Station, asked: Payload, answer: Payload) -> None:
    """An operator has set monitors; the station gave them numbers."""
    for wanted, result in zip(asked["setMonitoringData"], answer["setMonitoringResult"], strict=False):
        if result["status"] == "Accepted" and "id" in result:
            _learn(station, result["id"], wanted, wanted["severity"])


def _learn(station: Station, number: int, about: Payload, severity: int | None) -> None:
    monitors = station.streams.monitors
    if number in monitors or len(monitors) < MONITORS_KEPT:
        monitors[number] = Monitored(about["component"], about["variable"], severity)


def adjusted(station: Station, asked: Payload) -> None:
    """N14: the station took other parameters."""
    stream = station.streams.open.get(asked["id"])
    if stream is not None:
        stream.interval, stream.values = asked["params"].get("interval"), asked["params"].get("values")
