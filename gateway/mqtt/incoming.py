"""Messages on their way from the broker to the gateway: none of QoS 1 is dropped, and none costs the link.

The broker bounds those of QoS 1 by itself (Receive Maximum), because each is acknowledged when it was processed. Those
of QoS 0 have no flow control: beyond `MAX_QOS_0` they are counted, and the newest are kept to be answered.

paho ends the link at a message whose properties it cannot read (U+FEFF in a user property), and the broker delivers
that message again on the next link. Here such a message is read without its properties.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode

from protocols.frozen import frozen
from protocols.ports import BusMessage

log = logging.getLogger("v2x.mqtt")

MAX_QOS_0 = 1000  # queued messages of QoS 0
MAX_REMEMBERED = 200  # dropped messages that are answered
LARGEST_REMEMBERED = 4096  # bytes


@frozen
class Delivery(BusMessage):
    """A received message with its packet identifier."""

    mid: int = 0


@runtime_checkable
class Overflowing(Protocol):
    """A bus that counts what it could not queue."""

    def take_dropped(self) -> tuple[int, list[BusMessage]]:
        """Return how many messages of QoS 0 were dropped since the last call, and the newest of them."""


class IncomingQueue:
    """Queue of one link."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._queue: asyncio.Queue[Delivery | None] = asyncio.Queue()
        self.last = now()  # when anything was received
        self._qos_0 = 0
        self._dropped = 0
        self._remembered: deque[BusMessage] = deque(maxlen=MAX_REMEMBERED)

    def attach(self, client: paho.Client) -> None:
        """Receive the messages of a client."""
        original = client._handle_publish

        def handle() -> MQTTErrorCode:
            try:
                return original()
            except Exception as error:
                log.warning("the properties of a message cannot be read and are ignored: %s", error)
                read = client._in_packet
                read["packet"] = _without_properties(read["command"], bytes(read["packet"]))
                return original()

        setattr(client, "_handle_publish", handle)  # noqa: B010 - a method of an instance
        client.on_message = self._receive

    def received(self) -> None:
        """Record that the broker has answered."""
        self.last = self._now()

    def end(self) -> None:
        """Let the reader end after the messages already queued."""
        self._queue.put_nowait(None)

    async def get(self) -> Delivery | None:
        """Return the next message, None after `end`."""
        one = await self._queue.get()
        if one is not None and one.qos == 0:
            self._qos_0 -= 1
        return one

    def take_dropped(self) -> tuple[int, list[BusMessage]]:
        """See `Overflowing`."""
        dropped, remembered = self._dropped, list(self._remembered)
        self._dropped = 0
        self._remembered.clear()
        return dropped, remembered

    def _receive(self, client: paho.Client, userdata: object, message: paho.MQTTMessage) -> None:
        self.last = self._now()
        try:
            one = _delivery(message, self.last)
        except UnicodeDecodeError:
            log.warning("a message to a topic that is not UTF-8 is ignored")
            self._dropped += 1
            if message.qos == 1:
                client.ack(message.mid, 1)
            return
        if one.qos == 0:
            if self._qos_0 >= MAX_QOS_0:
                self._dropped += 1
                if len(one.payload) <= LARGEST_REMEMBERED:
                    self._remembered.append(one)
                return
            self._qos_0 += 1
        self._queue.put_nowait(one)


def _delivery(one: paho.MQTTMessage, arrived: float) -> Delivery:
    properties = one.properties
    return Delivery(
        topic=one.topic,
        payload=bytes(one.payload),
        qos=one.qos,
        retain=one.retain,
        response_topic=getattr(properties, "ResponseTopic", None),
        correlation_data=getattr(properties, "CorrelationData", None),
        expiry_s=getattr(properties, "MessageExpiryInterval", None),
        user_properties=tuple(getattr(properties, "UserProperty", ())),
        redelivered=one.dup,
        arrived=arrived,
        mid=one.mid,
    )


def _without_properties(command: int, packet: bytes) -> bytearray:
    """Return the body of a PUBLISH of MQTT 5 with an empty list of properties."""
    head = 2 + int.from_bytes(packet[:2], "big") + (2 if command & 0x06 else 0)
    length, shift, at = 0, 0, head
    while True:
        length |= (packet[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if not packet[at - 1] & 0x80:
            break
    return bytearray(packet[:head] + b"\x00" + packet[at + length :])
