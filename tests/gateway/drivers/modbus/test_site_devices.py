"""Meters, inverters and storage: what becomes an input, and orders to storage and photovoltaics."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any

import pytest

from emulators.battery.pack import Pack, PackSpec
from emulators.modbus.sunspec import Measurements, PvPlant, StoragePlant, sunspec_device
from emulators.runtime.clock import VirtualClock
from emulators.site.storage import Storage
from gateway.drivers.echonet.finding import ObjectLink
from gateway.drivers.echonet.site_object import SiteObject
from gateway.drivers.modbus.site import SiteDevice, SiteDevices
from gateway.drivers.site_inputs import SiteInputs, input_of
from gateway.model.reason import Reason
from gateway.model.site import InputKind
from gateway.model.station import Answer
from protocols.echonet.classes import STORAGE_BATTERY
from protocols.modbus.io import ModbusClient
from protocols.modbus.register import Meaning
from protocols.modbus.register_map import shipped
from tests.gateway.drivers.modbus.bench import Cable, connected
from tests.gateway.drivers.modbus.modbus_site import ModbusSite

METER, PV, STORAGE = shipped("sunspec-meter"), shipped("sunspec-pv"), shipped("sunspec-storage")


def device(kind: InputKind, values: dict[Meaning, float | str], sign: int = 1) -> SiteDevice:
    def connect() -> Any:
        raise AssertionError("not connected here")

    return SiteDevice("x", kind, METER, connect, sign, values)


def test_storages_of_all_drivers_share_a_set_point() -> None:
    inputs = SiteInputs(lambda kind, body: None, VirtualClock())
    inputs.add([device(InputKind.STORAGE, {}), device(InputKind.PV, {})])
    assert inputs.share_w(InputKind.STORAGE, -3000.0) == -3000.0
    link = ObjectLink([STORAGE_BATTERY], "192.0.2.11")
    inputs.add([SiteObject("storages.1", InputKind.STORAGE, link)])
    assert inputs.share_w(InputKind.STORAGE, -3000.0) == -1500.0


def test_powers_add_up_and_a_missing_one_is_not_zero() -> None:
    two = [device(InputKind.PV, {Meaning.POWER_W: 1000.0}), device(InputKind.PV, {Meaning.POWER_W: -20.0})]
    assert input_of(InputKind.PV, two) == {"power_w": 980.0}
    assert input_of(InputKind.PV, [*two, device(InputKind.PV, {})]) is None
    assert input_of(InputKind.PV, []) is None
    assert input_of(InputKind.PV, two[1:]) == {"power_w": 0.0}  # standby of an inverter at night


def test_a_meter_mounted_the_other_way_round() -> None:
    values: dict[Meaning, float | str] = {
        Meaning.POWER_W: -500.0, Meaning.VOLTAGE_V: 231.0, Meaning.FREQUENCY_HZ: 50.01
    }  # fmt: skip
    body = input_of(InputKind.GRID, [device(InputKind.GRID, values, -1)])
    assert body == {"power_w": 500.0, "present": True, "voltage_v": 231.0, "frequency_hz": 50.01}
    assert input_of(InputKind.LOAD, [device(InputKind.LOAD, values, -1)]) == {"power_w": 500.0}


def test_storages_are_one_storage_weighted_by_capacity() -> None:
    large: dict[Meaning, float | str] = {
        Meaning.POWER_W: -1000.0, Meaning.SOC_PCT: 80.0, Meaning.CAPACITY_WH: 30_000.0, Meaning.MAX_CHARGE_W: 5000.0
    }  # fmt: skip
    small: dict[Meaning, float | str] = {
        Meaning.POWER_W: 200.0, Meaning.SOC_PCT: 40.0, Meaning.CAPACITY_WH: 10_000.0, Meaning.MAX_CHARGE_W: 3000.0
    }  # fmt: skip
    body = input_of(InputKind.STORAGE, [device(InputKind.STORAGE, large), device(InputKind.STORAGE, small)])
    assert body == {"power_w": -800.0, "soc_pct": 70.0, "capacity_wh": 40_000.0, "max_charge_w": 8000.0}
    del small[Meaning.SOC_PCT]
    body = input_of(InputKind.STORAGE, [device(InputKind.STORAGE, large), device(InputKind.STORAGE, small)])
    assert body is not None
    assert "soc_pct" not in body


@pytest.mark.virtual_time
async def test_a_meter_that_answers_late_is_stamped_when_it_was_asked() -> None:
    clock = VirtualClock()
    sent: list[tuple[str, float, dict[str, float]]] = []
    cable = Cable(sunspec_device(METER, [1, 203], Measurements({Meaning.POWER_W: lambda at: 1234.0}), clock))
    cable.device.faults.delay_s = 2.0

    def send(kind: str, payload: bytes) -> Reason | None:
        sent.append((kind, clock.wall(), json.loads(payload)))
        return None

    meter = SiteDevice("meters.0", InputKind.GRID, METER, lambda: ModbusClient(cable.connect, clock))
    devices = SiteDevices([meter], SiteInputs(send, clock), clock, lambda: None)
    running = asyncio.get_running_loop().create_task(devices.run())
    await clock.sleep(60)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    kind, wall, body = sent[-1]
    assert kind == "grid"
    assert body["power_w"] == 1234.0
    assert wall - body["ts"] >= 2.0


@pytest.mark.virtual_time
@pytest.mark.parametrize("models", [[1, 103, 120, 802], [1, 701, 702, 713, 704], [64_001, 1, 113, 124]])
async def test_a_storage_is_read_whichever_models_it_has(models: list[int]) -> None:
    clock = VirtualClock()
    plant = StoragePlant(Storage(Pack(PackSpec("storage"), 55.0)))
    plant.storage.command(2000.0, 0.0)
    emulated = sunspec_device(STORAGE, models, plant, clock, exponents={"m713_pct_sf": -1, "m802_soc_sf": -2})
    async with connected(emulated, STORAGE) as bench:
        await bench.until_ready()
        await clock.sleep(5)
        values = bench.rounds[-1].values
        assert values[Meaning.POWER_W] == pytest.approx(2000, abs=2)
        assert values[Meaning.SOC_PCT] == pytest.approx(55, abs=1)
        assert values[Meaning.MODEL] == "S1"


@pytest.mark.virtual_time
async def test_a_storage_reverts_by_itself_when_the_gateway_is_gone() -> None:
    clock = VirtualClock()
    plant = StoragePlant(Storage(Pack(PackSpec("storage"), 55.0)))
    emulated = sunspec_device(STORAGE, [1, 701, 702, 713, 704], plant, clock)
    async with connected(emulated, STORAGE) as bench:
        await bench.until_ready()
        sent = clock.now()
        assert (await bench.driver.order(-2500.0, 15.0)).answer is Answer.APPLIED
        await clock.sleep(3)
        assert plant.storage.power_w(clock.now()) == pytest.approx(-2500, abs=5)
        bench.cable.cut()
        await clock.sleep(sent + 15.5 - clock.now())
        plant.requested(clock.now())
        assert len(plant.reversions) == 1
        assert plant.reversions[0] <= sent + 15.0
        await clock.sleep(5)
        assert plant.storage.power_w(clock.now()) == 0
    assert emulated.violations == []


@pytest.mark.virtual_time
@pytest.mark.parametrize("models", [[1, 701, 702, 713, 704, 715], [1, 103, 802, 120, 124]])
async def test_a_storage_that_supervises_its_controller_gets_a_heartbeat(models: list[int]) -> None:
    clock = VirtualClock()
    plant = StoragePlant(Storage(Pack(PackSpec("storage"), 55.0)))
    plant.watch.within_s = 3.0
    emulated = sunspec_device(STORAGE, models, plant, clock, exponents={"m124_inoutwrte_sf": -2})
    async with connected(emulated, STORAGE) as bench:
        await bench.until_ready()
        await clock.sleep(5)
        assert plant.watch.counts == [], "nothing is written without an order"
        for _ in range(4):
            assert (await bench.driver.order(-2500.0, 15.0)).answer is Answer.APPLIED
            await clock.sleep(10)
        assert plant.storage.power_w(clock.now()) == pytest.approx(-2500, abs=30)
        assert plant.watch.counts == list(range(1, len(plant.watch.counts) + 1))
        assert len(plant.watch.counts) == pytest.approx(41, abs=2)
        assert plant.watch.ended == []
        assert (await bench.driver.order(-2500.0, 15.0)).answer is Answer.APPLIED
        bench.cable.cut()  # it ends by the heartbeat, long before the reversion time
        await clock.sleep(4.5)
        plant.requested(clock.now())
        assert len(plant.watch.ended) == 1
        assert plant.storage.power_w(clock.now()) == pytest.approx(0, abs=30)
        bench.cable.restore()
        await bench.until_ready()
        assert (await bench.driver.order(-2500.0, 15.0)).answer is Answer.APPLIED
        await clock.sleep(5)
        assert plant.storage.power_w(clock.now()) == pytest.approx(-2500, abs=30)
    assert emulated.violations == []


@pytest.mark.virtual_time
async def test_a_storage_that_takes_no_0_w_gets_no_heartbeat_beyond_its_time() -> None:
    clock = VirtualClock()
    plant = StoragePlant(Storage(Pack(PackSpec("storage"), 55.0)))
    emulated = sunspec_device(STORAGE, [1, 701, 702, 713, 704, 715], plant, clock)
    async with connected(emulated, STORAGE) as bench:
        await bench.until_ready()
        assert (await bench.driver.order(-2500.0, 15.0)).answer is Answer.APPLIED
        emulated.faults.refuses_writes = 4  # device failure
        await clock.sleep(30)
        heartbeat = bench.driver.engine.control.heartbeat
        count = heartbeat.count
        assert 14 <= count <= 16
        await clock.sleep(5)
        assert heartbeat.count == count
        emulated.faults.refuses_writes = None
        await clock.sleep(5)
        assert heartbeat.count >= count + 3, "0 W is confirmed"


@pytest.mark.virtual_time
@pytest.mark.parametrize("models", [[1, 701, 702, 713, 704, 715], [1, 103, 715, 802, 120, 124]])
async def test_the_heartbeat_of_a_storage_that_answers_slowly_delays_no_order_and_no_reading(models: list[int]) -> None:
    clock = VirtualClock()
    plant = StoragePlant(Storage(Pack(PackSpec("storage"), 55.0)))
    plant.watch.within_s = 10.0
    emulated = sunspec_device(STORAGE, models, plant, clock, exponents={"m124_inoutwrte_sf": -2})
    emulated.faults.delay_s = 1.1  # longer than the period of the heartbeat
    async with connected(emulated, STORAGE) as bench:
        await bench.until_ready()
        known = len(bench.rounds)
        for power_w in (-2500.0, 2000.0, 0.0):
            async with asyncio.timeout(30):
                assert (await bench.driver.order(power_w, 60.0)).answer is Answer.APPLIED
            await clock.sleep(10)
            assert plant.storage.power_w(clock.now()) == pytest.approx(power_w or 30, abs=30)
        assert len(bench.rounds) >= known + 3
        assert plant.watch.ended == []
    assert emulated.violations == []


@pytest.mark.virtual_time
async def test_energy_management_controls_a_storage_without_a_facility() -> None:
    """The storage takes the PV surplus: the site neither imports nor exports."""
    site = ModbusSite(pv_w=4000.0)
    energy = {"storage": {"controlled": True, "max_charge_w": 5000, "max_discharge_w": 5000, "capacity_wh": 60_000}}
    async with site.gateway(
        "meters", "pvs", "storages", site={"id": "home", "mode": "self_consumption"}, energy=energy
    ):
        await site.clock.sleep(120)
        assert site.storage.storage.power_w(site.clock.now()) == pytest.approx(2500, abs=300)
        assert abs(site.grid_w(site.clock.now())) < 300
    assert site.cables["storage"].device.violations == []


@pytest.mark.virtual_time
async def test_a_device_with_other_models_is_named() -> None:
    clock = VirtualClock()
    emulated = sunspec_device(PV, [1, 103], Measurements({Meaning.POWER_W: lambda at: 1.0}), clock)
    async with connected(emulated, METER) as bench:
        await clock.sleep(5)
        # model 1 alone is no meter
        assert bench.silences == ["the device has none of the registers that sunspec-meter reads each time"]


@pytest.mark.virtual_time
@pytest.mark.parametrize("models", [[1, 103, 120, 124], [1, 701, 702, 713, 704], [1, 103, 124]])
async def test_a_storage_is_ordered_whichever_models_it_has(models: list[int]) -> None:
    clock = VirtualClock()
    plant = StoragePlant(Storage(Pack(PackSpec("storage"), 55.0)))
    emulated = sunspec_device(STORAGE, models, plant, clock, exponents={"m124_inoutwrte_sf": -2})
    async with connected(emulated, STORAGE) as bench:
        await bench.until_ready()
        for power_w in (2000.0, -2500.0, 0.0, 1500.0):
            assert (await bench.driver.order(power_w, 15.0)).answer is Answer.APPLIED
            await clock.sleep(5)
            assert plant.storage.power_w(clock.now()) == pytest.approx(power_w or 30, abs=30)
        sent = clock.now() - 5
        bench.cable.cut()
        await clock.sleep(20)
        plant.requested(clock.now())
        assert plant.reversions[-1] <= sent + 15.0
    assert emulated.violations == []


@pytest.mark.virtual_time
async def test_an_order_that_is_changed_at_the_device_is_given_again(caplog: pytest.LogCaptureFixture) -> None:
    site = ModbusSite(pv_w=4000.0)
    energy = {"storage": {"controlled": True, "max_charge_w": 5000, "max_discharge_w": 5000, "capacity_wh": 60_000}}
    async with site.gateway(
        "meters", "pvs", "storages", site={"id": "home", "mode": "self_consumption"}, energy=energy
    ):
        await site.clock.sleep(120)
        device = site.cables["storage"].device
        setpoint = device.product.by_name["set_power"]
        device._stored["set_power"] = -100.0
        site.storage.written(setpoint, -100.0, site.clock.now())
        await site.clock.sleep(40)
        assert site.storage.storage.power_w(site.clock.now()) == pytest.approx(2500, abs=300)
    assert "changed at the device: set_power" in caplog.text


@pytest.mark.virtual_time
@pytest.mark.parametrize("models", [[1, 103, 120, 123], [1, 701, 702, 704], [1, 103, 121, 123]])
async def test_photovoltaics_are_limited_and_the_limit_ends_by_itself(models: list[int]) -> None:
    clock = VirtualClock()
    plants = [PvPlant(lambda at: 4500.0), PvPlant(lambda at: 4500.0, rated_w=10_000.0)]
    scales = {"m123_wmaxlimpct_sf": -1, "m704_wmaxlimpct_sf": -1}
    cables = [Cable(sunspec_device(PV, models, plant, clock, exponents=scales)) for plant in plants]
    limit: list[float | None] = [None]

    def client(cable: Cable) -> ModbusClient:
        return ModbusClient(cable.connect, clock)

    def send(kind: str, payload: bytes) -> Reason | None:
        return None

    devices = [
        SiteDevice(f"pvs.{number}", InputKind.PV, PV, partial(client, cable)) for number, cable in enumerate(cables)
    ]
    site = SiteDevices(devices, SiteInputs(send, clock), clock, lambda: None, lambda: limit[0])
    running = asyncio.get_running_loop().create_task(site.run())

    def total_w() -> float:
        return sum(plant.power_w(clock.now()) for plant in plants)

    await clock.sleep(15)
    assert total_w() == 9000
    for limit[0], expected_w in ((6000.0, 6000), (3000.0, 3000), (0.0, 0), (None, 9000), (1500.0, 1500)):
        await clock.sleep(20)
        assert total_w() == pytest.approx(expected_w, abs=10)
    running.cancel()  # the gateway is gone: an inverter without an order generates again
    await asyncio.gather(running, return_exceptions=True)
    await clock.sleep(16)
    assert total_w() == 9000
    assert [cable.device.violations for cable in cables] == [[], []]
