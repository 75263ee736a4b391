"""Fault injection: targets, times and effects, determined by the seed."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.charger.hardware.power_stage import Contactors, PowerStage
from emulators.ev.car import Car, CarSpec, Quirks
from emulators.faults.fault import KINDS, Fault, FaultError
from emulators.faults.injection_points import InjectionPoints
from emulators.faults.injector import begin, end, play, random_faults
from emulators.faults.tampering import tamper_bus, tamper_bytes, tamper_text
from emulators.runtime.clock import SkewedClock, VirtualClock
from emulators.runtime.memory_broker import MemoryBroker
from emulators.runtime.transports import text_wire_pair, wire_pair
from emulators.site.load import Loads
from emulators.site.site import Site
from protocols.ports import BusMessage


@given(
    st.sampled_from(["loss", "delay", "duplicate", "split", "corruption"]),
    st.lists(st.binary(min_size=1, max_size=40), max_size=20),
    st.floats(0, 1),
    st.integers(),
)
def test_each_kind_of_tampering_alters_bytes_as_named(kind: str, pieces: list[bytes], rate: float, seed: int) -> None:
    fault = Fault(kind, "iso15118:x", rate=rate, value=3)
    hit, again = tamper_bytes(fault, seed), tamper_bytes(fault, seed)
    for piece in pieces:
        came = list(hit("a", piece))
        assert came == list(again("a", piece))
        whole = b"".join(part for _, part in came)
        if kind in ("delay", "split"):
            assert whole == piece
        elif kind == "duplicate":
            assert whole in (piece, piece * 2)
        elif kind == "loss":
            assert whole in (piece, b"")
        else:
            assert len(whole) == len(piece)
            assert sum((x ^ y).bit_count() for x, y in zip(whole, piece, strict=True)) <= 1
        assert all(delay >= 0 for delay, _ in came)


@given(st.lists(st.text(min_size=1), max_size=30), st.floats(0, 1), st.integers())
def test_reordering_swaps_messages_and_loses_at_most_the_last(texts: list[str], rate: float, seed: int) -> None:
    hit = tamper_text(Fault("reorder", "ocpp:x", rate=rate), seed)
    came = [text for sent in texts for _, text in hit("a", sent)]
    assert len(texts) - len(came) in (0, 1)
    rest = sorted(texts)
    for text in came:
        rest.remove(text)


@given(st.sampled_from(["loss", "delay", "duplicate", "corruption", "reorder"]), st.integers(0, 1), st.integers())
def test_no_fault_of_the_broker_loses_qos_1(kind: str, qos: int, seed: int) -> None:
    hit = tamper_bus(Fault(kind, "mqtt"), seed)
    came = list(hit("gw", BusMessage("x", b"payload", qos)))
    assert came or (qos == 0 and kind == "loss")
    assert tamper_bus(Fault(kind, "mqtt:other"), seed)("gw", BusMessage("x", b"", 0)) == [
        (0.0, BusMessage("x", b"", 0))
    ]


@pytest.mark.virtual_time
async def test_faults_are_played_in_order_and_missed_targets_reported() -> None:
    clock = VirtualClock()
    stage = PowerStage()
    points = InjectionPoints(clock, stages={"CP1-1": stage}, cars={"car": Car()}, clocks={"CP1": SkewedClock(clock)})
    reports: list[tuple[float, str, str]] = []
    plan = [
        Fault("meter-stuck", "CP1-1", 10, 20),
        Fault("frozen-soc", "car", 15),
        Fault("clock-jump", "CP1", 20, value=-60),
        Fault("weld", "nowhere", 25),
    ]
    await play(points, plan, lambda status, fault: reports.append((clock.now(), status, fault.kind)))
    assert reports == [
        (10, "begins", "meter-stuck"),
        (15, "begins", "frozen-soc"),
        (20, "begins", "clock-jump"),
        (25, "missed", "weld"),
        (30, "ends", "meter-stuck"),
    ]
    assert not stage.meter.stuck
    assert points.cars["car"].spec.quirks.frozen_soc
    assert points.clocks["CP1"].wall() == pytest.approx(clock.wall() - 60)


@pytest.mark.virtual_time
async def test_every_kind_of_fault_begins_and_ends() -> None:
    clock = VirtualClock()
    station, gateway = text_wire_pair()
    ev, secc = wire_pair()
    restarted: list[str] = []

    async def restart() -> None:
        restarted.append("gateway")

    stage = PowerStage()
    stage.connect(Car())
    points = InjectionPoints(
        clock,
        {"CP1": station.link},
        {"CP1-1": ev.link},
        MemoryBroker(),
        {"CP1-1": stage},
        {"car": Car()},
        {"CP1": SkewedClock(clock)},
        Site(Loads.of("home")),
        restarts={"gateway": restart},
        modems={"CP1": restart},
    )
    target = {
        "restart": "gateway",
        "clock-jump": "CP1",
        "modem-reset": "CP1",
        "half-open": "ocpp:CP1",
        "cut": "iso15118:CP1-1",
        "frozen-soc": "car",
        "silence": "car",
        "wrong-sign": "car",
        "late-frames": "car",
        "input-silent": "grid",
        "split": "iso15118:CP1-1",
    }
    for kind in KINDS:
        fault = Fault(kind, target.get(kind, "mqtt" if kind in TAMPERS else "CP1-1"))
        await begin(points, fault)
        await end(points, fault)
    assert restarted == ["gateway", "gateway"]
    assert await secc.read() == b""
    assert stage.contactors is Contactors.CLOSED
    assert not stage.faults
    assert not station.link.silent
    await station.send("hello")
    assert await gateway.receive() == "hello"


TAMPERS = {"loss", "delay", "reorder", "duplicate", "split", "corruption"}


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        (lambda: Fault("gremlins"), "unknown fault kind"),
        (lambda: Fault("loss", rate=2), "between 0 and 1"),
    ],
)
def test_invalid_faults_are_rejected(fault: object, complaint: str) -> None:
    with pytest.raises(FaultError, match=complaint):
        fault()  # type: ignore[operator]


async def test_unknown_targets_are_reported() -> None:
    points = InjectionPoints(VirtualClock())
    for kind, target in (("cut", "ocpp:CP9"), ("weld", "CP9-1"), ("broker-stop", ""), ("switch-stuck", "")):
        with pytest.raises(FaultError, match=r"known: none|known links: none|no MQTT broker|no site"):
            await begin(points, Fault(kind, target))


@given(st.integers(), st.integers(1, 30))
def test_the_seed_determines_random_faults(seed: int, count: int) -> None:
    targets = {"loss": ["mqtt"], "weld": ["CP1-1", "CP1-2"], "clock-jump": ["CP1"]}
    one = random_faults(seed, 3600, targets, count)
    assert one == random_faults(seed, 3600, targets, count)
    assert len(one) == count
    assert all(0 <= fault.at <= 3600 for fault in one)


def _points() -> InjectionPoints:
    clock = VirtualClock()
    station, _ = text_wire_pair()
    clocks = {"CP1": SkewedClock(clock), "gateway": SkewedClock(clock)}
    return InjectionPoints(
        clock, {"CP1": station.link}, stages={"CP1-1": PowerStage()}, cars={"car": Car()}, clocks=clocks
    )


@pytest.mark.virtual_time
async def test_a_link_fault_applies_to_a_new_connection() -> None:
    points, fault = _points(), Fault("loss", "ocpp:CP1")
    await begin(points, fault)
    again, _ = text_wire_pair()
    points.attach_station("CP1", again.link)
    assert again.link.tamper is not None
    assert list(again.link.tamper("a", "x")) == []
    await end(points, fault)
    assert again.link.tamper is None


@pytest.mark.virtual_time
async def test_a_link_fault_can_begin_before_the_car_connects() -> None:
    points = _points()
    await begin(points, Fault("split", "iso15118:CP1-1", value=1))
    ev, _ = wire_pair()
    points.attach_vehicle("CP1-1", ev.link)
    assert ev.link.tamper is not None
    assert list(ev.link.tamper("a", b"xy")) == [(0.0, b"x"), (0.0, b"y")]


@pytest.mark.virtual_time
async def test_two_faults_on_one_link_act_together_and_end_separately() -> None:
    points = _points()
    late, twice = Fault("delay", "ocpp:CP1", value=2.0), Fault("duplicate", "ocpp:CP1")
    await begin(points, late)
    await begin(points, twice)
    link = points.text_links["CP1"]
    assert link.tamper is not None
    assert list(link.tamper("a", "x")) == [(2.0, "x"), (2.0, "x")]
    await end(points, late)
    assert link.tamper is not None
    assert list(link.tamper("a", "x")) == [(0.0, "x"), (0.0, "x")]
    await end(points, twice)
    assert link.tamper is None


@pytest.mark.virtual_time
async def test_an_effect_of_two_faults_ends_with_the_last() -> None:
    points = _points()
    plan = [Fault("meter-stuck", "CP1-1", 0, 20), Fault("meter-stuck", "CP1-1", 10, 5)]
    playing = asyncio.create_task(play(points, plan))
    await points.clock.sleep(17)
    assert points.stages["CP1-1"].meter.stuck
    await playing
    assert not points.stages["CP1-1"].meter.stuck


@pytest.mark.virtual_time
async def test_a_quirk_of_the_profile_is_restored_after_a_fault() -> None:
    points = _points()
    points.cars["car"] = Car(CarSpec(quirks=Quirks(negative_discharge_limits=True)))
    fault = Fault("wrong-sign", "car")
    await begin(points, fault)
    await end(points, fault)
    assert points.cars["car"].spec.quirks.negative_discharge_limits


@pytest.mark.virtual_time
async def test_a_missed_fault_does_not_end() -> None:
    points, reports = _points(), []
    del points.text_links["CP1"]
    await play(points, [Fault("half-open", "ocpp:CP1", 1, 5)], lambda status, fault: reports.append(status))
    assert reports == ["missed"]


@pytest.mark.parametrize(
    ("kind", "target"), [("split", "ocpp:CP1"), ("split", ""), ("reorder", "iso15118:CP1-1"), ("cut", "mqtt")]
)
def test_a_fault_kind_that_a_link_does_not_support_is_rejected(kind: str, target: str) -> None:
    with pytest.raises(FaultError, match="invalid target"):
        Fault(kind, target)
