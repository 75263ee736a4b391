"""Values of the gateway's objects, from its state."""

from __future__ import annotations

import json

import pytest

from gateway.model.site import SitePolicy
from protocols.echonet.classes import object_class
from protocols.echonet.frames import CONTROLLER, NODE_PROFILE, Eoj, Esv, Frame, Property, decode_map
from protocols.echonet.values import Value
from tests.gateway.hems.bench import BOARD, CLASS, OBJECT, PV, STORAGE, HemsBench, hems_bench

pytestmark = pytest.mark.virtual_time


async def test_the_values_of_an_evse() -> None:
    async with hems_bench(policy=SitePolicy("home", min_soc_pct=30)) as bench:
        found = {rule.name: bench.get(rule.name) for rule in CLASS.properties().values() if rule.get != "-"}
        expected: dict[str, Value] = {
            "serialNumber": b"CP1-1".ljust(12, b"\0"), "operationStatus": True, "faultStatus": False,
            "faultDescription": "noFault",
            "chargeDischargeStatus": "chargeableDischargeable", "equipmentType": "dc_aa_chargedischarge",
            "dischargeableCapacity1": 44_100, "remainingDischargeableCapacity1": 31_500,
            "remainingDischargeableCapacity3": 50, "ratedChargeElectricPower": 11_000,
            "ratedDischargeElectricPower": 10_000, "chargeableCapacity": 63_000,
            "remainingChargeableCapacity": 12_600, "usedCapacity1": 63_000, "remainingCapacity1": 50_400,
            "remainingCapacity3": 80, "instantaneousElectricPower": 0, "instantaneousVoltage": 400,
            "cumulativeDischargingElectricEnergy": 0, "powerSystemInterconnectionStatus": "reversePowerFlowAcceptable",
            "operationMode": "standby", "actualOperationMode": "standby",
            "minimumAndMaximumDischargingElectricPower": {"minimumElectricPower": 0, "maximumElectricPower": 10_000},
            "minimumAndMaximumChargingCurrent": {"minimumCurrent": 0.0, "maximumCurrent": 27.5},
            "vehicleId": {"dataSize": 4, "id": b"CAR1"}, "chargingElectricPower": 11_000,
        }  # fmt: skip
        assert {name: found[name] for name in expected} == expected


async def test_property_maps_and_instances() -> None:
    async with hems_bench() as bench:
        answer = bench.ask(Frame(1, CONTROLLER, NODE_PROFILE, Esv.GET, (Property(0xD6), Property(0x83))))
        assert answer is not None
        assert answer.properties[0].data == bytes(
            (5, *CONTROLLER.pack(), *OBJECT.pack(), *STORAGE.pack(), *PV.pack(), *BOARD.pack())
        )
        own = answer.properties[1].data
        maps = bench.ask(Frame(1, CONTROLLER, OBJECT, Esv.GET, (Property(0x9F), Property(0x9E), Property(0x9D))))
        assert maps is not None
        get, put, inf = (decode_map(one.data) for one in maps.properties)
        assert put == {0x81, 0xCD, 0xDA, 0xDC, 0xDD, 0xE0, 0xEB, 0xEC, 0xED, 0xEE}
        assert inf == {0x80, 0x81, 0x88, 0xC7, 0xDA, 0xDC, 0xDD, 0xE1}
        required = {epc for epc, rule in CLASS.properties().items() if rule.get == "R"}
        assert required <= get
        ids = {own, *(bench.get("id", eoj) for eoj in (OBJECT, STORAGE, PV, BOARD))}
        assert len(ids) == 5


@pytest.mark.parametrize("eoj", [OBJECT, STORAGE, PV, BOARD], ids=str)
async def test_every_readable_value_is_of_its_type(eoj: Eoj) -> None:
    async with hems_bench() as bench:
        _inputs(bench)
        own = next(one for one in bench.device.node._objects.values() if one.eoj == eoj)
        missing = {object_class(eoj.class_code).properties()[epc].name for epc in own.get if own.read(epc, 1.0) is None}
        assert missing <= {"chargingCurrent", "dischargingCurrent"}  # until they are set


def _inputs(bench: HemsBench) -> None:
    now = bench.rig.clock.wall()
    inputs: dict[str, dict[str, object]] = {
        "grid": {"present": True, "power_w": -1234.4},
        "pv": {"power_w": 3456.7},
        "storage": {
            "power_w": 800,
            "soc_pct": 40,
            "capacity_wh": 10_000,
            "max_charge_w": 5000,
            "max_discharge_w": 4000,
        },
    }
    for kind, values in inputs.items():
        assert bench.rig.service.input(kind, json.dumps({"ts": now, **values}).encode()) is None


async def test_the_objects_of_the_site() -> None:
    async with hems_bench() as bench:
        assert bench.get("instantaneousElectricPower", BOARD) == "noData"
        assert bench.get("instantaneousElectricPowerGeneration", PV) is None
        assert bench.get("operationStatus", STORAGE) is False
        _inputs(bench)
        assert bench.get("instantaneousElectricPower", BOARD) == -1234
        assert bench.get("instantaneousElectricPowerGeneration", PV) == 3457
        assert bench.get("instantaneousChargingAndDischargingElectricPower", STORAGE) == 800
        assert bench.get("remainingCapacity1", STORAGE) == 4000
        assert bench.get("acChargeableElectricEnergy", STORAGE) == 6000
        assert bench.get("actualOperationMode", STORAGE) == "charging"
        assert bench.get("minimumAndMaximumDischargingElectricPower", STORAGE) == {"minValue": 0, "maxValue": 4000}
        mode = Frame(1, CONTROLLER, STORAGE, Esv.SETC, (Property(0xDA, b"\x43"),))
        answer = bench.ask(mode)
        assert answer is not None
        assert answer.esv is Esv.SETC_SNA  # the energy management orders the storage


async def test_an_offline_station_and_an_island() -> None:
    async with hems_bench(policy=SitePolicy("home", export_limit_w=0)) as bench:
        assert bench.get("powerSystemInterconnectionStatus") == "reversePowerFlowNotAcceptable"
        bench.rig.control.site.islanded = True
        await bench.wait(1)
        assert bench.get("powerSystemInterconnectionStatus") == "independent"
        bench.rig.stations.disconnect("CP1")
        await bench.wait(1.5)
        assert bench.get("operationStatus") is False
        assert bench.get("chargeDischargeStatus") == "unknown"
        assert bench.announced("operationStatus") == [False]
