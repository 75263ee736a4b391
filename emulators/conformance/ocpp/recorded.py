"""Messages of a run in their order: queries, waiting, and the file of JSON lines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

from emulators.conformance.case import Failed
from emulators.conformance.ocpp import pattern
from emulators.conformance.ocpp.peer import Kind, Message
from protocols import private_file
from protocols.ocpp.schema import Payload
from protocols.ports import Clock


class Recorded:
    """All messages of one device over all its connections."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.messages: list[Message] = []
        self.mark = 0  # index of the first message after the last stimulus
        self.on_message: Callable[[Message], None] | None = None
        self._changed = asyncio.Event()

    def add(self, message: Message) -> None:
        """Append a message."""
        self.messages.append(message)
        if self.on_message is not None:
            self.on_message(message)
        self._changed.set()

    def wake(self) -> None:
        """Have the conditions of `wait_for` evaluated: something else than a message has happened."""
        self._changed.set()

    def forget(self) -> None:
        """Remove all messages, between two cases without a transaction."""
        self.messages.clear()
        self.mark = 0

    def stimulus(self) -> None:
        """Start a new stimulus: `expect` considers later messages only."""
        self.mark = len(self.messages)

    def find(self, action: str, where: object = pattern.ANY, since: int | None = None) -> list[Message]:
        """Return the calls and SENDs of the device with an action, after the last stimulus or from an index."""
        start = self.mark if since is None else since
        return [
            m
            for m in self.messages[start:]
            if m.from_device
            and m.kind in (Kind.CALL, Kind.SEND)
            and m.action == action
            and pattern.matches(m.payload, where)
        ]

    async def wait_for(self, condition: Callable[[], bool], within: float) -> bool:
        """Wait until a condition on the messages is true; return False after `within` s."""
        deadline = self.clock.now() + within
        while not condition():
            self._changed.clear()
            try:
                async with self.clock.timeout_at(deadline):
                    await self._changed.wait()
            except TimeoutError:
                return condition()
        return True

    async def expect(
        self, action: str, where: object = pattern.ANY, within: float = 30.0, since: int | None = None
    ) -> Payload:
        """Return the payload of the first call of the device with this content, within `within` s.

        Raises Failed where there is none, or where it breaks its schema.
        """
        start = self.mark if since is None else since
        if not await self.wait_for(lambda: bool(self.find(action, where, start)), within):
            others = [m.payload for m in self.find(action, since=start)]
            seen = f"; seen: {json.dumps(others[-1])[:300]}" if others else ""
            raise Failed(f"no {action} with {pattern.text(where)} within {within:g} s{seen}")
        found = self.find(action, where, start)[0]
        if found.violation is not None:
            raise Failed(f"{action} breaks its schema: {found.violation.text} (at {found.violation.where})")
        return found.payload

    async def expect_none(self, action: str, where: object = pattern.ANY, during: float = 5.0) -> None:
        """Raise Failed if the device sends such a call within `during` s."""
        start = self.mark
        if await self.wait_for(lambda: bool(self.find(action, where, start)), during):
            raise Failed(f"{action} with {pattern.text(where)} was sent")

    def write(self, path: Path) -> None:
        """Write the messages as JSON lines."""
        with private_file.replacing(path) as out:
            out.writelines(json.dumps(line(m), ensure_ascii=False) + "\n" for m in self.messages)


def line(message: Message) -> dict[str, object]:
    """Return a message as the object of one JSON line."""
    found: dict[str, object] = {
        "time": round(message.wall, 3),
        "from": "device" if message.from_device else "tester",
        "action": message.action,
        "text": message.text,
    }
    if message.violation is not None:
        found["violation"] = f"{message.violation.text} (at {message.violation.where})"
    return found
