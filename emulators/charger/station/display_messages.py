"""Display messages of an emulated station, by priority, state and time (2.x block O)."""

from __future__ import annotations

import asyncio
import contextlib

from emulators.charger.station.context import StationContext
from emulators.charger.station.ocpp_enums import ChargingState
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse

MAX_MESSAGES = 50  # DisplayMessages.maxLimit
FORMATS = ("ASCII", "UTF8")
ORDER = ("AlwaysFront", "InFront", "NormalCycle")


class DisplayMessages:
    """Installed display messages of one station, by id."""

    def __init__(self, context: StationContext) -> None:
        self._context = context
        self.messages: dict[int, Payload] = {}
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self.messages)

    def put(self, message: Payload) -> str:
        """Install a message; return SetDisplayMessageResponse.status (O01, O02, O06).

        At most one message has priority AlwaysFront: the last.
        """
        contents = [message["message"], *message.get("messageExtra", ())]
        if any(one["format"] not in FORMATS for one in contents):
            return v21.DisplayMessageStatusEnumType.not_supported_message_format
        if message["id"] not in self.messages and len(self.messages) >= MAX_MESSAGES:
            return v21.DisplayMessageStatusEnumType.rejected
        transaction = message.get("transactionId")
        if transaction is not None and transaction not in self._transactions():
            return v21.DisplayMessageStatusEnumType.unknown_transaction
        if message["priority"] == "AlwaysFront":
            self.messages = {n: m for n, m in self.messages.items() if m["priority"] != "AlwaysFront"}
        self.messages[message["id"]] = message
        self._save()
        return v21.DisplayMessageStatusEnumType.accepted

    def clear(self, number: int) -> bool:
        """Remove a message (O05); return False if it does not exist."""
        removed = self.messages.pop(number, None) is not None
        self._save()
        return removed

    def select(self, ids: list[int] | None, priority: str | None, state: str | None) -> list[Payload]:
        """Return the messages that match a GetDisplayMessages request (O03, O04)."""
        return [
            one
            for number, one in self.messages.items()
            if (ids is None or number in ids)
            and priority in (None, one["priority"])
            and state in (None, one.get("state"))
        ]

    def shown(self) -> list[Payload]:
        """Return the messages on display by priority: started, for the current state and running transactions."""
        now, states, running = self._context.wall(), self._states(), self._transactions()
        found = [
            one
            for one in self.messages.values()
            if (parse(one.get("startDateTime")) or 0.0) <= now
            and one.get("state") in states
            and one.get("transactionId", None) in {None, *running}
        ]
        return sorted(found, key=lambda one: ORDER.index(one["priority"]))

    async def run(self) -> None:
        """Remove messages at their end time, until cancelled (O01.FR.05, O02.FR.06)."""
        clock = self._context.clock
        while True:
            self._changed.clear()
            now = self._context.wall()
            ends = {n: t for n, m in self.messages.items() if (t := parse(m.get("endDateTime"))) is not None}
            for number in [n for n, end in ends.items() if end <= now]:
                self.clear(number)
            left = [end - now for end in ends.values() if end > now]
            with contextlib.suppress(TimeoutError):
                async with clock.timeout_at(clock.now() + min(left) if left else None):
                    await self._changed.wait()

    def end_transaction(self, transaction: str) -> None:
        """Remove the messages of a transaction (O02.FR.08)."""
        self.messages = {n: m for n, m in self.messages.items() if m.get("transactionId") != transaction}
        self._save()

    def _transactions(self) -> set[str]:
        return {e.transaction.id for e in self._context.evses.values() if e.transaction is not None}

    def _states(self) -> set[str | None]:
        evses = self._context.evses.values()
        charging = any(e.transaction is not None and e.transaction.state == ChargingState.charging for e in evses)
        state = "Charging" if charging else "Idle" if any(e.transaction is None for e in evses) else "Suspended"
        faulted = {"Faulted"} if any(e.fault for e in evses) else set()
        unavailable = {"Unavailable"} if all(not e.operative for e in evses) else set()
        return {None, state, *faulted, *unavailable}

    def _save(self) -> None:
        self._changed.set()
        self._context.save("display")

    def saved(self) -> list[Payload]:
        """Return the stored form."""
        return list(self.messages.values())

    def restore(self, saved: list[Payload]) -> None:
        """Restore the stored form without the messages of transactions."""
        self.messages = {one["id"]: one for one in saved if "transactionId" not in one}
