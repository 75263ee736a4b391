"""Persistent state of an emulated station, and its restore after the process has ended.

Stored are the message queue with its transactions and the parts that `Station` names. A transaction that ran when the
process ended abnormally ends with reason PowerLoss and the last stored meter register.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from emulators.charger.station.context import StationContext
from emulators.charger.station.csms_link.link import CsmsLink
from emulators.charger.station.csms_link.message_queue import Message
from emulators.charger.station.evse import EvseState
from emulators.charger.station.ocpp_enums import StopReason, TriggerReason
from emulators.charger.station.store import Saved, Store
from emulators.charger.station.transaction import Transaction

log = logging.getLogger("v2x.station")


class Part(Protocol):
    """One named part of the state."""

    def saved(self) -> object:
        """Return the JSON form."""

    def restore(self, saved: Any) -> None:
        """Restore the JSON form."""


class StoredMessages:
    """Queued messages in the store of a station, with the meter registers at the last one of a transaction."""

    def __init__(self, store: Store, evses: Mapping[int, EvseState]) -> None:
        self._store, self._evses = store, evses

    def add(self, message: Message) -> None:
        """Store a message."""
        transaction = message.transaction
        body = {
            "action": message.action,
            "payload": message.payload,
            "essential": message.essential,
            "transaction": None if transaction is None else transaction.saved(),
        }
        message.row = self._store.add_message(body)
        if transaction is not None:
            meters = {evse.number: evse.power_path.stage.meter for evse in self._evses.values()}
            registers = [[number, meter.charged_wh, meter.discharged_wh] for number, meter in meters.items()]
            self._store.put("meters", registers)

    def remove(self, message: Message) -> None:
        """Delete a message."""
        if message.row:
            self._store.drop_message(message.row)


class Persistence:
    """Persistence of one station. Without a store it does nothing."""

    def __init__(self, context: StationContext, link: CsmsLink, parts: Mapping[str, Part], store: Store | None) -> None:
        self._context, self._link, self._parts = context, link, parts
        self.store = store
        self._restoring = False
        self._numbers: dict[str, int] = {}  # transaction ids that the CSMS of a 1.6 station assigned
        self._transactions: dict[str, Transaction] = {}  # those with queued messages and those that run

    def save(self, name: str) -> None:
        """Store one part."""
        if self.store is not None and not self._restoring:
            self.store.put(name, self._running() if name == "transactions" else self._parts[name].saved())

    def transaction_id_assigned(self, transaction: Transaction) -> None:
        """Store the id that the CSMS of a 1.6 station assigned: later messages need it after a crash."""
        if self.store is not None:
            numbers = self.store.get("numbers") or {}
            waiting = {m.transaction.id for m in self._link.queue.messages if m.transaction is not None}
            numbers = {name: number for name, number in numbers.items() if name in waiting}
            self.store.put("numbers", numbers | {transaction.id: transaction.number})
            self.save("transactions")

    def close(self) -> None:
        """Close the store."""
        if self.store is not None:
            self.store.close()

    # restore

    def restore(self) -> None:
        """Restore the state before the first connection."""
        store = self.store
        if store is None:
            return
        self._restoring = True
        restores = {name: part.restore for name, part in self._parts.items()} | {"meters": self._restore_meters}
        for name in sorted(restores):
            self._restore_part(name, store.get(name), restores[name])
        self._numbers = store.get("numbers") or {}
        for row, body in store.messages():
            message = self._message(row, body)
            self._link.queue_of(message).messages.append(message)
        self._restoring = False
        for saved in store.get("transactions") or []:
            self._end(self._transaction(saved))
        self.save("transactions")

    def _restore_part(self, name: str, saved: Any, restore: Callable[[Any], None]) -> None:
        if saved is None:
            return
        try:
            restore(saved)
        except (KeyError, TypeError, ValueError) as error:
            log.warning("%s: the stored %s cannot be read: %r", self._context.config.id, name, error)

    def _message(self, row: int, body: Saved) -> Message:
        saved = body["transaction"]
        transaction = None if saved is None else self._transaction(saved)
        return Message(body["action"], body["payload"], transaction, body["essential"], row=row)

    def _transaction(self, saved: Saved) -> Transaction:
        """Return the one object of a transaction: an id that 1.6 assigns late applies to all its messages."""
        members = {name: value for name, value in saved.items() if name in Transaction.__dataclass_fields__}
        found = self._transactions.setdefault(saved["id"], Transaction(**members))  # former members are ignored
        found.seq = max(found.seq, saved["seq"])
        if found.number is None:
            found.number = self._numbers.get(found.id, saved["number"])
        return found

    def _end(self, transaction: Transaction) -> None:
        evse = self._context.evses.get(transaction.evse)
        if evse is not None:
            transaction.stopped = StopReason.power_loss
            self._context.messages.ended(evse, transaction, TriggerReason.abnormal_condition)

    def _running(self) -> list[Saved]:
        return [e.transaction.saved() for e in self._context.evses.values() if e.transaction is not None]

    def _restore_meters(self, saved: list[list[float]]) -> None:
        for number, charged_wh, discharged_wh in saved:
            evse = self._context.evses.get(int(number))
            if evse is not None:
                evse.power_path.stage.meter.preset(charged_wh, discharged_wh)
