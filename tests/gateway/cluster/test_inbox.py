"""Messages of other instances at one: their order, requests among them, and a handler that fails."""

from __future__ import annotations

import asyncio

import pytest

from gateway.cluster import inbox, messages
from gateway.cluster.inbox import MESSAGES_PER_TURN, Inbox
from gateway.cluster.messages import Barrier, Beat, Done, Failed, Message, Up

MANY = 3 * MESSAGES_PER_TURN + 1


def up(number: int) -> bytes:
    return messages.encode(Up("s", "gw1", "CP1", number, "text"))


class Instance:
    """Notes what it processes and what it answers; a message of station BAD fails."""

    def __init__(self) -> None:
        self.done: list[int | tuple[str, Message | None]] = []
        self.failed: list[str] = []
        self.inbox = Inbox("gw2", self.handle, self.respond, self.failed.append)

    def handle(self, message: Message) -> Message | None:
        if isinstance(message, Up):
            if message.station == "BAD":
                raise ValueError("bad")
            self.done.append(message.epoch)
        return Done(message.site) if isinstance(message, Barrier) else None

    async def respond(self, subject: str, answer: bytes) -> None:
        self.done.append((subject, messages.decode(answer)))


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_a_request_is_answered_after_the_messages_before_it_and_before_those_after_it() -> None:
    one = Instance()
    one.inbox.put(messages.pack([up(number) for number in range(MANY)]), "")
    one.inbox.put(messages.encode(Barrier("s", 1)), "reply")
    assert one.done == list(range(MESSAGES_PER_TURN))  # the others have their turn later
    await turns(MANY)
    assert one.done == [*range(MANY), ("reply", Done("s"))]


async def test_messages_are_processed_where_they_are_read_until_a_turn_has_had_enough() -> None:
    one = Instance()
    for number in range(MESSAGES_PER_TURN):
        one.inbox.put(up(number), "")
        assert one.done[-1] == number
    one.inbox.put(up(MESSAGES_PER_TURN), "")
    assert len(one.done) == MESSAGES_PER_TURN
    await turns(2)
    assert len(one.done) == MESSAGES_PER_TURN + 1


async def test_a_handler_that_fails_ends_nothing() -> None:
    one = Instance()
    one.inbox.put(messages.encode(Up("s", "gw1", "BAD", 1, "text")), "")
    one.inbox.put(messages.encode(Beat("s", "gw1", "gw1/1", 1.0, 0, 0)), "")
    one.inbox.put(up(2), "")
    assert (one.done, one.failed) == ([2], ["bad"])


async def test_a_request_that_is_not_known_is_refused() -> None:
    one = Instance()
    one.inbox.put(b"\xc1", "reply")
    await turns(3)
    assert one.done == [("reply", Failed("", "instance gw2 does not know this request; its version differs"))]


async def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MAX_WAITING", 10)
    one = Instance()
    for number in range(10 * MANY):
        one.inbox.put(up(number), "")
    one.inbox.put(messages.encode(Barrier("s", 1)), "reply")
    await turns(10 * MANY)
    assert one.done == list(range(MESSAGES_PER_TURN + 10))
    assert set(one.failed) == {"messages of other instances are dropped, since 10 wait"}
    one.inbox.put(up(1), "")
    assert one.done[-1] == 1
