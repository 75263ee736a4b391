"""Boxes that are slow, silent, busy or wrong, and a network with strangers: what the driver does and counts."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from emulators.charger.echonet.box import V2hBox, box_object
from gateway.drivers.echonet.finding import ObjectLink
from gateway.drivers.echonet.profile import BoxProfile, load
from gateway.model import event as model
from gateway.model.station import Answer
from protocols.echonet.engine import Node
from protocols.echonet.frames import Eoj, Esv, Frame, Property
from protocols.echonet.objects import LocalObject
from protocols.echonet.values import Value
from tests.gateway.drivers.echonet.bench import BOX, BOX_EOJ, GATEWAY, STRANGER, bench, epc_of

pytestmark = pytest.mark.virtual_time
HEMS = Eoj(0x05, 0xFF)
MODES_ONLY = "the box has modes only: its discharging power (dischargingElectricPower (EC)) cannot be set"


class Stubborn(V2hBox):
    """A box that acknowledges some settings and keeps its value, or refuses some in some modes."""

    keeps: frozenset[int] = frozenset()
    refuses: frozenset[int] = frozenset()
    refuses_running: frozenset[int] = frozenset()

    def write(self, epc: int, value: Value, now: float) -> bool:
        if epc in self.keeps:
            return True
        running = self.settings[0xDA] != "standby"
        if epc in self.refuses or (running and epc in self.refuses_running):
            return False
        return super().write(epc, value, now)


def stubborn(**faults: frozenset[int]) -> Stubborn:
    box = Stubborn()
    for name, epcs in faults.items():
        setattr(box, name, epcs)
    return box


async def test_a_box_that_answers_after_2_5_s_is_ordered_and_gets_rest() -> None:
    async with bench() as one:
        one.faults.answer_s = 2.5
        began = one.clock.now()
        assert (await one.evse.set_power("BAY", -3000.0, 60.0)).answer is Answer.APPLIED
        assert one.clock.now() - began < 16
        assert one.most_pending() == 1
        before, since = len(one.sent()), one.clock.now()
        await one.clock.sleep(50)
        asked = len(one.sent()) - before
        assert asked <= (one.clock.now() - since) / 5 + 1, "as long a rest as the answer took"
        began = one.clock.now()
        await one.evse.set_power("BAY", 0.0, 15.0)
        assert one.mode == "standby"
        assert one.clock.now() - began < 8
        assert one.most_pending() == 1


async def test_a_power_that_is_not_renewed_ends_by_order_of_the_driver() -> None:
    async with bench() as one:
        await one.evse.set_power("BAY", -3000.0, 15.0)
        await one.clock.sleep(14)
        assert one.mode == "discharge"
        await one.clock.sleep(2)
        assert one.mode == "standby"


async def test_a_silent_box_is_lost_and_ordered_to_standby_until_it_confirms() -> None:
    async with bench() as one:
        await one.evse.set_power("BAY", -3000.0, 15.0)
        one.faults.deaf = True
        await one.until("the loss", lambda: one.of(model.StationLost), 60)
        assert one.of(model.FaultRaised)[-1].code == "CommunicationFault"
        assert not one.evse.connected
        outcome = await one.evse.set_power("BAY", -3000.0, 15.0)
        assert (outcome.answer, outcome.code) == (Answer.UNKNOWN, "NotConnected")
        assert one.mode == "discharge", "a box has no time-out of its own"
        one.faults.deaf = False
        assert await one.until("standby", lambda: one.mode == "standby", 20) < 15
        await one.until("the link", lambda: one.evse.connected)
        assert one.of(model.FaultCleared)[-1].code == "CommunicationFault"
        started = one.of(model.SessionStarted)
        assert started[0].session == started[-1].session
        assert (await one.evse.set_power("BAY", -2000.0, 15.0)).answer is Answer.APPLIED


async def test_a_box_that_hears_and_does_not_answer_is_stopped_nevertheless() -> None:
    async with bench() as one:
        await one.evse.set_power("BAY", -3000.0, 15.0)
        one.faults.silent = True
        await one.clock.sleep(25)
        assert one.mode == "standby"


async def test_answers_without_values_are_no_readings() -> None:
    async with bench() as one:

        def empty(frame: Frame) -> bool:
            return frame.esv is Esv.GET_RES

        one.faults.loss = empty
        tid_of_last = -1
        for _ in range(600):
            await one.clock.sleep(0.1)
            _, frame = one.sent()[-1]
            if frame.esv is Esv.GET and frame.tid != tid_of_last:
                tid_of_last = frame.tid
                sna = Frame(frame.tid, BOX_EOJ, HEMS, Esv.GET_SNA, tuple(Property(p.epc) for p in frame.properties))
                one.lan.inject(sna.encode(), BOX, GATEWAY)
        assert one.of(model.StationLost)[-1].reason == "it does not state its values"


async def test_a_box_that_restarts_in_standby_ends_the_order_with_a_reason() -> None:
    async with bench() as one:
        assert (await one.evse.set_power("BAY", -3000.0, 60.0)).answer is Answer.APPLIED
        one.box.settings[0xDA] = "standby"
        await one.clock.sleep(5)
        outcome = await one.evse.set_power("BAY", -3000.0, 60.0)
        assert (outcome.answer, outcome.code) == (Answer.REFUSED, "ModeLeft")
        assert "has left operation mode discharge by itself and is in standby" in outcome.text
        assert one.mode == "standby"
        assert (await one.evse.set_power("BAY", -3000.0, 60.0)).answer is Answer.APPLIED


async def test_an_acknowledged_value_that_the_box_keeps_is_no_success() -> None:
    async with bench(stubborn(keeps=frozenset({0xEC}))) as one:
        outcome = await one.evse.set_power("BAY", -2500.0, 15.0)
        assert outcome.answer is Answer.REFUSED
        assert outcome.text == "the box acknowledged dischargingElectricPower = 2500 and keeps 3000"
        assert one.mode == "standby"


async def test_a_setting_that_a_running_box_refuses_is_set_in_standby() -> None:
    async with bench(stubborn(refuses_running=frozenset({0xEC, 0xDD}))) as one:
        assert (await one.evse.set_power("BAY", -2000.0, 30.0)).answer is Answer.APPLIED
        assert (await one.evse.set_power("BAY", -3000.0, 30.0)).answer is Answer.APPLIED
        await one.clock.sleep(5)
        assert one.power_w == pytest.approx(-3000, abs=30)
        before = len(one.writes())
        assert (await one.evse.set_power("BAY", -1000.0, 30.0)).answer is Answer.APPLIED
        assert one.writes()[before:] == [
            ("operationMode", "standby"),
            ("dischargingElectricPower", 1000),
            ("operationMode", "discharge"),
        ], "learned"


async def test_a_mode_that_the_box_refuses_is_the_reason() -> None:
    async with bench(stubborn(refuses=frozenset({0xEC}))) as one:
        outcome = await one.evse.set_power("BAY", -2000.0, 30.0)
        assert (outcome.answer, outcome.code) == (Answer.REFUSED, "DeviceRefused")
        assert outcome.text == "the box refuses dischargingElectricPower = 2000 in operation mode standby"
    async with bench() as one:
        one.box.fault = True
        outcome = await one.evse.set_power("BAY", -2000.0, 30.0)
        assert outcome.text == "the box refuses operationMode = discharge"
        await one.until("the fault", lambda: one.of(model.FaultRaised))
        assert one.of(model.FaultRaised)[-1].text == "controlCircuitBoard"


async def test_values_out_of_range_are_no_values_and_counted() -> None:
    class Wrong(LocalObject):
        def read(self, epc: int, now: float) -> bytes | None:
            return b"\xf0" if epc == 0xE4 else super().read(epc, now)

    def made(box: V2hBox) -> LocalObject:
        plain = box_object(box)
        return Wrong(plain.eoj, box, plain.get | plain.set, release="R")

    async with bench(made=made) as one:
        await one.clock.sleep(30)
        assert one.of(model.Metered)[-1].soc_pct is None
        device = one.evse._device
        assert device is not None
        assert device.engine.reader.invalid[0xE4] >= 3


async def test_an_answer_of_another_sender_has_no_effect_and_is_counted() -> None:
    async with bench() as one:
        one.faults.deaf = True
        ordering = asyncio.ensure_future(one.evse.set_power("BAY", -2500.0, 15.0))
        await one.until("the request", lambda: one.sent()[-1][1].esv is Esv.SETC)
        _, frame = one.sent()[-1]
        answer = Frame(frame.tid, BOX_EOJ, HEMS, Esv.SET_RES, (Property(0xDD),))
        ignored = one.network.ignored["no answer to a pending request"]
        one.lan.inject(answer.encode(), STRANGER, GATEWAY)
        await one.clock.sleep(1)
        assert not ordering.done()
        assert one.network.ignored["no answer to a pending request"] == ignored + 1
        announced = Frame(1, BOX_EOJ, Eoj(0x0E, 0xF0), Esv.INF, (Property(0xDA, b"\x43"),))
        one.lan.inject(announced.encode(), STRANGER, GATEWAY)
        await one.clock.sleep(0.1)
        device = one.evse._device
        assert device is not None
        assert device.engine.values[0xDA] == "standby"
        one.faults.deaf = False
        assert (await ordering).answer is Answer.APPLIED


async def test_a_flood_and_foreign_objects_delay_no_order() -> None:
    async with bench() as one:
        for number in range(2000):
            one.lan.inject(bytes([number & 0xFF]) * (number % 40), f"198.51.100.{number % 250}", GATEWAY, number / 1000)
        foreign = Frame(7, Eoj(0x01, 0x30), HEMS, Esv.INF, (Property(0x80, b"\x30"),))
        for number in range(500):
            one.lan.inject(foreign.encode(), STRANGER, GATEWAY, number / 500)
        began = one.clock.now()
        assert (await one.evse.set_power("BAY", -2500.0, 15.0)).answer is Answer.APPLIED
        assert one.clock.now() - began < 1
        await one.clock.sleep(3)
        assert one.network.ignored["no valid frame"] == 2000
        assert len(one.network.instances) == 1


async def test_a_box_that_runs_when_the_gateway_starts_is_stopped_without_an_order() -> None:
    box = V2hBox()
    async with bench(box, ready=False) as one:
        box.settings |= {0xDD: "designatedElectricPower", 0xEC: 2000, 0xDA: "discharge"}
        await one.until("the box", lambda: one.evse.connected)
        assert await one.evse.reconcile("BAY") == -2000
        assert await one.until("standby", lambda: one.mode == "standby", 30) < 20
        assert await one.evse.reconcile("BAY") == 0


async def test_the_end_of_the_gateway_is_standby() -> None:
    async with bench() as one:
        await one.evse.set_power("BAY", -2500.0, 300.0)
        await one.evse.close()
        assert one.mode == "standby"


@pytest.mark.parametrize(
    ("ratings", "why"),
    [
        ({"omitted": {0xEC, 0xE0}}, MODES_ONLY),
        ({"release": "D", "omitted": {0xEC}}, MODES_ONLY),
        ({"omitted": {0xDA}}, "operationMode (DA) of the box cannot be set to discharge"),
    ],
)  # fmt: skip
async def test_what_a_box_cannot_do_is_a_reason(ratings: dict[str, Any], why: str) -> None:
    async with bench(**ratings) as one:
        described = one.of(model.EvseDescribed)[-1]
        assert (described.can_discharge, described.why_not) == (False, why)
        assert described.limits.max_discharge_w == 0
        outcome = await one.evse.set_power("BAY", -2500.0, 15.0)
        assert (outcome.answer, outcome.code, outcome.text) == (Answer.REFUSED, "CannotDischarge", why)
        assert described.fail_safe is not None
        assert described.fail_safe.within_s is None


async def test_a_box_of_release_d_has_no_methods() -> None:
    async with bench(release="D") as one:
        one.box.settings[0xDD] = "designatedElectricPower"  # its only one
        assert (await one.evse.set_power("BAY", -1500.0, 15.0)).answer is Answer.APPLIED
        assert one.writes()[-2:] == [("dischargingElectricPower", 1500), ("operationMode", "discharge")]
        await one.clock.sleep(5)
        assert one.power_w == pytest.approx(-1500, abs=30)


async def test_a_box_with_one_signed_power() -> None:
    async with bench(omitted={0xEB, 0xEC}) as one:
        for power_w in (-1500.0, 2000.0):
            assert (await one.evse.set_power("BAY", power_w, 30.0)).answer is Answer.APPLIED
            await one.clock.sleep(5)
            assert one.power_w == pytest.approx(power_w, abs=30)
        assert one.mode == "chargingDischarging"


async def test_a_box_without_a_charging_power_charges_at_its_greatest() -> None:
    async with bench(omitted={0xEB, 0xE0}) as one:
        limits = one.of(model.EvseDescribed)[-1].limits
        assert limits.min_charge_w == limits.max_charge_w == 6000
        assert (await one.evse.set_power("BAY", 6000.0, 30.0)).answer is Answer.APPLIED
        assert one.box.settings[0xDC] == "maximumChargingElectricPower"


async def test_no_power_beyond_what_the_box_declares_is_set() -> None:
    async with bench() as one:
        await one.evse.set_power("BAY", -50_000.0, 15.0)
        assert one.box.settings[0xEC] == 6000
        await one.evse.set_power("BAY", -150.0, 15.0)  # less than it can do
        assert one.mode == "standby"


async def test_a_box_is_found_by_its_maker_and_after_its_address_has_changed() -> None:
    link = ObjectLink([0x027E], maker="00006b", eoj=BOX_EOJ)
    async with bench(link=link, maker=b"\x00\x00\x6b") as one:
        await one.evse.set_power("BAY", -2500.0, 15.0)
        one.lan.cut.add(BOX)
        await one.until("the loss", lambda: one.of(model.StationLost), 60)
        moved = one.lan.node("192.0.2.11", Node([box_object(one.box)]))
        running = asyncio.ensure_future(moved.run())
        await one.until("the box again", lambda: one.evse.connected, 200)
        assert one.mode == "standby"
        running.cancel()


async def test_another_maker_is_not_taken() -> None:
    async with bench(link=ObjectLink([0x027E], maker="00006b"), ready=False) as one:
        await one.clock.sleep(60)
        assert not one.evse.connected


async def test_the_vehicle_is_confirmed_where_the_box_does_not_know_it() -> None:
    async with bench(plugged=False) as one:
        await one.clock.sleep(130)
        confirmed = [name for name, _ in one.writes() if name == "vehicleConnectionConfirmation"]
        assert 2 <= len(confirmed) <= 4
        assert epc_of("vehicleConnectionConfirmation") == 0xCD


async def test_the_profile_of_a_slow_product() -> None:
    profile = load("nichicon", Path())
    async with bench(profile=profile) as one:
        assert (await one.evse.set_power("BAY", -2500.0, 60.0)).answer is Answer.APPLIED
        assert max(len(frame.properties) for _, frame in one.sent(Esv.GET)) <= 10
        assert one.box.settings[0xEC] == 2500
    quirky = BoxProfile(ignored=("DD", "E0"), most_properties=1)
    async with bench(profile=quirky) as one:
        before = one.clock.now()
        await one.clock.sleep(30)
        assert {len(frame.properties) for at, frame in one.sent(Esv.GET) if at > before} == {1}
        await one.evse.set_power("BAY", -2500.0, 60.0)
        assert all(name != "dischargingMethod" for name, _ in one.writes())
