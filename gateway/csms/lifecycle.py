"""Lifecycle of a station's connection: the events that it causes, and the requests that each of its steps starts.

`Station` keeps the state and calls this through the protocol `Lifecycle` in `station`.
"""

from __future__ import annotations

from gateway.csms import capabilities, device_model, evse_events, local_list, restore
from gateway.csms.evse import Evse
from gateway.csms.registration import ACCEPTED, Boot
from gateway.csms.station import Station
from gateway.model.event import StationConnected, StationLost
from protocols.ocpp.schema import Version


class StationLifecycle:
    """Implementation of `station.Lifecycle` for all stations of a CSMS."""

    def connected(self, station: Station, version: Version) -> None:
        """Report the connection and the transactions that were restored and run on; synchronise the local list."""
        context, boot = station.context, station.boot or Boot(ACCEPTED)
        now = context.clock.now()
        context.report(StationConnected(station.id, now, version.value, boot.vendor, boot.model))
        for transaction in context.transactions.active_of(station.id):
            if not transaction.announced:
                evse_events.began(station, transaction)
        if context.settings.local_list:
            station.later(local_list.sync(station))

    def disconnected(self, station: Station, reason: str) -> None:
        """Report that the station cannot be commanded any more."""
        station.context.report(StationLost(station.id, station.context.clock.now(), reason))

    def resumed(self, station: Station) -> None:
        """Request the device model of a station that continues without booting, unless a request is pending."""
        if station.version is not Version.V16 and station.context.settings.inventory and station.reporting is None:
            station.later(device_model.take_stock(station))

    def evse_changed(self, station: Station, evse: Evse) -> None:
        """Report the capabilities of an EVSE where they changed."""
        capabilities.describe(station, evse)

    def changed(self, station: Station) -> None:
        """Store the station; one that is not registered is not stored."""
        if station.registered:
            station.context.ledger.later(restore.record(station))
