"""The connection: both framings, foreign ends, and what a bad line does to frames."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from pymodbus import FramerType
from pymodbus.client import AsyncModbusTcpClient

from emulators.runtime.clock import RealClock, VirtualClock
from emulators.runtime.transports import Link, Tamper, split, wire_pair
from protocols.modbus.io import Framing, ModbusClient, listen, serve, tcp_client
from protocols.modbus.messages import Answer, NoAnswer, Read, Refused, Request, Table, Words, Write
from protocols.ports import Wire

HOLDING = Read(1, Table.HOLDING, 100, 3)


async def device(request: Request) -> Answer:
    """Answer with the addresses; beyond 1000 is nothing."""
    if request.address >= 1000:
        return Refused(2)
    if isinstance(request, Read):
        return Words(tuple(range(request.address, request.address + request.count)))
    return Words()


async def ask(*requests: Request, framing: Framing, tamper: Tamper[bytes] | None = None) -> list[Answer]:
    clock, link = VirtualClock(), Link(tamper=tamper)
    serving: list[asyncio.Task[None]] = []

    async def connect() -> Wire:
        near, far = wire_pair("gateway", "device", link=link)
        serving.append(asyncio.get_running_loop().create_task(serve(far, device, framing)))
        return near

    client = ModbusClient(connect, clock, framing)
    answers = [await client.ask(request, 3.0) for request in requests]
    await client.close()
    for task in serving:
        task.cancel()
    return answers


@pytest.mark.virtual_time
@pytest.mark.parametrize("framing", list(Framing))
@pytest.mark.parametrize("chunk", [1, 5, 400])
async def test_requests_and_answers(framing: Framing, chunk: int) -> None:
    requests: list[Request] = [
        HOLDING, Read(1, Table.INPUT, 5, 125), Write(1, 7, (9,), single=True), Write(1, 7, (1, 2, 3)),
        Read(1, Table.HOLDING, 2000, 1),
    ]  # fmt: skip
    answers = await ask(*requests, framing=framing, tamper=split(chunk))
    assert answers == [Words((100, 101, 102)), Words(tuple(range(5, 130))), Words(), Words(), Refused(2)]


def tampered(change: dict[int, int], once: list[bool], sender: str = "device") -> Tamper[bytes]:
    """Return a tampering that changes bytes of the first answer."""

    def tamper(by: str, data: bytes) -> Iterable[tuple[float, bytes]]:
        if by == sender and not once:
            once.append(True)
            data = bytes(value ^ change.get(at, 0) for at, value in enumerate(data))
        return [(0.0, data)]

    return tamper


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("framing", "change", "reason"),
    [
        (Framing.RTU, {4: 0xFF}, "checksum"),
        (Framing.RTU, {0: 0x02}, "checksum"),
        (Framing.TCP, {6: 0x02}, "an answer of unit 3 instead of 1"),
        (Framing.TCP, {7: 0x07}, "instead of 3"),
        (Framing.TCP, {0: 0x55}, "no answer within 3 s"),  # to another request
        (Framing.TCP, {2: 0x55}, "no complete answer within 3 s"),  # not Modbus
        (Framing.TCP, {8: 0x02}, "registers instead of 3"),
    ],
)
async def test_a_broken_answer_is_none_and_the_next_one_counts(
    framing: Framing, change: dict[int, int], reason: str
) -> None:
    first, second = await ask(HOLDING, HOLDING, framing=framing, tamper=tampered(change, []))
    assert isinstance(first, NoAnswer)
    assert reason in first.reason
    assert second == Words((100, 101, 102))


@pytest.mark.virtual_time
@pytest.mark.parametrize("framing", list(Framing))
async def test_a_truncated_frame(framing: Framing) -> None:
    cut: list[bool] = []

    def tamper(by: str, data: bytes) -> Iterable[tuple[float, bytes]]:
        half = by == "device" and not cut
        if half:
            cut.append(True)
        return [(0.0, data[: len(data) // 2] if half else data)]

    first, second = await ask(HOLDING, HOLDING, framing=framing, tamper=tamper)
    assert isinstance(first, NoAnswer)
    assert second == Words((100, 101, 102))


@pytest.mark.virtual_time
async def test_a_late_answer_is_not_taken_for_the_next_one() -> None:
    late: list[bool] = []

    def tamper(by: str, data: bytes) -> Iterable[tuple[float, bytes]]:
        delay = 4.0 if by == "device" and not late else 0.0
        if by == "device":
            late.append(True)
        return [(delay, data)]

    first, second = await ask(HOLDING, Read(1, Table.HOLDING, 200, 3), framing=Framing.TCP, tamper=tamper)
    assert first == NoAnswer("no answer within 3 s")
    assert second == Words((200, 201, 202))


async def test_a_foreign_client_reads_our_device_and_sockets_work() -> None:
    for framing, framer in ((Framing.TCP, FramerType.SOCKET), (Framing.RTU, FramerType.RTU)):
        listener = await listen(device, "127.0.0.1", 0, framing)
        foreign = AsyncModbusTcpClient("127.0.0.1", port=listener.port, framer=framer)
        assert await foreign.connect()
        read = await foreign.read_holding_registers(100, count=3, device_id=1)
        assert list(read.registers) == [100, 101, 102]
        assert (await foreign.read_input_registers(2000, count=1, device_id=1)).isError()
        assert not (await foreign.write_registers(7, [1, 2], device_id=1)).isError()
        assert (await foreign.read_coils(1, count=1, device_id=1)).isError()
        foreign.close()
        ours = tcp_client("127.0.0.1", listener.port, RealClock(), framing)
        assert await ours.ask(HOLDING, 3.0) == Words((100, 101, 102))
        await ours.close()
        await listener.close()


async def test_a_device_that_does_not_listen() -> None:
    answer = await tcp_client("127.0.0.1", 1, RealClock()).ask(HOLDING, 3.0)
    assert isinstance(answer, NoAnswer)
    assert answer.closed
