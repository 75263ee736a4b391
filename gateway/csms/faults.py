"""Faults of EVSEs and of whole stations, each with its source.

A connector, a component of the device model and a DER control report their faults and the ends independently, so that
the end of one does not hide another. A fault of the station (connector 0 of 1.6, EVSE 0 or none of 2.x) is a fault of
every EVSE, also of one that is reported later.

Faults are stored: they hold after a restart of the gateway until the station reports their end, which is requested
when it connects (`fault_check`).
"""

from __future__ import annotations

from gateway.csms.evse import DER_CONTROL, Evse, Faults, FaultSource
from gateway.csms.station import Station
from gateway.model.event import FaultCleared, FaultRaised


def connector(number: int) -> FaultSource:
    """Return the source of the status of a connector."""
    return "connector", str(number)


def der_control(kind: str) -> FaultSource:
    """Return the source of the alarm of a DER control."""
    return DER_CONTROL, kind


def set_evse(station: Station, evse: Evse, source: FaultSource, code: str | None, text: str = "") -> None:
    """Process a fault of an EVSE, or with None its end."""
    changed = _set(evse.faults, source, code, text)
    report(station, evse)
    if changed:
        station.save()


def set_station(station: Station, source: FaultSource, code: str | None, text: str = "") -> None:
    """Process a fault of the whole station, or with None its end."""
    changed = _set(station.faults, source, code, text)
    for evse in station.evses.values():
        report(station, evse)
    if changed:
        station.save()


def report(station: Station, evse: Evse) -> None:
    """Report what changed in the faults of an EVSE. Several sources with one code are one fault."""
    active = dict([*evse.faults.values(), *station.faults.values()])
    now = station.context.clock.now()
    for code in [code for code in evse.reported_faults if code not in active]:
        station.context.report(FaultCleared(evse.name, now, code))
    for code, text in active.items():
        if evse.reported_faults.get(code) != text:
            station.context.report(FaultRaised(evse.name, now, code, text))
    evse.reported_faults = active


def _set(faults: Faults, source: FaultSource, code: str | None, text: str) -> bool:
    """Set or remove a fault; return True where that is a change."""
    before, after = faults.get(source), None if code is None else (code, text)
    if after is None:
        faults.pop(source, None)
    else:
        faults[source] = after
    return before != after
