"""Detection of another gateway with the same `gateway_id`, before a link with that id is opened.

Two gateways with one id have one client id and one session at the broker: each would end the link of the other and
receive its commands. So the retained status is read over a link with an id of its own; where it is `online` and of
another run, it is sent again, not retained and with the member `probe`, which requests an answer of the gateway. The
status that a killed gateway left gets no answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets

from gateway.model.state import GatewayStatus
from protocols.ports import Bus, BusMessage

ANSWER_WITHIN_S = 2.0


class GatewayIdInUse(ConnectionError):
    """Another gateway with this `gateway_id` is connected to the broker."""


async def refuse_second(bus: Bus, topic: str, since: float) -> None:
    """Raise GatewayIdInUse where another gateway answers on the topic of this one's status. `since`: of this run."""
    received: asyncio.Queue[BusMessage] = asyncio.Queue()

    async def receive() -> None:
        with contextlib.suppress(ConnectionError):
            async for message in bus.messages():
                received.put_nowait(message)

    receiving = asyncio.get_running_loop().create_task(receive())
    try:
        await bus.subscribe(topic, qos=0)  # one of QoS 1 would have to be acknowledged before amqtt answers
        await bus.unsubscribe(f"{topic}/none")  # acknowledged after the retained message
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_WITHIN_S if not received.empty() else 0.05):
                await _await_answer(bus, await received.get(), received, since)
    finally:
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)


async def _await_answer(bus: Bus, retained: BusMessage, received: asyncio.Queue[BusMessage], since: float) -> None:
    """Request the status of the gateway that published a retained one; return where it is that of this run."""
    status = _status(retained.payload)
    if status is None or not _of_another_run(status, since):
        return
    probe = status.model_copy(update={"probe": secrets.token_hex(6)})
    await bus.publish(BusMessage(retained.topic, probe.model_dump_json().encode(), qos=1))
    while True:
        message = await received.get()
        if not is_probe(message.payload):
            answer = _status(message.payload)
            if answer is not None and _of_another_run(answer, since):
                raise GatewayIdInUse("another gateway with this gateway_id is connected to the broker")
            return  # the will of the former run


def is_probe(payload: bytes) -> bool:
    """Return whether a status requests that of the gateway with this id."""
    status = _status(payload) if b'"probe"' in payload else None
    return status is not None and status.probe is not None


def _status(payload: bytes) -> GatewayStatus | None:
    try:
        return GatewayStatus.model_validate_json(payload)
    except ValueError:
        return None


def _of_another_run(status: GatewayStatus, since: float) -> bool:
    """Return whether a status is `online` and not of this run."""
    return status.state == "online" and (status.since is None or abs(status.since - since) > 1e-3)
