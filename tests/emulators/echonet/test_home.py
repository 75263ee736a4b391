"""Emulated devices of a home over ECHONET Lite: what they measure adds up, and orders act on the home."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from emulators.battery.pack import Pack
from emulators.charger.echonet.box import BOX_EOJ, V2hBox, box_object
from emulators.echonet.home import Home, constant_load
from emulators.echonet.meters import board, multiple_input_pcs, smart_meter
from emulators.echonet.plant import eoj_of
from emulators.echonet.run import BESIDE, HOME_PACK, BoxOptions, create, create_home
from emulators.echonet.solar import solar
from emulators.echonet.storage_battery import storage_battery
from emulators.site.pv import Pv
from emulators.site.storage import Storage
from protocols.echonet.classes import (
    DEVICE_CLASSES,
    DISTRIBUTION_BOARD,
    MULTIPLE_INPUT_PCS,
    SMART_METER,
    SOLAR,
    STORAGE_BATTERY,
    object_class,
)
from protocols.echonet.engine import Node
from protocols.echonet.events import Announce, ObjectDescribed, Request, RequestAnswered
from protocols.echonet.frames import Eoj, Esv, Property
from protocols.echonet.values import Value
from tests.protocols.echonet.bench import BOX, HEMS, Network
from tests.protocols.echonet.captured import MAPS

NOON = datetime(2026, 6, 1, 3, 0, tzinfo=UTC).timestamp()  # 12:00 in Japan
OBJECTS = [BOX_EOJ, *map(eoj_of, (STORAGE_BATTERY, SOLAR, DISTRIBUTION_BOARD, SMART_METER, MULTIPLE_INPUT_PCS))]
STORAGE, PV, BOARD, METER, PCS = OBJECTS[1:]


class Bench:
    """A home with all devices and a controller; values by object and short name."""

    def __init__(self, *, house_w: float = 800.0, wall: float = NOON) -> None:
        self.box = V2hBox()
        self.box.connect(Pack(soc_start_pct=50.0), 0.0)
        self.storage = Storage(Pack(HOME_PACK, 50.0))
        self.home = Home(self.box, constant_load(house_w), Pv(), self.storage, wall)
        home = self.home
        objects = [storage_battery(home), solar(home), board(home), smart_meter(home), multiple_input_pcs(home)]
        self.network = Network({BOX: Node([box_object(self.box), *objects]), HEMS: Node()})
        self.network.order(BOX, Announce())
        self.run(60)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds)):
            self.network.run(1)
            self.home.advance(self.network.now)

    def _request(self, eoj: Eoj, esv: Esv, prop: Property) -> RequestAnswered:
        self.network.order(HEMS, Request(BOX, eoj, esv, (prop,)))
        self.network.run(0.1)
        answered = self.network.of(HEMS, RequestAnswered)[-1]
        assert isinstance(answered, RequestAnswered)
        return answered

    def get(self, eoj: Eoj, name: str) -> Value | None:
        rule = object_class(eoj.class_code).named(name)
        answered = self._request(eoj, Esv.GET, Property(rule.epc))
        assert answered.answer is not None
        return None if answered.refused else rule.kind.decode(answered.answer.properties[0].data)

    def number(self, eoj: Eoj, name: str) -> float:
        value = self.get(eoj, name)
        assert isinstance(value, int | float)
        return value

    def set(self, eoj: Eoj, name: str, value: Value) -> bool:
        rule = object_class(eoj.class_code).named(name)
        return not self._request(eoj, Esv.SETC, Property(rule.epc, rule.kind.encode(value))).refused


def test_the_powers_of_all_devices_add_up() -> None:
    bench = Bench()
    assert bench.set(STORAGE, "operationMode", "standby")
    assert bench.set(BOX_EOJ, "dischargingMethod", "designatedElectricPower")
    assert bench.set(BOX_EOJ, "dischargingElectricPower", 2000)
    assert bench.set(BOX_EOJ, "operationMode", "discharge")
    bench.run(20)
    grid_w = bench.number(METER, "instantaneousElectricPower")
    box_w = bench.number(BOX_EOJ, "instantaneousElectricPower")
    pv_w = bench.number(PV, "instantaneousElectricPowerGeneration")
    storage_w = bench.number(STORAGE, "instantaneousChargingAndDischargingElectricPower")
    assert box_w == pytest.approx(-2000, abs=20)
    assert pv_w > 2000
    assert grid_w == pytest.approx(800 + box_w + storage_w - pv_w, abs=5)
    assert bench.number(BOARD, "instantaneousElectricPower") == grid_w
    assert bench.number(PCS, "instantaneousElectricPower") == pytest.approx(grid_w - 800, abs=2)
    duplex = bench.get(BOARD, "instantaneousElectricPowerListDuplex")
    simplex = bench.get(BOARD, "instantaneousElectricPowerListSimplex")
    assert isinstance(duplex, dict)
    assert isinstance(simplex, dict)
    assert duplex["instantaneousElectricPower"] == (round(box_w), round(storage_w), -pv_w)
    assert simplex["instantaneousElectricPower"] == (800,)


def test_the_storage_follows_the_house_and_its_orders() -> None:
    bench = Bench()
    bench.run(30)
    assert bench.get(STORAGE, "operationMode") == "auto"
    assert bench.get(STORAGE, "actualOperationMode") == "charging"  # from the surplus
    assert abs(bench.number(METER, "instantaneousElectricPower")) < 150
    assert bench.set(STORAGE, "dischargingMethod", "designatedPower")
    assert bench.set(STORAGE, "dischargingPower", 1500)
    assert bench.set(STORAGE, "operationMode", "discharging")
    bench.run(20)
    assert bench.number(STORAGE, "instantaneousChargingAndDischargingElectricPower") == pytest.approx(-1500, abs=20)
    before = bench.number(STORAGE, "remainingCapacity1")
    bench.run(1800)
    assert bench.number(STORAGE, "remainingCapacity1") == pytest.approx(before - 750, rel=0.03)
    assert bench.number(STORAGE, "acCumulativeDischargingElectricEnergy") == pytest.approx(0.75, rel=0.05)
    assert bench.set(STORAGE, "resetCumulativeDischargingElectricEnergy", "reset")
    assert bench.number(STORAGE, "cumulativeDischargingElectricEnergy") < 0.01
    assert bench.set(STORAGE, "operationMode", "standby")
    bench.run(10)
    assert bench.get(STORAGE, "actualOperationMode") == "standby"
    assert not bench.set(STORAGE, "operationMode", "capacityRecalculation")


def test_an_ordered_power_of_the_storage_ends_at_its_floor() -> None:
    bench = Bench()
    bench.storage.floor_pct = 48.0
    assert bench.set(STORAGE, "dischargingMethod", "designatedPower")
    assert bench.set(STORAGE, "operationMode", "discharging")
    for _ in range(60):
        bench.run(30)
        bench.get(STORAGE, "actualOperationMode")
    assert bench.get(STORAGE, "actualOperationMode") == "standby"
    assert bench.storage.soc_pct == pytest.approx(48, abs=1)


def test_the_output_limit_of_the_pv() -> None:
    bench = Bench()
    free_w = bench.number(PV, "instantaneousElectricPowerGeneration")
    assert bench.get(PV, "outputPowerRestraintStatus") == "notPowerRestraint"
    assert bench.set(PV, "outputPowerControl1", 20)
    bench.run(5)
    assert free_w > bench.number(PV, "instantaneousElectricPowerGeneration") == 2000
    assert bench.get(PV, "outputPowerRestraintStatus") == "outputControl"
    assert bench.set(PV, "outputPowerControl1", 100)


def test_the_registers_of_the_smart_meter() -> None:
    bench = Bench(wall=NOON - 12 * 3600, house_w=3000.0)  # midnight
    assert bench.set(STORAGE, "operationMode", "standby")
    bench.run(3600)
    total = bench.number(METER, "normalDirectionCumulativeElectricEnergy")
    assert total * 0.1 == pytest.approx(3.0, abs=0.2)
    fixed = bench.get(METER, "normalDirectionCumulativeElectricEnergyAtEvery30Min")
    assert fixed == {"dateAndTime": "2026-06-01T01:00:00", "electricEnergy": pytest.approx(30, abs=2)}
    history = bench.get(METER, "normalDirectionCumulativeElectricEnergyLog1")
    assert isinstance(history, dict)
    values = history["electricEnergy"]
    assert isinstance(values, tuple)
    assert values[:3] == (0, pytest.approx(15, abs=1), pytest.approx(30, abs=2))
    assert set(values[3:]) == {"noData"}
    assert bench.set(METER, "dayForTheHistoricalDataOfCumulativeElectricEnergy1", 1)
    yesterday = bench.get(METER, "normalDirectionCumulativeElectricEnergyLog1")
    assert yesterday == {"day": 1, "electricEnergy": ("noData",) * 48}


@pytest.mark.parametrize("eoj", OBJECTS, ids=str)
def test_every_value_is_of_its_type_and_what_is_required_is_there(eoj: Eoj) -> None:
    bench = Bench()
    [described] = [one for one in bench.network.of(HEMS, ObjectDescribed) if one.eoj == eoj]
    rules = object_class(eoj.class_code).properties(described.release)
    required = {epc for epc, rule in rules.items() if rule.get == "R"}
    assert {rules[epc].name for epc in required - described.get} == set()
    assert {rules[epc].name for epc in described.get if bench.get(eoj, rules[epc].name) is None} == set()


@pytest.mark.parametrize("code", [STORAGE_BATTERY, SOLAR])
def test_the_property_maps_of_a_real_product(code: int) -> None:
    bench = Bench()
    maps = {kind: frozenset(epc for epc in MAPS[f"{code:04X} {kind}"] if epc < 0xF0) for kind in ("GET", "SET", "INF")}
    make = storage_battery if code == STORAGE_BATTERY else solar
    own = make(bench.home, "Q", get=maps["GET"], settable=maps["SET"])
    assert (own.get, own.set, own.inf) == (maps["GET"], maps["SET"], maps["INF"])


def test_a_home_of_the_program_has_all_classes() -> None:
    options = BoxOptions(car="ccs-63", beside=tuple(BESIDE), storage_wh=9800.0)
    box = create(options, 0.0)
    home = create_home(options, box, NOON)
    made = [make(home) for make in BESIDE.values()]
    assert {one.eoj.class_code for one in [box_object(box), *made]} == set(DEVICE_CLASSES)
    assert home.storage is not None
    assert isinstance(home.storage.battery, Pack)
    assert home.storage.battery.spec.usable_wh == pytest.approx(9800)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (BoxOptions(beside=("fridge",)), "'fridge' is none of storage, pv, board"),
        (BoxOptions(beside=("pv", "pv")), "once"),
        (BoxOptions(beside=("pv",), house_w=-5.0), "at least 0 W"),
    ],
)
def test_a_home_that_cannot_be(options: BoxOptions, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        create_home(options, create(options, 0.0), NOON)
