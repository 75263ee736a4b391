"""A site over Modbus in closed loop: inputs without an MQTT publisher, a wallbox as an EVSE, limits that hold."""

from __future__ import annotations

import pytest

from tests.gateway.drivers.modbus.modbus_site import EVSE, ModbusSite
from tests.rounds import some

pytestmark = pytest.mark.virtual_time


async def test_meters_feed_the_inputs_of_the_site_without_a_publisher() -> None:
    site = ModbusSite(pv_w=2500.0)
    async with site.facility(), site.gateway("meters", "pvs", "storages") as running:
        await site.clock.sleep(5)
        state = running.service.site_state()
        inputs = {kind: one.freshness for kind, one in state.inputs.items()}
        assert {inputs[kind] for kind in ("grid", "pv", "storage")} == {"fresh"}
        flow = running.service.power_flow()
        assert flow.grid_w == pytest.approx(1500 - 2500 + 30, abs=40)  # with the standby consumption of the storage
        assert flow.pv_w == 2500
        assert not [one for one in site.received if "/input/" in one.topic]


@pytest.mark.parametrize("product", ["bidipro-10", "quasar-1", "ambibox"])
async def test_a_discharge_by_mqtt_reaches_the_battery_and_the_meter(product: str) -> None:
    site = ModbusSite(product)
    async with site.facility(), site.gateway("meters"):
        await site.clock.sleep(15)
        battery = site.box.stage.battery
        assert battery is not None
        soc_pct = battery.soc_pct
        assert await site.command("discharge", power_w=3000, lease_s=300) == "accepted"
        await site.clock.sleep(60)
        assert site.car_w(site.clock.now()) == pytest.approx(-3000, abs=20)
        assert site.grid_w(site.clock.now()) == pytest.approx(-1500, abs=50)
        assert battery.soc_pct < soc_pct
        statuses = [one["status"] for one in site.bodies(f"evse/{EVSE}/result")]
        assert statuses[-1] == "achieved"
        telemetry = site.bodies(f"evse/{EVSE}/telemetry")[-1]
        assert telemetry["power_w"] == pytest.approx(-3000, abs=20)
        state = site.bodies(f"evse/{EVSE}/state")[-1]
        assert state["connection"] == "connected"
        assert await site.command("stop") == "accepted"
        await site.clock.sleep(15)
        assert site.car_w(site.clock.now()) == 0
        assert site.device.violations == []


@pytest.mark.parametrize("product", ["bidipro-10", "quasar-1"])
async def test_the_facility_is_silent(product: str) -> None:
    """The lease ends; meter and wallbox go on to be read."""
    site = ModbusSite(product)
    async with site.facility(), site.gateway("meters") as running:
        await site.clock.sleep(15)
        began = site.clock.now()
        assert await site.command("discharge", power_w=3000, lease_s=30) == "accepted"
        await site.clock.sleep(20)
        assert site.car_w(site.clock.now()) == pytest.approx(-3000, abs=20)
        await site.clock.sleep(began + 30 + 6 - site.clock.now())
        assert site.car_w(site.clock.now()) == 0
        assert running.service.is_connected(EVSE)


@pytest.mark.parametrize("product", ["bidipro-10", "quasar-1"])
async def test_the_broker_is_gone(product: str) -> None:
    site = ModbusSite(product)
    async with site.facility(), site.gateway("meters", mqtt={"broker_grace_s": 10}):
        await site.clock.sleep(15)
        assert await site.command("discharge", power_w=3000, lease_s=600) == "accepted"
        await site.clock.sleep(20)
        site.broker.stop()
        await site.clock.sleep(30)
        assert site.car_w(site.clock.now()) == 0


@pytest.mark.parametrize(
    ("product", "late_s"),
    some([("bidipro-10", 2.0), ("bidipro-10", 0.0), ("quasar-1", 0.0), ("quasar-1", 2.0)], every=3),
)
async def test_the_import_limit_holds_with_a_late_meter_and_a_slow_charger(product: str, late_s: float) -> None:
    site = ModbusSite(product, base_w=lambda at: 1500.0 if at < 120 else 6000.0)
    site.cables["meter"].device.faults.delay_s = late_s
    async with site.facility(), site.gateway("meters", site={"id": "home", "import_limit_w": 8000}):
        await site.clock.sleep(30)
        assert await site.command("charge", power_w=7000, lease_s=600) in ("accepted", "clamped")
        await site.clock.sleep(70)
        assert 5500 < site.grid_w(site.clock.now()) <= 8010
        site.highest_grid_w = 0.0
        await site.clock.sleep(120 + 25 - site.clock.now())
        assert site.grid_w(site.clock.now()) <= 8010
        site.highest_grid_w = 0.0
        await site.clock.sleep(120)
        assert site.highest_grid_w <= 8010
        assert site.car_w(site.clock.now()) > 1000  # what is left is used


async def test_a_silent_meter_leaves_nothing() -> None:
    site = ModbusSite()
    async with site.facility(), site.gateway("meters", site={"id": "home", "import_limit_w": 8000}) as running:
        await site.clock.sleep(15)
        assert await site.command("charge", power_w=5000, lease_s=600) == "accepted"
        await site.clock.sleep(20)
        assert site.car_w(site.clock.now()) == pytest.approx(5000, abs=20)
        site.cables["meter"].device.faults.silent = True
        await site.clock.sleep(40)
        assert running.service.site_state().inputs["grid"].freshness == "stale"
        assert site.car_w(site.clock.now()) == 0
        site.cables["meter"].device.faults.silent = False
        await site.clock.sleep(60)
        assert running.service.site_state().inputs["grid"].freshness == "fresh"
        assert site.car_w(site.clock.now()) == pytest.approx(5000, abs=20)


@pytest.mark.parametrize("product", ["bidipro-10", "quasar-1", "ambibox"])
async def test_a_restart_of_the_gateway_in_the_middle(product: str) -> None:
    site = ModbusSite(product)
    async with site.facility():
        async with site.gateway("meters"):
            await site.clock.sleep(15)
            assert await site.command("discharge", power_w=3000, lease_s=300) == "accepted"
            await site.clock.sleep(30)
            assert site.car_w(site.clock.now()) == pytest.approx(-3000, abs=20)
        assert abs(site.car_w(site.clock.now())) < 1  # it leaves 0 W
        async with site.gateway("meters"):
            await site.clock.sleep(30)
            assert await site.command("discharge", power_w=2000, lease_s=300) == "accepted"
            await site.clock.sleep(30)
            assert site.car_w(site.clock.now()) == pytest.approx(-2000, abs=20)


async def test_a_silent_wallbox_is_a_fault_and_returns_without_a_restart() -> None:
    site = ModbusSite()
    async with site.facility(), site.gateway("meters") as running:
        await site.clock.sleep(15)
        assert await site.command("discharge", power_w=3000, lease_s=600) == "accepted"
        await site.clock.sleep(20)
        site.cables["box"].cut()
        await site.clock.sleep(20)
        assert site.car_w(site.clock.now()) == 0  # by its own time-out
        assert not running.service.is_connected(EVSE)
        state = running.service.state(EVSE)
        assert state is not None
        assert "CommunicationFault" in str(state.fault)
        site.cables["box"].restore()
        await site.clock.sleep(30)
        state = running.service.state(EVSE)
        assert state is not None
        assert state.fault is None
        assert await site.command("discharge", power_w=2000, lease_s=60) == "accepted"
        await site.clock.sleep(20)
        assert site.car_w(site.clock.now()) == pytest.approx(-2000, abs=20)


async def test_battery_and_meter_agree_in_energy() -> None:
    site = ModbusSite("ambibox")
    async with site.facility(), site.gateway("meters"):
        await site.clock.sleep(15)
        stage, battery = site.box.stage, site.box.stage.battery
        assert battery is not None
        site.car_w(site.clock.now())
        before = stage.meter.true_discharged_wh, stage.loss_wh
        assert await site.command("discharge", power_w=5000, lease_s=1800) == "accepted"
        await site.clock.sleep(300)
        site.car_w(site.clock.now())
        metered_wh = stage.meter.true_discharged_wh - before[0]
        telemetry = site.running.service.telemetry(EVSE) if site.running is not None else None
        assert telemetry is not None
        assert telemetry.energy_discharged_wh == pytest.approx(metered_wh, rel=0.005)
