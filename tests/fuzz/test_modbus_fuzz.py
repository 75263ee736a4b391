"""Registers and frames of a hostile or broken device: the client, the driver and the SunSpec walk bear them.

Bytes are random, or answers of an emulated device with changed bytes; the driver must go on, write no register that is
never written, and lose no order.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulators.runtime.clock import VirtualClock
from emulators.runtime.transports import Tamper, wire_pair
from gateway.drivers.modbus.engine import ModbusEngine
from gateway.drivers.modbus.session import WallboxSession
from protocols.modbus.io import Framing, ModbusClient, serve
from protocols.modbus.messages import Answer, NoAnswer, Read, Refused, Table, Words
from protocols.modbus.register_map import names, shipped
from protocols.ports import Wire
from tests.gateway.drivers.modbus.bench import WALLBOXES, wallbox_bench
from tests.rounds import rounds
from tests.virtual_time import virtual_examples


@settings(max_examples=rounds(60, 5000))
@given(st.sampled_from(Framing), st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=5))
@virtual_examples
async def test_any_bytes_are_an_answer_or_none(framing: Framing, chunks: list[bytes]) -> None:
    clock = VirtualClock()

    async def connect() -> Wire:
        near, far = wire_pair("gateway", "device")
        for chunk in chunks:
            await far.write(chunk)
        return near

    client = ModbusClient(connect, clock, framing)
    for _ in range(3):
        answer = await client.ask(Read(1, Table.HOLDING, 0, 4), 1.0)
        assert isinstance(answer, NoAnswer | Refused) or (isinstance(answer, Words) and len(answer.words) == 4)
    await client.close()


@settings(max_examples=rounds(40, 5000))
@given(st.sampled_from(Framing), st.binary(max_size=600))
@virtual_examples
async def test_a_server_bears_any_request(framing: Framing, data: bytes) -> None:
    async def handle(request: object) -> Answer:
        return Words((0,) * request.count) if isinstance(request, Read) else Words()

    near, far = wire_pair("attacker", "device")
    serving = asyncio.get_running_loop().create_task(serve(far, handle, framing))
    await near.write(data or b"\0")
    await near.close()
    await serving


@settings(max_examples=rounds(60, 5000))
@given(st.sampled_from(names()), st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=40), st.integers(1, 400))
def test_registers_of_any_value_are_read(name: str, words: list[int], requests: int) -> None:
    """Of a SunSpec product the words are the chain as well."""
    product = shipped(name)
    engine, session, now = ModbusEngine(product), WallboxSession("BAY", product), 0.0
    marked = (0x5375, 0x6E53)
    for number in range(requests):
        now = max(now + 0.01, engine.deadline(now))
        request = engine.request(now)
        if request is None:
            continue
        count = request.count if isinstance(request, Read) else 0
        read = tuple(words[(number + n) % len(words)] for n in range(count))
        answer = Words(marked if number == 0 and product.sunspec else read)
        for event in engine.receive(answer, now):
            found = getattr(event, "values", None)
            if found is not None:
                session.read(found, now, now)


def noise(seed: int, share: float, flipped: set[str]) -> Tamper[bytes]:
    """Return a line that loses and delays frames, and flips bits of those of some senders."""
    rng = random.Random(seed)

    def tamper(by: str, data: bytes) -> Iterable[tuple[float, bytes]]:
        if by in flipped and rng.random() < share:
            at = rng.randrange(len(data))
            data = data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]
        return [(rng.random() * 0.5, data)] if rng.random() > share / 4 else []

    return tamper


@pytest.mark.virtual_time
@pytest.mark.parametrize("framing", list(Framing))
@pytest.mark.parametrize("name", WALLBOXES)
async def test_a_noisy_line_costs_orders_and_never_a_rule(name: str, framing: Framing) -> None:
    """Over RTU the checksum finds every flipped bit; Modbus TCP has none, so there only answers are flipped."""
    async with wallbox_bench(name, framing) as (bench, plant):
        bench.cable.link.tamper = noise(1, 0.2, {"device", "gateway"} if framing is Framing.RTU else {"device"})
        for number in range(rounds(30, 300)):
            async with asyncio.timeout(300):
                await bench.driver.order((-3000.0, 2000.0, 0.0)[number % 3], 15.0)
            await bench.clock.sleep(2)
        assert bench.device.violations == []
        bench.cable.link.tamper = None
        await bench.clock.sleep(60)
        plant.advance(bench.clock.now())
        assert plant.stage.reading(bench.clock.now()).ac_power_w == 0
        assert bench.rounds[-1].at > bench.clock.now() - 15
