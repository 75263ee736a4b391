"""Laws of the gateway as a device: arbitrary datagrams of HEMS, facilities and strangers, and silence afterwards."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.echonet.engine import MOST_COUNTED, MOST_WAITING
from protocols.echonet.frames import CONTROLLER, NODE_PROFILE, Eoj, Esv, Frame, Property
from tests.gateway.commands.test_out_of_order_commands import SlowStore
from tests.gateway.hems.bench import BOARD, EVSE, HEMS, OBJECT, OTHER, STORAGE, hems_bench
from tests.rounds import rounds
from tests.virtual_time import virtual_examples

LEASE_S = 60.0
objects = st.sampled_from([OBJECT, Eoj(2, 0x7E, 0), Eoj(2, 0x7E, 2), STORAGE, BOARD, NODE_PROFILE, CONTROLLER])
modes = st.sampled_from(range(0x40, 0x4B)).map(lambda one: Property(0xDA, bytes((one,))))
methods = st.builds(Property, st.sampled_from([0xDC, 0xDD]), st.integers(0, 7).map(lambda one: bytes((one,))))
powers = st.builds(
    Property, st.sampled_from([0xEB, 0xEC, 0xE0]), st.integers(0, 2**32 - 1).map(lambda w: w.to_bytes(4))
)
watts = st.builds(Property, st.sampled_from([0xEB, 0xEC, 0xE0]), st.integers(0, 12_000).map(lambda w: w.to_bytes(4)))
currents = st.builds(Property, st.sampled_from([0xED, 0xEE]), st.integers(0, 500).map(lambda one: one.to_bytes(2)))
anything = st.builds(Property, st.integers(0x80, 0xFF), st.binary(max_size=8))
properties = st.lists(st.one_of(modes, methods, powers, currents, anything), max_size=5).map(tuple)
frames = st.builds(
    Frame, st.integers(0, 9), st.just(CONTROLLER), objects, st.sampled_from(Esv), properties, st.just(())
)
orders = st.builds(
    Frame, st.just(1), st.just(CONTROLLER), st.just(OBJECT), st.just(Esv.SETC),
    st.lists(st.one_of(modes, methods, powers), min_size=1, max_size=3).map(tuple), st.just(()),
)  # fmt: skip
datagrams = st.one_of(st.binary(max_size=40), frames.map(Frame.encode), orders.map(Frame.encode))
steps = st.lists(
    st.tuples(datagrams, st.sampled_from([HEMS, HEMS, OTHER]), st.sampled_from([0.0, 0.2, 1.0, 20.0])), max_size=14
)


@settings(max_examples=rounds(12, 400), deadline=None)
@given(steps, st.booleans())
@virtual_examples
async def test_nothing_raises_power_stays_in_the_limits_and_silence_ends_it(
    received: list[tuple[bytes, str, float]], restricted: bool
) -> None:
    allowed = frozenset({HEMS}) if restricted else frozenset[str]()
    async with hems_bench(lease_s=LEASE_S, controllers=allowed) as bench:
        node = bench.device.node
        for data, sender, pause_s in received:
            for event in node.receive(data, sender, bench.rig.clock.now()):
                bench.device.report(event)
            sent = node.data_to_send()
            assert len(sent) <= MOST_WAITING
            assert all(Frame.decode(one.data).encode() == one.data for one in sent)
            if pause_s:
                await bench.wait(pause_s)
        assert len(node.ignored) <= MOST_COUNTED
        ordered = [power for _, power, _ in bench.rig.stations.evses[EVSE].orders]
        assert all(-10_000 <= power <= 11_000 for power in ordered)
        await bench.wait(LEASE_S + 15)
        assert bench.power_w == 0
        state = bench.rig.service.state(EVSE)
        assert state is not None
        assert state.command is None or state.command.verb == "stop"
        assert bench.get("operationMode") in ("standby", "idle")


@settings(max_examples=rounds(12, 150), deadline=None)
@given(
    st.lists(st.tuples(orders, st.sampled_from([0.0, 0.05, 0.2, 0.35, 1.0, 9.0])), min_size=1, max_size=8),
    st.sampled_from([None, 0.1, 0.5]),
    st.floats(0.0, 1.0),
)
@virtual_examples
async def test_a_stop_by_an_operator_holds_until_the_hems_writes_again(
    written: list[tuple[Frame, float]], journal_s: float | None, pause_s: float
) -> None:
    store = SlowStore()
    async with hems_bench(lease_s=LEASE_S, store=store) as bench:
        if journal_s is not None:
            store.clock, store.delay_s = bench.rig.clock, journal_s
        for frame, wait_s in written:
            bench.ask(frame)
            await bench.rig.wait(wait_s)
        await bench.rig.wait(pause_s)
        await bench.rig.send(EVSE, "stop", "operator-1")
        await bench.wait(3)
        for _ in range(7):
            assert bench.power_w == 0
            bench.get("operationMode")  # the HEMS is there
            await bench.wait(10)
        assert bench.get("operationMode") in ("standby", "idle")
