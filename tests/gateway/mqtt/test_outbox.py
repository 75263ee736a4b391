"""Results at the ends of links: none is lost, and none that the broker has is sent again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from emulators.runtime.clock import VirtualClock
from emulators.runtime.memory_broker import MemoryBroker
from gateway.model.journal import Phase
from gateway.mqtt.outbox import MAX_IN_FLIGHT, Outbox, PendingResult
from gateway.mqtt.quarantine import Quarantine
from protocols.ports import BusMessage

pytestmark = pytest.mark.virtual_time

LATENCY_S = 1.0


def result(number: int) -> PendingResult:
    return PendingResult((BusMessage("result", str(number).encode(), qos=1),), str(number), Phase.FINAL)


def outbox_with(delivered: Callable[[str, Phase], None]) -> Outbox:
    return Outbox(delivered, Quarantine("root", VirtualClock(), lambda message, why: None))


async def test_results_in_flight_when_a_link_breaks_are_sent_over_the_next() -> None:
    broker, delivered = MemoryBroker(), list[str]()
    broker.latency_s = LATENCY_S
    came: list[str] = []
    broker.on_published = lambda client, message: came.append(message.payload.decode())
    outbox = outbox_with(lambda command, phase: delivered.append(command))
    numbers = [str(number) for number in range(2 * MAX_IN_FLIGHT + 50)]
    for number in numbers[:MAX_IN_FLIGHT]:
        outbox.put(result(int(number)))
    async with broker.client("gateway") as bus:
        running = asyncio.create_task(outbox.run(bus))
        await asyncio.sleep(LATENCY_S / 2)
        for number in numbers[MAX_IN_FLIGHT:]:
            outbox.put(result(int(number)))
        await asyncio.sleep(LATENCY_S)
        assert delivered == came
        assert sorted(came, key=int) == numbers[:MAX_IN_FLIGHT]  # the next ones waited for these
        broker.cut("gateway")
        [failed] = await asyncio.gather(running, return_exceptions=True)
        assert isinstance(failed, ExceptionGroup)
        assert failed.subgroup(ConnectionError) is not None
    assert len(outbox) == len(numbers) - MAX_IN_FLIGHT
    async with broker.client("gateway") as bus, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(outbox.run(bus))
        await asyncio.sleep(2.5 * LATENCY_S)  # they are sent in two groups
        running.cancel()
    assert not len(outbox)
    assert delivered == came
    assert sorted(came, key=int) == numbers


async def test_a_result_can_be_put_in_while_a_defect_ends_the_link() -> None:
    broker = MemoryBroker()
    outbox = outbox_with(lambda command, phase: 1 // 0)  # type: ignore[arg-type]
    async with broker.client("gateway") as bus:
        running = asyncio.create_task(outbox.run(bus))
        count = 0
        while not running.done():
            outbox.put(result(count))
            count += 1
            await asyncio.sleep(0)
        assert isinstance(running.exception(), ExceptionGroup)
    assert 0 < len(outbox) < count  # what came since waits for the next link
