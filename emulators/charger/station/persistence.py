"""What of an emulated station outlives its process, and how it comes back. Without a store nothing does.

Kept: the queue with its transactions, DER controls, charging profiles that persist (K01.FR.27), variables the CSMS has
set, the local list, reservations, availability, network profiles, monitors, display messages, tariffs, certificates and
the firmware's version. A transaction that ran when the process died ends as power loss, with the last register that
was kept.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from emulators.charger.station import availability
from emulators.charger.station.smart_charging.schedule import Held
from emulators.charger.station.store import Store
from emulators.charger.station.transaction import Message, Transaction

if TYPE_CHECKING:
    from emulators.charger.station.station import Station

log = logging.getLogger("v2x.station")

LOST_ON_REBOOT = frozenset({"TxProfile", "LocalGeneration", "ChargingStationExternalConstraints"})

__all__ = ["Keeping", "Store"]


class Keeping:
    """Between one station and its store."""

    def __init__(self, station: Station, store: Store | None) -> None:
        self.station, self.store = station, store
        self._restoring = False
        self._numbers: dict[str, int] = {}
        self._transactions: dict[str, Transaction] = {}  # those with messages in the queue, and those that run
        if store is not None:
            for queue in (station.line.queue, station.line.notices):
                queue.on_put, queue.on_gone = self._put, self._gone

    def save(self, what: str) -> None:
        """Something has changed."""
        if self.store is not None and not self._restoring:
            self.store.put(what, _SAVED[what](self.station))

    def learnt(self, transaction: Transaction) -> None:
        """1.6: the CSMS has given an id, which later messages need whatever happens."""
        if self.store is not None:
            numbers = self.store.get("numbers") or {}
            waiting = {m.transaction.id for m in self.station.line.queue.messages if m.transaction is not None}
            numbers = {name: number for name, number in numbers.items() if name in waiting}
            self.store.put("numbers", numbers | {transaction.id: transaction.number})
            self.save("transactions")

    def close(self) -> None:
        """The process ends in order."""
        if self.store is not None:
            self.store.close()
            self.store = None
            for queue in (self.station.line.queue, self.station.line.notices):
                queue.on_put = queue.on_gone = None

    # the queue

    def _put(self, message: Message) -> None:
        if self.store is None or self._restoring:
            return
        transaction = message.transaction
        body = {
            "action": message.action,
            "payload": message.payload,
            "essential": message.essential,
            "transaction": None if transaction is None else transaction.saved(),
        }
        message.row = self.store.add_message(body)
        if transaction is not None:
            self.store.put("meters", _meters(self.station))

    def _gone(self, message: Message) -> None:
        if self.store is not None and message.row:
            self.store.drop_message(message.row)

    # coming back

    def restore(self) -> None:
        """Before the first connection: as it was when the process ended."""
        store, station = self.store, self.station
        if store is None:
            return
        self._restoring = True
        for name, restore in _RESTORED.items():
            kept = store.get(name)
            if kept is None:
                continue
            try:
                restore(station, kept)
            except (KeyError, TypeError, ValueError) as error:
                log.warning("%s: what was kept of %s can't be read: %r", station.config.id, name, error)
        self._numbers = store.get("numbers") or {}
        for row, body in store.messages():
            message = self._message(row, body)
            station.line.queue_of(message).messages.append(message)
        self._restoring = False
        for kept in store.get("transactions") or []:
            self._end(self._known(kept))
        self.save("transactions")

    def _message(self, row: int, body: dict[str, Any]) -> Message:
        kept = body["transaction"]
        transaction = None if kept is None else self._known(kept)
        return Message(body["action"], body["payload"], transaction, body["essential"], row=row)

    def _known(self, kept: dict[str, Any]) -> Transaction:
        """One object for each transaction: the id that 1.6 learns late is for all its messages."""
        found = self._transactions.setdefault(kept["id"], Transaction(**kept))
        found.seq = max(found.seq, kept["seq"])
        if found.number is None:
            found.number = self._numbers.get(found.id, kept["number"])
        return found

    def _end(self, transaction: Transaction) -> None:
        evse = self.station.evses.get(transaction.evse)
        if evse is not None:
            transaction.stopped = "PowerLoss"
            self.station.dialect.ended(evse, transaction, "AbnormalCondition")


def _transactions(station: Station) -> list[dict[str, Any]]:
    return [e.transaction.saved() for e in station.evses.values() if e.transaction is not None]


def _meters(station: Station) -> list[list[float]]:
    meters = {evse.number: evse.outlet.stage.meter for evse in station.evses.values()}
    return [[number, meter.charged_wh, meter.discharged_wh] for number, meter in meters.items()]


def _restore_meters(station: Station, kept: list[list[float]]) -> None:
    for number, charged_wh, discharged_wh in kept:
        evse = station.evses.get(int(number))
        if evse is not None:
            evse.outlet.stage.meter.preset(charged_wh, discharged_wh)


def _profiles(station: Station) -> list[dict[str, Any]]:
    return [asdict(held) for held in station.profiles if held.purpose not in LOST_ON_REBOOT]


def _restore_profiles(station: Station, kept: list[dict[str, Any]]) -> None:
    for entry in kept:
        station.profiles.put_back(Held(**{**entry, "delays": tuple(entry["delays"])}))


def _variables(station: Station) -> list[list[Any]]:
    return [[*name, v.stored] for name, v in station.device.items() if v.mutable and v.persistent and v.live is None]


def _restore_variables(station: Station, kept: list[list[Any]]) -> None:
    for component, evse, variable, instance, value in kept:
        found = station.device.find((component, evse, variable, instance))
        if found is not None and found.mutable and found.live is None:
            found.stored = value
    station.variables_changed()


def _restore_firmware(station: Station, kept: str) -> None:
    station.firmware = kept


_SAVED: dict[str, Any] = {
    "availability": availability.saved,
    "certificates": lambda station: station.upkeep.certificates.saved(),
    "controls": lambda station: station.controls.saved(),
    "display": lambda station: station.display.saved(),
    "firmware": lambda station: station.firmware,
    "local_list": lambda station: station.local_list.saved(),
    "monitors": lambda station: station.monitoring.monitors.saved(),
    "network": lambda station: station.line.network.saved(),
    "profiles": _profiles,
    "reservations": lambda station: station.reservations.saved(),
    "tariffs": lambda station: station.tariffs.saved(),
    "transactions": _transactions,
    "variables": _variables,
}
_RESTORED: dict[str, Any] = {
    "availability": availability.restore,
    "certificates": lambda station, kept: station.upkeep.certificates.restore(kept),
    "controls": lambda station, kept: station.controls.restore(kept),
    "display": lambda station, kept: station.display.restore(kept),
    "firmware": _restore_firmware,
    "local_list": lambda station, kept: station.local_list.restore(kept),
    "meters": _restore_meters,
    "monitors": lambda station, kept: station.monitoring.monitors.restore(kept),
    "network": lambda station, kept: station.line.network.restore(kept),
    "profiles": _restore_profiles,
    "reservations": lambda station, kept: station.reservations.restore(kept),
    "tariffs": lambda station, kept: station.tariffs.restore(kept),
    "variables": _restore_variables,
}
