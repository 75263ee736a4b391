"""Quarantine of messages that cannot be delivered: each costs at most the links that it ended itself, never the next.

A message whose topic brokers refuse is not sent. One that was in flight when a link ended is a suspect: on the next
link messages are sent one at a time until the suspects are acknowledged, so that a second loss names its cause. A
message that was alone in flight when the broker ended the link with the reason code of a bad message, or at a second
loss, is set aside and reported.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import TypeAlias

from gateway.model.topic_name import topic_fault
from protocols.ports import Bus, BusMessage, Clock

MAX_PAYLOAD = 8 << 20  # bytes of one message
ONE_BY_ONE_S = 60.0  # after a lost link: longer than an attempt to open the next one
RETRY_S = 600.0  # a state of this gateway that was set aside is tried again after this time
MAX_ASIDE = 1000

Key: TypeAlias = tuple[str, bytes]
Report: TypeAlias = Callable[[BusMessage, str], None]


class Quarantine:
    """Sends messages and sets aside those that end the link; `report` gets each of them with the reason."""

    def __init__(self, root: str, clock: Clock, report: Report) -> None:
        self._own = (f"{root}/evse/", f"{root}/site/", f"{root}/gateway/")
        self._clock = clock
        self._report = report
        self._in_flight: Counter[Key] = Counter()
        self._messages: dict[Key, BusMessage] = {}  # those in flight
        self._suspects: set[Key] = set()
        self._suspected_until = 0.0
        self._aside: OrderedDict[Key, float] = OrderedDict()  # until when, in monotonic time
        self._one = asyncio.Lock()
        self._broken = False  # a message of this link has failed

    async def publish(self, bus: Bus, message: BusMessage) -> None:
        """Publish a message, or set it aside; ConnectionError where the link has ended."""
        key = self._key(message)
        if self._clock.now() < self._aside.get(key, 0.0):
            self._report(message, "an earlier message like it ended the link to the broker")
            return
        fault = topic_fault(message.topic)
        if fault is None and len(message.payload) > MAX_PAYLOAD:
            fault = f"it has {len(message.payload)} bytes, and {MAX_PAYLOAD} are allowed"
        if fault is not None:
            self._report(message, fault)
            return
        if message.qos == 0:
            await bus.publish(message)
        elif self._one_by_one():
            async with self._one:
                if self._broken:
                    raise ConnectionError("the link to the broker has ended")
                await self._send(bus, key, message)
        else:
            await self._send(bus, key, message)

    def link_lost(self, *, by_message: bool) -> None:
        """Judge the messages that were in flight; `by_message`: the broker, or a defect, has named one as the cause."""
        lost, self._in_flight = set(self._in_flight), Counter()
        messages, self._messages = self._messages, {}
        self._one, self._broken = asyncio.Lock(), False
        self._suspected_until = self._clock.now() + ONE_BY_ONE_S
        if len(lost) == 1 and (by_message or lost <= self._suspects):
            [key] = lost
            self._suspects.discard(key)
            self._aside[key] = self._clock.now() + RETRY_S if messages[key].retain else math.inf
            while len(self._aside) > MAX_ASIDE:
                self._aside.popitem(last=False)
            self._report(messages[key], "it was in flight alone when the link to the broker ended")
        else:
            self._suspects |= lost

    async def _send(self, bus: Bus, key: Key, message: BusMessage) -> None:
        self._in_flight[key] += 1
        self._messages[key] = message
        try:
            await bus.publish(message)
        except BaseException:  # it stays in flight, for `link_lost`
            self._broken = True
            raise
        self._in_flight[key] -= 1
        if not self._in_flight[key]:
            del self._in_flight[key]
            self._messages.pop(key, None)
        self._suspects.discard(key)

    def _one_by_one(self) -> bool:
        if self._suspects and self._clock.now() > self._suspected_until:
            self._suspects.clear()
        return bool(self._suspects)

    def _key(self, message: BusMessage) -> Key:
        """Return what a message has in common with the next one that would end the link as well.

        Results and events of this gateway differ in their payload, reply topics and retained states in their topic.
        """
        own = not message.retain and message.topic.startswith(self._own)
        return message.topic, hashlib.sha256(message.payload).digest() if own else b""
