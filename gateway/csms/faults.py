"""Faults of EVSEs and of whole stations, each with its source.

A connector, a component of the device model and a DER control report their faults and the ends independently, so that
the end of one does not hide another. A fault of the station (connector 0 of 1.6, EVSE 0 or none of 2.x) is a fault of
every EVSE, also of one that is reported later.
"""

from __future__ import annotations

from gateway.csms.evse import Evse, Faults, FaultSource
from gateway.csms.station import Station
from gateway.model.event import FaultCleared, FaultRaised


def connector(number: int) -> FaultSource:
    """Return the source of the status of a connector."""
    return "connector", str(number)


def set_evse(station: Station, evse: Evse, source: FaultSource, code: str | None, text: str = "") -> None:
    """Process a fault of an EVSE, or with None its end."""
    _set(evse.faults, source, code, text)
    report(station, evse)


def set_station(station: Station, source: FaultSource, code: str | None, text: str = "") -> None:
    """Process a fault of the whole station, or with None its end."""
    _set(station.faults, source, code, text)
    for evse in station.evses.values():
        report(station, evse)


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


def _set(faults: Faults, source: FaultSource, code: str | None, text: str) -> None:
    if code is None:
        faults.pop(source, None)
    else:
        faults[source] = code, text
