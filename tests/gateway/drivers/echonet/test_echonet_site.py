"""A site without a facility's inputs: box, storage, PV and meters over ECHONET Lite, commands over MQTT."""

from __future__ import annotations

import logging

import pytest

from emulators.echonet.run import BoxOptions
from gateway.drivers.echonet.reader import ObjectReader
from gateway.drivers.echonet.site_object import values_of
from protocols.echonet import classes
from protocols.echonet.events import ObjectDescribed
from protocols.echonet.frames import Eoj, Property
from protocols.modbus.register import Meaning
from tests.gateway.drivers.echonet.echonet_home import BOX, EVSE, EchonetHome

pytestmark = pytest.mark.virtual_time
INPUTS = {
    "meters": [{"driver": "echonet", "address": BOX, "eoj": "028801"}],
    "storages": [{"driver": "echonet"}],
    "pvs": [{"driver": "echonet", "address": BOX}],
}


def test_every_number_of_an_object_is_a_meaning() -> None:
    described = ObjectDescribed(BOX, Eoj(0x02, 0x87), "R", frozenset(), frozenset(), frozenset())
    reader = ObjectReader(described, [0xC6, 0xC8], [])
    reader.apply([Property(0xC6, (-1200).to_bytes(4, "big", signed=True)), Property(0xC8, b"\x03\xe8\x03\xe9")])
    found = values_of(classes.DISTRIBUTION_BOARD, reader)
    assert found == {Meaning.POWER_W: -1200.0, Meaning.VOLTAGE_V: pytest.approx(200.1)}
    reader.apply([Property(0xC6, b"\x7f\xff\xff\xfe")])
    assert Meaning.POWER_W not in values_of(classes.DISTRIBUTION_BOARD, reader)


async def test_meter_storage_and_pv_are_inputs_and_a_discharge_shows_on_the_meter() -> None:
    site = EchonetHome()
    async with site.gateway(**INPUTS) as running:
        await site.until("the inputs", lambda: len(running.control.site.inputs.readings) == 3)
        values = {kind.value: one.value for kind, one in running.control.site.inputs.readings.items()}
        balance = site.home.advance(site.clock.now())
        assert getattr(values["grid"], "power_w", None) == pytest.approx(balance.grid_w, abs=60)
        assert getattr(values["pv"], "power_w", None) == pytest.approx(balance.pv_w, abs=20)
        assert getattr(values["storage"], "soc_pct", None) == pytest.approx(50, abs=2)
        assert getattr(values["storage"], "capacity_wh", None) == pytest.approx(10_000, rel=0.1)
        await site.until("a session", site.in_session)
        found = await site.command("discharge", power_w=2000, lease_s=120)
        assert found[0]["status"] == "accepted"
        await site.until("the power", lambda: abs(site.car_w + 2000) < 60)
        await site.until("the result", lambda: site.bodies(f"evse/{EVSE}/result")[-1]["status"] == "achieved")
        state = site.bodies(f"evse/{EVSE}/state")[-1]
        assert (state["protocol"], state["fail_safe"]["within_s"]) == ("echonet-lite", None)
        summary = site.bodies("site/state")[-1]
        fresh = {name for name, one in summary["inputs"].items() if one["freshness"] == "fresh"}
        assert fresh == {"grid", "pv", "storage"}
    assert site.box.settings[0xDA] == "standby", "the gateway has stopped"


async def test_the_facility_falls_silent() -> None:
    site = EchonetHome()
    async with site.gateway() as _:
        await site.until("a session", site.in_session)
        await site.command("discharge", power_w=2000, lease_s=20)
        await site.clock.sleep(60)
        assert site.box.settings[0xDA] == "standby"
        assert abs(site.car_w) < 1


async def test_a_discharge_with_unlike_numbers_is_refused_with_the_reason_of_the_box(
    caplog: pytest.LogCaptureFixture,
) -> None:
    site = EchonetHome()
    site.box.ratings.omitted = {0xEC, 0xE0}
    with caplog.at_level(logging.INFO):
        async with site.gateway() as _:
            await site.until("a session", site.in_session)
            state = site.bodies(f"evse/{EVSE}/state")[-1]
            assert (state["can_discharge"], state["why_not"]) == (
                False,
                "the box has modes only: its discharging power (dischargingElectricPower (EC)) cannot be set",
            )
            [refused] = await site.command("discharge", power_w=2000, lease_s=20)
            assert (refused["status"], refused["reason"]["code"]) == ("refused", "charging_only")
            assert "its discharging power" in refused["reason"]["text"]


async def test_energy_registers_of_the_box_agree_with_its_meter_within_half_a_percent() -> None:
    """The step of D6 and D8 is 1 Wh."""
    site = EchonetHome()
    async with site.gateway() as running:
        await site.until("a session", site.in_session)
        before = site.box.stage.meter.true_discharged_wh
        await site.command("discharge", power_w=5000, lease_s=600)
        await site.clock.sleep(400)
        await site.command("stop")
        await site.clock.sleep(20)
        moved_wh = site.box.stage.meter.true_discharged_wh - before
        assert moved_wh > 500
        state = running.control.registry.get(EVSE)
        assert state is not None
        assert state.evse.discharged.total_wh == pytest.approx(moved_wh, rel=0.005, abs=1.0)


async def test_a_leaf_behind_the_box_is_discharged_and_charged_over_chademo() -> None:
    """Its session begins with the first order: power flows some seconds after the box has accepted it."""
    site = EchonetHome(BoxOptions(car="leaf-40", soc_pct=60.0))
    async with site.gateway() as _:
        await site.until("a session", site.in_session)
        await site.command("discharge", power_w=2500, lease_s=60)
        await site.until("the result", lambda: site.bodies(f"evse/{EVSE}/result")[-1]["status"] == "achieved")
        assert site.car_w == pytest.approx(-2500, abs=100)
        await site.command("charge", power_w=2000, lease_s=60)
        await site.until("the direction", lambda: abs(site.car_w - 2000) < 100)
        await site.command("stop")
        assert abs(site.car_w) < 50


@pytest.mark.parametrize("profile", ["generic", "nichicon"])
async def test_a_box_that_answers_after_2_5_s_obeys_commands(profile: str) -> None:
    """An order of five requests takes longer than a station may take for its answer: it is not given up."""
    site = EchonetHome(BoxOptions(car="ccs-63"))
    site.lan.tamper = lambda flight: [(2.5 if flight.sender == BOX else 0.002, flight.data)]
    async with site.gateway(evses=[{"id": EVSE, "driver": "echonet", "address": BOX, "profile": profile}]) as _:
        await site.until("a session", site.in_session, 120)
        await site.command("discharge", power_w=2000, lease_s=120)
        await site.until("the result", lambda: site.bodies(f"evse/{EVSE}/result")[-1]["status"] == "achieved")
        assert site.car_w == pytest.approx(-2000, abs=60)
        assert [one["status"] for one in site.bodies(f"evse/{EVSE}/result")] == ["accepted", "achieved"]
        await site.clock.sleep(40)
        assert site.car_w == pytest.approx(-2000, abs=60), "it is renewed"
        await site.command("stop")
        assert abs(site.car_w) < 50
        events = [one["event"] for one in site.bodies(f"evse/{EVSE}/event")]
        assert "fault" not in events
        assert "station_lost" not in events
