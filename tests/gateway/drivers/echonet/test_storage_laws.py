"""Laws of ordered storage batteries, with random orders, faults and times: none keeps a power longer than documented
after its last order, and nothing beyond its limits is set.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.drivers.echonet.storage import PROFILE, VALID_S
from protocols.echonet.frames import Esv
from tests.gateway.drivers.echonet.storage_bench import DA, EB, EC, StorageBench, storage_bench
from tests.rounds import rounds
from tests.virtual_time import virtual_examples

ENDS_S = VALID_S + 2 * PROFILE.answer_within_s + 1.0  # documented
REACHED_S = 60.0  # after the last fault: found again, and the next try
LEFT = ("auto", "standby")


def slow(one: StorageBench) -> None:
    one.answer_s = 2.5


def late(one: StorageBench) -> None:
    one.answer_s = 6.0


def silent(one: StorageBench) -> None:
    one.silent = True


def deaf(one: StorageBench) -> None:
    one.deaf = True


def lossy(one: StorageBench) -> None:
    one.loss = lambda frame: frame.tid % 3 == 0


def no_readback(one: StorageBench) -> None:
    one.loss = lambda frame: frame.esv is Esv.GET_RES


def restarts(one: StorageBench) -> None:
    one.battery.settings[DA] = "standby"


def refuses(one: StorageBench) -> None:
    one.battery.refuses = frozenset({EC, "auto"})


def keeps(one: StorageBench) -> None:
    one.battery.keeps = frozenset({EB})


def healthy(one: StorageBench) -> None:
    one.answer_s, one.silent, one.deaf, one.loss = 0.002, False, False, lambda frame: False
    one.battery.refuses = one.battery.keeps = frozenset()


FAULTS: list[Callable[[StorageBench], None]] = [
    slow, late, silent, deaf, lossy, no_readback, restarts, refuses, keeps, healthy,
]  # fmt: skip
POWERS = st.sampled_from([-9000.0, -2500.0, -700.0, 0.0, 900.0, 4000.0, None])
STEPS = st.lists(st.tuples(POWERS, st.floats(0.1, 40.0), st.sampled_from(FAULTS)), min_size=1, max_size=5)


@settings(max_examples=rounds(12, 300))
@given(STEPS, st.booleans())
@virtual_examples
async def test_no_battery_keeps_a_power_after_the_last_order(
    steps: list[tuple[float | None, float, Callable[[StorageBench], None]]], stops: bool
) -> None:
    async with storage_bench() as one:
        for watts, pause_s, fault in steps:
            one.storage_w = watts
            await one.clock.sleep(pause_s)
            fault(one)
        if stops:
            await one.driver.close()
        one.storage_w = None
        healthy(one)
        await one.clock.sleep(max(ENDS_S, REACHED_S))
        for _ in range(20):
            assert one.mode in LEFT
            await one.clock.sleep(1.7)
        assert all(watts <= 5000 for epc, watts in one.writes() if epc in (EB, EC) and isinstance(watts, int))


@settings(max_examples=rounds(8, 150))
@given(
    st.lists(st.tuples(st.sampled_from([-3000.0, 2000.0, 0.0]), st.floats(0.1, 25.0)), min_size=1, max_size=4),
    st.sampled_from([0.002, 1.0, 2.5, 4.5]),
    st.sampled_from(["released", "silent", "not renewed"]),
)
@virtual_examples
async def test_a_power_ends_within_the_documented_time_when_its_orders_are_lost(
    steps: list[tuple[float, float]], answer_s: float, end: str
) -> None:
    """The battery itself is reached."""
    async with storage_bench() as one:
        one.answer_s = answer_s
        for watts, pause_s in steps:
            one.storage_w = watts
            await one.clock.sleep(pause_s)
        if end == "not renewed":
            one.follower.cancel()
        one.silent, one.storage_w = end == "silent", None
        await one.clock.sleep(ENDS_S)
        for _ in range(10):
            assert one.mode in LEFT
            await one.clock.sleep(1.7)
