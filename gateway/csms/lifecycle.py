"""Lifecycle of a station: the events that each step reports, and the requests that it starts.

`Station` holds the state and calls this through its protocol `Lifecycle`, which this module implements.
"""

from __future__ import annotations

from gateway.csms import (
    capabilities,
    der,
    device_model,
    evse_events,
    fault_check,
    faults,
    housekeeping,
    local_list,
    restore,
)
from gateway.csms.evse import Evse
from gateway.csms.registration import Boot, Status
from gateway.csms.station import Station
from gateway.model.event import StationConnected, StationLost
from protocols.ocpp.schema import Version


def connected(station: Station, version: Version) -> None:
    """Report the connection and the restored transactions that are active; synchronise the local list.

    DER controls may have changed without a connection; the first reading follows the inventory, where there is one.
    """
    context, boot = station.context, station.boot or Boot(Status.accepted)
    now = context.clock.now()
    context.report(StationConnected(station.id, now, version.value, boot.vendor, boot.model))
    for transaction in context.transactions.active_of(station.id):
        if not transaction.announced:
            evse_events.session_started(station, transaction)
    if station.faults or any(evse.faults for evse in station.evses.values()):
        housekeeping.spawn(station, fault_check.check(station))
    if version is Version.V21 and (station.der.revision or not context.settings.inventory):
        housekeeping.spawn(station, der.update_discharge_share(station))
    if context.settings.local_list:
        housekeeping.spawn(station, local_list.synchronise(station))


def disconnected(station: Station, reason: str) -> None:
    """Report that the station cannot be commanded any more."""
    station.context.report(StationLost(station.id, station.context.clock.now(), reason))


def resumed(station: Station) -> None:
    """Request the device model of a station that continues without booting, unless a request is pending."""
    missing = station.context.settings.inventory and station.inventory_request is None
    if missing and station.version is not Version.V16:
        housekeeping.spawn(station, device_model.request_inventory(station))


def evse_changed(station: Station, evse: Evse) -> None:
    """Report the capabilities and faults of an EVSE where they changed."""
    capabilities.describe(station, evse)
    faults.report(station, evse)


def changed(station: Station) -> None:
    """Store the station; one that is not registered is not stored."""
    if station.registered:
        station.context.persistence.later(restore.record(station))
