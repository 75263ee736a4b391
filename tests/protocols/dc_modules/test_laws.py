"""Laws of the controllers of DC modules under random frames, orders and times."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.can import CanFrame
from protocols.dc_modules.controller import HOLD_S, OFF, Controller, Mode, Order
from protocols.dc_modules.infypower import ON, WRITE, BegController, Command, Item, V113Controller, parts
from protocols.dc_modules.winline import AMPERE, SET, Register, WinlineController
from tests.rounds import rounds

MAKES = [BegController, V113Controller, WinlineController]
REPLY_IDS = [0x02A3F000, 0x02A4F000, 0x0AA4F000, 0x0283F000, 0x0284F000, 0x028AF000, 0x060F8000, 0x060F8008]
frames = st.builds(
    CanFrame,
    st.one_of(st.sampled_from(REPLY_IDS), st.integers(0, (1 << 29) - 1)),
    st.one_of(
        st.binary(max_size=8),
        st.builds(lambda item, rest: struct.pack(">Hxx", item) + rest, st.sampled_from(list(Item)),
                  st.binary(max_size=4)),
        st.builds(lambda a, r, v: bytes([a, 0xF0]) + r.to_bytes(2) + v, st.sampled_from([0x41, 0x42]),
                  st.sampled_from(list(Register)), st.binary(min_size=4, max_size=4)),
    ),
    st.booleans(),
)  # fmt: skip
orders = st.one_of(
    st.just(OFF),
    st.builds(Order, st.sampled_from([Mode.CHARGE, Mode.DISCHARGE]), st.floats(0, 1000), st.floats(0, 200)),
)
steps = st.lists(st.one_of(frames, orders, st.floats(0.0, 3.0)), max_size=60)


def switched_on(frame: CanFrame) -> bool:
    """Return True for a frame that switches a module on."""
    _, command, _, _, _ = parts(frame.can_id)
    if frame.can_id >> 20 == 0x60:
        return frame.data[:4] == bytes([SET, 0, 0, Register.POWER]) and frame.data[4:] == bytes(4)
    if command == WRITE:
        return frame.data[:2] == int(Item.POWER).to_bytes(2) and frame.data[7] == ON
    return command == Command.POWER and frame.data[0] == 0


def set_current(frame: CanFrame) -> float | None:
    """Return the current that a frame sets, A."""
    _, command, _, _, _ = parts(frame.can_id)
    if frame.can_id >> 20 == 0x60:
        found = frame.data[:4] == bytes([SET, 0, 0, Register.SET_CURRENT])
        return int.from_bytes(frame.data[4:]) / AMPERE if found else None
    if command == WRITE:
        return int.from_bytes(frame.data[4:]) / 1000 if frame.data[:2] == int(Item.CURRENT).to_bytes(2) else None
    return int.from_bytes(frame.data[4:]) / 1000 if command == Command.SET else None


@pytest.mark.parametrize("make", MAKES)
@settings(deadline=None, max_examples=rounds(20, 60))
@given(script=steps)
def test_nothing_is_switched_on_or_exceeded_without_an_order(make: type[Controller], script: list[object]) -> None:
    now = 0.0
    engine = make(now)  # type: ignore[arg-type, call-arg]
    ordered_at, largest = float("-inf"), 0.0
    for step in script:
        if isinstance(step, CanFrame):
            engine.receive(step, now)
        elif isinstance(step, Order):
            engine.command(step, now)
            if step.mode is not Mode.OFF:
                ordered_at, largest = now, max(largest, step.current_a)
        else:
            assert isinstance(step, float)
            until = now + step
            while engine.deadline() <= until:
                now = max(now, engine.deadline())
                engine.expire(now)
                for frame in engine.frames_to_send():
                    assert len(frame.data) == 8
                    assert frame.extended
                    if switched_on(frame):
                        assert now - ordered_at <= HOLD_S + 1.5
                    amps = set_current(frame)
                    assert amps is None or amps <= largest + 0.001
            now = until
    assert len(engine.frames_to_send()) < 1000
