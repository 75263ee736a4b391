"""python-can: a controller and an emulated module on one bus, in real time."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress

import pytest

from emulators.boards.can_benches import SPEC
from emulators.charger.hardware.dc_modules import EmulatedBeg
from emulators.charger.hardware.dc_output import DcOutput
from emulators.charger.hardware.power_stage import PowerStage
from gateway.clock import SystemClock
from gateway.drivers.board import registry
from gateway.drivers.board.ports import BoardEvent, FaultRaised
from protocols.can import CanFrame
from protocols.dc_modules.io import open_bus

NUMBERS = itertools.count()


@pytest.mark.parametrize("channel", ["memory:dc-driver", "udp:239.74.163.77"])
async def test_a_driver_measures_over_python_can(channel: str) -> None:
    clock = SystemClock()
    module = EmulatedBeg(DcOutput(PowerStage(SPEC), clock.now()))
    bus = open_bus(channel)
    board = registry.driver("infypower-beg").build({"channel": channel}, clock)
    events: list[BoardEvent] = []
    tasks = [asyncio.create_task(module.run(bus, clock)), asyncio.create_task(board.run(events.append))]
    assert board.power is not None
    try:
        for _ in range(200):
            if board.power.output is not None and board.power.capability is not None:
                break
            await asyncio.sleep(0.05)
        assert board.power.output is not None
        assert board.power.capability is not None
        assert board.power.capability.charge.max_current_a == 73.3
        assert board.power.capability.discharge is not None
        assert events == []
    finally:
        for task in reversed(tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await bus.close()


async def test_frames_pass_in_both_directions() -> None:
    channel = f"memory:dc-{next(NUMBERS)}"
    one, other = open_bus(channel), open_bus(channel)
    try:
        for sender, receiver, frame in (
            (one, other, CanFrame(0x02A33FF0, bytes(8), True)),
            (other, one, CanFrame(0x102, b"\x01\x02", False)),
        ):
            await sender.send(frame)
            async with asyncio.timeout(5):
                assert await receiver.receive() == frame
    finally:
        await one.close()
        await other.close()
        await other.close()


async def test_an_interface_that_does_not_exist_is_a_fault_of_the_link() -> None:
    with pytest.raises(ConnectionError, match="no-such-can"):
        open_bus("no-such-can")
    events: list[BoardEvent] = []
    board = registry.driver("winline").build({"channel": "no-such-can"}, SystemClock())
    task = asyncio.create_task(board.run(events.append))
    await asyncio.sleep(0.2)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert [type(event) for event in events] == [FaultRaised]


async def test_a_group_has_its_own_frames_only_and_no_echo() -> None:
    try:
        first, second, other = (open_bus(f"udp:239.74.163.{last}") for last in (91, 91, 92))
    except ConnectionError as error:
        pytest.skip(str(error))
    sent = [CanFrame(0x100 + number, bytes(8)) for number in range(5)]
    for frame in sent:
        await other.send(CanFrame(0x7FF, b""))
        await first.send(frame)
    async with asyncio.timeout(5):
        assert [await second.receive() for _ in sent] == sent
    await second.send(sent[0])
    async with asyncio.timeout(5):
        assert await first.receive() == sent[0], "the answer, and none of its own frames"
    for bus in (first, second, other):
        await bus.close()
    with pytest.raises(ConnectionError, match="closed"):
        await first.receive()
