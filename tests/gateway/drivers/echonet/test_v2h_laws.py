"""Laws of the driver, with random orders, faults and times: no power outlives its time at a box that can be reached,
one request at a time, nothing beyond what the box declares, every order has one outcome.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.drivers.echonet.profile import BoxProfile
from gateway.model.station import Answer, Outcome
from protocols.echonet.frames import Esv, Frame
from tests.gateway.drivers.echonet.bench import Bench, bench
from tests.rounds import rounds
from tests.virtual_time import virtual_examples

PROFILE = BoxProfile()
ENDS_S = 2 * PROFILE.answer_within_s + 1.0  # documented: the answer before, the order, and the ramp of the box
REACHED_S = 60.0  # the last fault ends; the next try follows


def slow(one: Bench) -> None:
    one.faults.answer_s = 2.5


def late(one: Bench) -> None:
    one.faults.answer_s = 5.0


def silent(one: Bench) -> None:
    one.faults.silent = True


def deaf(one: Bench) -> None:
    one.faults.deaf = True


def lossy(one: Bench) -> None:
    one.faults.loss = lambda frame: frame.tid % 3 == 0


def no_readback(one: Bench) -> None:
    one.faults.loss = lambda frame: frame.esv is Esv.GET_RES


def restarts(one: Bench) -> None:
    one.box.settings[0xDA] = "standby"


def unplugged(one: Bench) -> None:
    one.box.disconnect(one.clock.now())


def healthy(one: Bench) -> None:
    one.faults.answer_s, one.faults.silent, one.faults.deaf = 0.002, False, False
    one.faults.loss = lambda frame: False


FAULTS: list[Callable[[Bench], None]] = [slow, late, silent, deaf, lossy, no_readback, restarts, unplugged, healthy]
STEPS = st.lists(
    st.tuples(
        st.sampled_from([-6000, -2500, -700, 0, 0, 900, 4000, 9000]), st.floats(1.0, 40.0), st.floats(0.1, 15.0),
        st.sampled_from(FAULTS),
    ),
    min_size=1,
    max_size=6,
)  # fmt: skip


def set_powers(one: Bench) -> list[int]:
    found = []
    for _, frame in one.sent(Esv.SETC):
        found += [int.from_bytes(p.data, "big", signed=True) for p in frame.properties if p.epc in (0xE0, 0xEB, 0xEC)]
    return found


@settings(max_examples=rounds(25, 400))
@given(STEPS)
@virtual_examples
async def test_a_box_is_in_standby_after_the_end_of_every_order_whatever_failed(
    steps: list[tuple[int, float, float, Callable[[Bench], None]]],
) -> None:
    async with bench(profile=PROFILE) as one:
        until, pending = 0.0, []
        for watts, valid_s, pause_s, fault in steps:
            until = max(until, one.clock.now() + valid_s)
            pending.append(asyncio.ensure_future(one.evse.set_power("BAY", float(watts), valid_s)))
            await one.clock.sleep(pause_s)
            fault(one)
        reached_at = one.clock.now()
        healthy(one)
        await one.clock.sleep(max(until + ENDS_S, reached_at + REACHED_S) - one.clock.now())
        for _ in range(30):
            assert one.mode in ("standby", "idle")
            assert abs(one.power_w) < 1
            await one.clock.sleep(1.7)
        outcomes = await asyncio.wait_for(asyncio.gather(*pending), 1)
        assert all(isinstance(outcome.answer, Answer) for outcome in outcomes)
        assert one.most_pending() == 1
        assert all(abs(watts) <= 6000 for watts in set_powers(one))


@settings(max_examples=rounds(15, 200))
@given(
    st.lists(st.tuples(st.integers(-8000, 8000), st.floats(2.0, 20.0), st.floats(0.1, 25.0)), min_size=1, max_size=5),
    st.sampled_from([0.002, 1.0, 2.5, 3.9]),
)
@virtual_examples
async def test_at_a_box_that_is_reached_no_power_outlives_its_time(
    steps: list[tuple[int, float, float]], answer_s: float
) -> None:
    """Also with the slowest answers that the profile permits."""
    async with bench(profile=PROFILE) as one:
        one.faults.answer_s = answer_s
        until, pending = 0.0, []
        for watts, valid_s, pause_s in steps:
            until = max(until, one.clock.now() + valid_s)
            pending.append(asyncio.ensure_future(one.evse.set_power("BAY", float(watts), valid_s)))
            ends = one.clock.now() + pause_s
            while one.clock.now() < ends:
                await one.clock.sleep(0.5)
                if one.clock.now() > until + ENDS_S:
                    assert one.mode == "standby"
        await one.clock.sleep(max(0.0, until + ENDS_S - one.clock.now()))
        assert one.mode == "standby"
        await one.clock.sleep(15)
        await asyncio.wait_for(asyncio.gather(*pending), 1)


@settings(max_examples=rounds(15, 200))
@given(st.lists(st.tuples(st.binary(max_size=40), st.floats(0, 5)), max_size=60), st.integers(0, 255))
@virtual_examples
async def test_datagrams_of_the_box_that_are_no_answers_change_no_order(
    noise: list[tuple[bytes, float]], epc: int
) -> None:
    async with bench(profile=PROFILE) as one:
        for data, at in noise:
            one.lan.inject(data, "192.0.2.10", "192.0.2.20", at)
        frame = Frame(1, one.sent()[-1][1].destination, one.sent()[-1][1].source, Esv.SET_RES, ())
        one.lan.inject(frame.encode(), "192.0.2.10", "192.0.2.20", 0.5)
        await one.clock.sleep(1)
        assert (await one.evse.set_power("BAY", -2500.0, 15.0)).answer is Answer.APPLIED
        await one.clock.sleep(3)
        assert one.power_w < -2000


@settings(max_examples=rounds(15, 200))
@given(
    st.lists(
        st.tuples(st.sampled_from([True, False, -3000.0, 2000.0, 0.0]), st.floats(0.1, 12.0), st.sampled_from(FAULTS)),
        min_size=1,
        max_size=6,
    ),
    st.booleans(),
)
@virtual_examples
async def test_whatever_was_ordered_the_box_follows_the_grid_in_the_end(
    steps: list[tuple[bool | float, float, Callable[[Bench], None]]], withhold: bool
) -> None:
    """Orders to form and powers replace each other at any time; the last order to follow gives the permission back."""
    async with bench(profile=PROFILE) as one:
        one.evse._outage.grid_reported = lambda: withhold
        pending: list[asyncio.Future[Outcome]] = []
        for order, pause_s, fault in steps:
            made = one.evse.form("BAY", order) if isinstance(order, bool) else one.evse.set_power("BAY", order, 15.0)
            pending.append(asyncio.ensure_future(made))
            await one.clock.sleep(pause_s)
            fault(one)
        healthy(one)
        one.box.connect(one.pack, one.clock.now())
        await one.clock.sleep(REACHED_S)
        assert (await one.evse.form("BAY", False)).answer is Answer.APPLIED
        await one.clock.sleep(30)
        assert one.mode in ("standby", "idle")
        assert one.box.settings[0xDF] == "permitted"
        await asyncio.wait_for(asyncio.gather(*pending), 1)
        assert one.most_pending() == 1
