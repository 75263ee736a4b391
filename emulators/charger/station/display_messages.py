"""What the display of an emulated station shows: messages of the CSMS, by priority, state and time (block O)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse

if TYPE_CHECKING:
    from emulators.charger.station.station import Station

MOST = 50  # DisplayMessages.maxLimit
FORMATS = ("ASCII", "UTF8")
ORDER = ("AlwaysFront", "InFront", "NormalCycle")


class Display:
    """The messages of one station, by id."""

    def __init__(self, station: Station) -> None:
        self.station = station
        self.messages: dict[int, dict[str, Any]] = {}
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self.messages)

    def put(self, message: Payload) -> str:
        """SetDisplayMessageResponse.status (O01, O02, O06). One message at most is always in front: the last."""
        contents = [message["message"], *message.get("messageExtra", ())]
        if any(one["format"] not in FORMATS for one in contents):
            return "NotSupportedMessageFormat"
        if message["id"] not in self.messages and len(self.messages) >= MOST:
            return "Rejected"
        transaction = message.get("transactionId")
        if transaction is not None and transaction not in self._transactions():
            return "UnknownTransaction"
        if message["priority"] == "AlwaysFront":
            self.messages = {n: m for n, m in self.messages.items() if m["priority"] != "AlwaysFront"}
        self.messages[message["id"]] = message
        self._save()
        return "Accepted"

    def clear(self, number: int) -> bool:
        """Whether there was such a message (O05)."""
        gone = self.messages.pop(number, None) is not None
        self._save()
        return gone

    def select(self, ids: list[int] | None, priority: str | None, state: str | None) -> list[dict[str, Any]]:
        """O03, O04."""
        return [
            one
            for number, one in self.messages.items()
            if (ids is None or number in ids)
            and priority in (None, one["priority"])
            and state in (None, one.get("state"))
        ]

    def shown(self) -> list[dict[str, Any]]:
        """What a driver sees now, the front first: begun, of this state of the station, of a transaction that runs."""
        now, states, running = self.station.wall(), self._states(), self._transactions()
        found = [
            one
            for one in self.messages.values()
            if (parse(one.get("startDateTime")) or 0.0) <= now
            and one.get("state") in states
            and one.get("transactionId", None) in {None, *running}
        ]
        return sorted(found, key=lambda one: ORDER.index(one["priority"]))

    async def run(self) -> None:
        """Messages whose time is over are gone (O01.FR.05, O02.FR.06)."""
        clock = self.station.clock
        while True:
            self._changed.clear()
            now = self.station.wall()
            ends = {n: t for n, m in self.messages.items() if (t := parse(m.get("endDateTime"))) is not None}
            for number in [n for n, end in ends.items() if end <= now]:
                self.clear(number)
            left = [end - now for end in ends.values() if end > now]
            with contextlib.suppress(TimeoutError):
                async with clock.timeout_at(clock.now() + min(left) if left else None):
                    await self._changed.wait()

    def end_transaction(self, transaction: str) -> None:
        """O02.FR.08: a transaction's messages go with it."""
        self.messages = {n: m for n, m in self.messages.items() if m.get("transactionId") != transaction}
        self._save()

    def _transactions(self) -> set[str]:
        return {e.transaction.id for e in self.station.evses.values() if e.transaction is not None}

    def _states(self) -> set[str | None]:
        evses = self.station.evses.values()
        charging = any(e.transaction is not None and e.transaction.state == "Charging" for e in evses)
        state = "Charging" if charging else "Idle" if any(e.transaction is None for e in evses) else "Suspended"
        faulted = {"Faulted"} if any(e.fault for e in evses) else set()
        broken = {"Unavailable"} if all(not e.operative for e in evses) else set()
        return {None, state, *faulted, *broken}

    def _save(self) -> None:
        self._changed.set()
        self.station.save("display")

    def saved(self) -> list[dict[str, Any]]:
        """What is kept over a restart."""
        return list(self.messages.values())

    def restore(self, saved: list[dict[str, Any]]) -> None:
        """What was kept; transactions are over."""
        self.messages = {one["id"]: one for one in saved if "transactionId" not in one}
