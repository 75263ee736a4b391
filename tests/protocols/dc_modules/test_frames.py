"""Frames of DC modules: identifiers and data byte for byte, as computed from the manufacturers' layouts."""

from __future__ import annotations

import pytest

from protocols.can import CanFrame
from protocols.dc_modules.controller import Alarm, Controller, Mode, Order, Rating
from protocols.dc_modules.infypower import (
    READ,
    WRITE,
    BegController,
    Command,
    Device,
    Item,
    V113Controller,
    item_frame,
    parts,
)
from protocols.dc_modules.infypower import identifier as infy_id
from protocols.dc_modules.winline import ALL, GROUP, SET, Register, WinlineController, answer, request
from protocols.dc_modules.winline import READ as WREAD
from protocols.dc_modules.winline import identifier as winline_id


def frame(text: str) -> CanFrame:
    can_id, _, data = text.partition(" # ")
    return CanFrame(int(can_id, 16), bytes.fromhex(data), True)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (item_frame(READ, Item.VOLTAGE), "02A33FF0 # 10 01 00 00 00 00 00 00"),
        (item_frame(READ, Item.POWER, device=Device.GROUP), "02E300F0 # 11 10 00 00 00 00 00 00"),
        (item_frame(WRITE, Item.VOLTAGE, 400_000), "02A43FF0 # 10 01 00 00 00 06 1A 80"),
        (item_frame(WRITE, Item.CURRENT, 25_000), "02A43FF0 # 10 02 00 00 00 00 61 A8"),
        (item_frame(WRITE, Item.POWER_FACTOR, 1000, device=Device.GROUP), "02E400F0 # 21 05 00 00 00 00 03 E8"),
        (item_frame(WRITE, Item.POWER_FACTOR, -900, device=Device.GROUP), "02E400F0 # 21 05 00 00 FF FF FC 7C"),
        (CanFrame(winline_id(0), request(WREAD, Register.VOLTAGE), True), "06080780 # 10 00 00 01 00 00 00 00"),
        (CanFrame(winline_id(1), request(SET, Register.SET_VOLTAGE, 400.0), True),
         "06080F80 # 03 00 00 21 43 C8 00 00"),
        (CanFrame(winline_id(0), request(SET, Register.SET_CURRENT, 25600), True),
         "06080780 # 03 00 00 1B 00 00 64 00"),
        (CanFrame(winline_id(ALL, single=False), request(SET, Register.POWER, 0x10000), True),
         "0607FF80 # 03 00 00 30 00 01 00 00"),
        (CanFrame(winline_id(0xF0, 0), answer(Register.VOLTAGE, 399.5), True), "060F8000 # 41 F0 00 01 43 C7 C0 00"),
    ],
)  # fmt: skip
def test_a_frame(made: CanFrame, expected: str) -> None:
    assert made == frame(expected)


def test_identifiers() -> None:
    assert infy_id(Device.MODULE, Command.OUTPUT, 0) == 0x028300F0
    assert infy_id(Device.GROUP, Command.OUTPUT, 1) == 0x02C301F0
    assert infy_id(Device.GROUP, Command.POWER, 1) == 0x02DA01F0
    assert parts(0x0EA4F000) == (Device.MODULE, WRITE, 0xF0, 0, 3)
    assert winline_id(GROUP, single=False, group=1) == 0x0607F781
    assert winline_id(0xF0, 1) == 0x060F8008


def sent(controller: Controller, until: float) -> list[CanFrame]:
    frames: list[CanFrame] = []
    while controller.deadline() <= until:
        controller.expire(controller.deadline())
        frames += controller.frames_to_send()
    return frames


def test_beg_answers() -> None:
    beg = BegController(0.0)
    beg.receive(frame("02A3F000 # 10 01 00 00 00 06 1C 74"), 0.1)
    beg.receive(frame("02A3F000 # 10 02 00 00 00 00 62 D4"), 0.1)
    beg.receive(frame("02A3F000 # 11 10 00 00 00 80 41 00"), 0.1)
    module = beg.modules[0]
    assert (module.voltage_v, module.current_a, module.off, module.alarms) == (400.5, 25.3, True, frozenset())
    for item, value in (
        (Item.MAX_VOLTAGE, 1000),
        (Item.MIN_VOLTAGE, 200),
        (Item.MAX_CURRENT, 73.3),
        (Item.RATED_POWER, 22000),
    ):
        data = int(item).to_bytes(2) + bytes(2) + round(value * 1000).to_bytes(4)
        beg.receive(CanFrame(0x02A3F000, data, True), 0.1)
    assert module.rating == Rating(1000.0, 200.0, 73.3, 22_000.0)


@pytest.mark.parametrize(
    "bad",
    ["02A3F000 # 10 01 00 00", "0AA4F000 # 10 01 00 00 00 00 00 00", "0EA4F000 # 10 02 00 00 00 00 00 00",
     "1EA4F000 # 11 10 00 00 00 00 00 A0"],
)  # fmt: skip
def test_half_frames_and_error_answers_are_no_answers(bad: str) -> None:
    beg = BegController(0.0)
    assert beg.receive(frame(bad), 0.1) == []
    assert beg.invalid == 1
    assert beg.modules[0].seen_at < 0


def test_v113_answers_and_set_point() -> None:
    infy = V113Controller(0.0)
    infy.receive(frame("0283F000 # 43 C8 00 00 41 C8 00 00"), 0.1)
    infy.receive(frame("028AF000 # 03 E8 00 C8 02 DD 08 98"), 0.1)
    infy.receive(frame("0284F000 # 00 00 00 00 1B 80 43 00"), 0.1)
    module = infy.modules[0]
    assert (module.voltage_v, module.current_a, module.off) == (400.0, 25.0, True)
    assert module.rating == Rating(1000.0, 200.0, 73.3, 22_000.0)
    assert module.alarms == {Alarm.FAULT}
    infy.command(Order(Mode.CHARGE, 400.0, 50.0), 0.2)
    assert frame("029C00F0 # 00 06 1A 80 00 00 C3 50") in sent(infy, 0.6)
    assert frame("029A00F0 # 00 00 00 00 00 00 00 00") in sent(infy, 1.2)


def test_v113_refuses_impossible_values() -> None:
    infy = V113Controller(0.0)
    infy.receive(frame("0283F000 # FF FF FF FF FF FF FF FF"), 0.1)
    assert infy.invalid == 1


def test_winline_answers() -> None:
    winline = WinlineController(0.0, (0, 1))
    winline.receive(frame("060F8000 # 41 F0 00 01 43 C7 C0 00"), 0.1)
    winline.receive(frame("060F8000 # 41 F0 00 02 41 C7 33 33"), 0.1)
    winline.receive(frame("060F8000 # 42 F0 00 40 00 40 00 00"), 0.1)
    winline.receive(frame("060F8008 # 42 F0 00 40 40 00 00 01"), 0.1)
    winline.receive(frame("060F8000 # 41 F2 00 01 00 00 00 00"), 0.1)  # refused
    first, second = winline.modules.values()
    assert (first.voltage_v, round(first.current_a or 0, 1), first.off) == (399.5, 24.9, True)
    assert second.alarms == {Alarm.FAULT, Alarm.OVER_TEMPERATURE}
    assert winline.invalid == 1


def test_modules_in_parallel_share_the_current() -> None:
    winline = WinlineController(0.0, (0, 1))
    for source in (0, 1):
        winline.receive(CanFrame(winline_id(0xF0, source), answer(Register.VOLTAGE, 400.0), True), 0.1)
    winline.command(Order(Mode.CHARGE, 420.0, 50.0), 0.2)
    frames = sent(winline, 2.0)
    assert CanFrame(winline_id(0), request(SET, Register.SET_CURRENT, 25 * 1024), True) in frames
    assert CanFrame(winline_id(1), request(SET, Register.SET_CURRENT, 25 * 1024), True) in frames


def test_a_change_of_direction_goes_through_off() -> None:
    beg = BegController(0.0)
    beg.command(Order(Mode.CHARGE, 400.0, 10.0), 0.0)
    sent(beg, 1.0)
    beg.receive(frame("02A3F000 # 10 02 00 00 00 00 00 00"), 1.0)  # no current
    beg.command(Order(Mode.DISCHARGE, 300.0, 10.0), 1.0)
    beg.receive(frame("02A3F000 # 10 02 00 00 00 00 00 00"), 1.1)
    frames = [one.data for one in sent(beg, 2.5) if parts(one.can_id)[1] == WRITE]
    off, on = frame("0 # 11 10 00 00 00 00 00 A1").data, frame("0 # 11 10 00 00 00 00 00 A0").data
    inverter = frame("0 # 21 10 00 00 00 00 00 A1").data
    assert frames.index(off) < frames.index(inverter) < len(frames) - 1 - frames[::-1].index(on)


def test_an_order_that_is_not_repeated_switches_off() -> None:
    beg = BegController(0.0)
    beg.command(Order(Mode.CHARGE, 400.0, 10.0), 0.0)
    sent(beg, 1.9)
    late = [one.data for one in sent(beg, 8.0)]
    assert late[-1] != frame("0 # 11 10 00 00 00 00 00 A0").data
    assert frame("0 # 11 10 00 00 00 00 00 A1").data in late[-12:]
    assert frame("0 # 11 10 00 00 00 00 00 A0").data not in late[-12:]
