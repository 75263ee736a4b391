"""Messages on their way to the broker, and the wait for the acknowledgement.

Each message waits for its own acknowledgement, and one timer per link limits all waits: aiomqtt makes a timer, a lock
and a task switch more for each message.
"""

from __future__ import annotations

import asyncio

import paho.mqtt.client as paho

from gateway.mqtt.incoming import IncomingQueue
from gateway.mqtt.properties import properties_of
from protocols.ports import BusMessage

ANSWER_WITHIN_S = 5.0  # of a broker that sends nothing meanwhile
BUSY_WITHIN_S = 60.0  # of one that does


def answer_due(began: float, last: float) -> float:
    """Return when the broker must have answered; one that sends other messages, such as a flood, has more time.

    `began`: of the wait; `last`: when anything was received.
    """
    return max(began + ANSWER_WITHIN_S, min(began + BUSY_WITHIN_S, last + ANSWER_WITHIN_S))


class OutgoingMessages:
    """Messages of one link that the broker has not acknowledged."""

    def __init__(self, incoming: IncomingQueue, where: str) -> None:
        self._incoming, self._where = incoming, where
        self._waiting: dict[int, tuple[float, asyncio.Future[None]]] = {}  # by packet identifier: since when; in order
        self._timer: asyncio.TimerHandle | None = None

    def attach(self, client: paho.Client) -> None:
        """Receive the acknowledgements of a client."""
        client.on_publish = self._acknowledged

    async def publish(self, client: paho.Client, message: BusMessage, *, five: bool) -> None:
        """Return when the broker has acknowledged a message; ValueError for one that MQTT cannot carry."""
        properties = None
        if five:
            properties = properties_of(
                message.correlation_data, message.response_topic, message.expiry_s, message.user_properties
            )
        info = client.publish(message.topic, message.payload, message.qos, message.retain, properties)
        if info.rc != paho.MQTT_ERR_SUCCESS:
            raise ConnectionError(f"{self._where}: {paho.error_string(info.rc)}")
        if info.is_published():
            return
        loop = asyncio.get_running_loop()
        acknowledged: asyncio.Future[None] = loop.create_future()
        self._waiting[info.mid] = loop.time(), acknowledged
        if self._timer is None:
            self._timer = loop.call_later(ANSWER_WITHIN_S, self._check)
        try:
            await acknowledged
        finally:
            self._waiting.pop(info.mid, None)

    def _acknowledged(self, client: object, userdata: object, mid: int, code: object, properties: object) -> None:
        self._incoming.received()
        waiting = self._waiting.pop(mid, None)
        if waiting is not None and not waiting[1].done():
            waiting[1].set_result(None)

    def _check(self) -> None:
        """Fail the messages that the broker has not acknowledged in time."""
        loop, self._timer = asyncio.get_running_loop(), None
        for mid, (began, acknowledged) in list(self._waiting.items()):
            due = answer_due(began, self._incoming.last)
            if due > loop.time():
                self._timer = loop.call_at(due, self._check)
                return
            del self._waiting[mid]
            if not acknowledged.done():
                text = f"{self._where}: no answer within {ANSWER_WITHIN_S:.0f} s"
                acknowledged.set_exception(ConnectionError(text))


def write_soon(
    when_writable: paho.CallbackOnSocket | None, client: paho.Client, userdata: object, opened: paho.SocketLike
) -> None:
    """Write what waits in the next turn of the event loop; what the socket does not take then, `when_writable`.

    To wait for the socket in any case, as aiomqtt does, takes three turns and four system calls for each group of
    messages.
    """

    def write() -> None:
        client.loop_write()
        if when_writable is not None and client.want_write() and client.socket() is opened:
            when_writable(client, userdata, opened)

    asyncio.get_running_loop().call_soon(write)
