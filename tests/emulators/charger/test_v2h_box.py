"""Emulated V2H box: orders of a controller over ECHONET Lite, power and energy of converter and battery."""

from __future__ import annotations

import pytest

from emulators.battery.pack import Pack
from emulators.charger.echonet.box import BOX_EOJ, Ratings, V2hBox, box_object
from emulators.charger.echonet.chademo_link import ChademoLink
from emulators.ev.profile import load
from protocols.chademo.states import ChargerState
from protocols.echonet.classes import EV_CHARGER_DISCHARGER, object_class
from protocols.echonet.engine import Node
from protocols.echonet.events import Announce, ObjectDescribed, Request, RequestAnswered
from protocols.echonet.frames import Esv, Property
from protocols.echonet.values import Value
from tests.protocols.echonet.bench import BOX, HEMS, Network

CLASS = object_class(EV_CHARGER_DISCHARGER)


class Bench:
    """A box with a controller; values by their short names."""

    def __init__(self, box: V2hBox | None = None, *, connected: bool = True) -> None:
        self.box = box or V2hBox()
        self.pack = Pack()
        if connected:
            self.box.connect(self.pack, 0.0)
        self.network = Network({BOX: Node([box_object(self.box)]), HEMS: Node()})
        self.network.order(BOX, Announce())
        self.network.run(1)

    def _request(self, esv: Esv, *properties: Property) -> RequestAnswered:
        self.network.order(HEMS, Request(BOX, BOX_EOJ, esv, properties))
        self.network.run(1)
        answered = self.network.of(HEMS, RequestAnswered)[-1]
        assert isinstance(answered, RequestAnswered)
        return answered

    def set(self, name: str, value: Value) -> bool:
        rule = CLASS.named(name)
        return not self._request(Esv.SETC, Property(rule.epc, rule.kind.encode(value))).refused

    def get(self, name: str) -> Value | None:
        rule = CLASS.named(name)
        answered = self._request(Esv.GET, Property(rule.epc))
        assert answered.answer is not None
        return None if answered.refused else rule.kind.decode(answered.answer.properties[0].data)

    def power(self) -> float:
        self.network.run(10)
        power_w = self.get("instantaneousElectricPower")
        assert isinstance(power_w, int)
        return power_w


def test_a_discharge_by_method_power_and_mode() -> None:
    bench = Bench()
    assert bench.get("chargeDischargeStatus") == "chargeableDischargeable"
    assert bench.set("dischargingMethod", "designatedElectricPower")
    assert bench.set("dischargingElectricPower", 2500)
    assert bench.set("operationMode", "discharge")
    assert bench.power() == pytest.approx(-2500, abs=20)
    assert bench.get("actualOperationMode") == "discharge"
    before = bench.pack.soc_pct
    bench.network.run(3600)
    energy = bench.get("cumulativeDischargingElectricEnergy")
    assert isinstance(energy, float)
    assert energy == pytest.approx(2.5, rel=0.02)
    assert bench.pack.soc_pct < before - 3
    assert bench.get("remainingCapacity3") == round(bench.pack.soc_pct)
    assert bench.set("operationMode", "standby")
    assert bench.power() == 0
    assert bench.get("actualOperationMode") == "standby"


@pytest.mark.parametrize(
    ("mode", "settings", "house_w", "power_w"),
    [
        ("charge", {"chargingMethod": "maximumChargingElectricPower"}, 0, 6000),
        ("charge", {"chargingMethod": "surplusElectricPower"}, -1800, 1800),
        ("charge", {"chargingMethod": "designatedElectricPower", "chargingElectricPower": 2000}, 0, 2000),
        ("charge", {"chargingMethod": "designatedPurchasingElectricPower", "purchasingElectricPower": 3000}, 800, 2200),
        ("discharge", {"dischargingMethod": "loadFollowing"}, 1500, -1500),
        ("discharge", {"dischargingMethod": "maximumDischargingElectricPower"}, 0, -6000),
        ("discharge", {"dischargingMethod": "designatedPurchasingElectricPower",
                       "purchasingElectricPower": 500}, 3000, -2500),
        ("chargingDischarging", {"dischargingMethod": "v2G", "chargingMethod": "v2G",
                                 "chargingDischargingElectricPower": -1234}, 0, -1234),
        ("idle", {}, 2000, 0),
        ("automatic", {}, 1700, -1700),
        ("automatic", {}, -2100, 2100),
        ("preparation", {}, 1700, 0),
    ],
)  # fmt: skip
def test_modes_and_methods(mode: str, settings: dict[str, Value], house_w: float, power_w: float) -> None:
    bench = Bench()
    bench.pack.soc_pct = 50.0
    bench.box.house_w = house_w
    assert all(bench.set(name, value) for name, value in settings.items())
    assert bench.set("operationMode", mode)
    assert bench.power() == pytest.approx(power_w, abs=30)


def test_without_a_vehicle_there_are_no_values_and_no_power() -> None:
    bench = Bench(connected=False)
    assert bench.get("chargeDischargeStatus") == "notConnected"
    assert bench.get("remainingCapacity3") is None
    assert not bench.set("operationMode", "discharge")
    assert bench.get("operationMode") == "standby"


def test_the_mode_ends_with_the_vehicle() -> None:
    bench = Bench()
    assert bench.set("operationMode", "charge")
    bench.box.disconnect(bench.network.now)
    assert bench.power() == 0
    assert bench.get("operationMode") == "standby"


def test_the_target_energy_ends_the_mode() -> None:
    bench = Bench()
    assert bench.set("dischargingMethod", "maximumDischargingElectricPower")
    assert bench.set("targetDischargingElectricEnergy", 1000)
    assert bench.set("operationMode", "discharge")
    bench.network.run(3600)
    assert bench.get("operationMode") == "standby"
    assert bench.get("cumulativeDischargingElectricEnergy") == pytest.approx(1.0, abs=0.05)
    assert bench.set("resetCumulativeDischargingElectricEnergy", "reset")
    assert bench.get("cumulativeDischargingElectricEnergy") == pytest.approx(0.0, abs=0.01)


def test_a_target_of_charge_in_ampere_hours_replaces_that_in_watt_hours() -> None:
    bench = Bench()
    bench.pack.soc_pct = 40.0
    nominal_v, energy = bench.pack.spec.nominal_v, bench.get("remainingCapacity1")
    assert isinstance(energy, int)
    assert bench.get("remainingCapacity2") == pytest.approx(energy / nominal_v, abs=0.1)
    assert bench.set("targetChargingElectricEnergy1", 9000)
    assert bench.set("targetChargingElectricEnergy2", 3.0)
    assert bench.get("targetChargingElectricEnergy1") == 0
    assert bench.set("operationMode", "charge")
    bench.network.run(3600)
    assert bench.get("operationMode") == "standby"
    assert bench.get("cumulativeChargingElectricEnergy") == pytest.approx(3.0 * nominal_v / 1000, rel=0.1)


def test_a_box_without_omissions_has_every_property_of_the_sheet() -> None:
    own = box_object(V2hBox())
    assert {epc for epc in CLASS.properties() if epc >= 0xC0} <= own.get | own.set


def test_an_outage_and_the_permission_to_reconnect() -> None:
    bench = Bench()
    bench.box.house_w = 1200
    assert bench.set("reInterconnectionPermission", "prohibited")
    assert bench.set("operationMode", "discharge")
    bench.box.set_grid(False, bench.network.now)
    assert bench.get("powerSystemInterconnectionStatus") == "independent"
    assert bench.power() == pytest.approx(-1200, abs=30)
    bench.box.set_grid(True, bench.network.now)
    assert bench.get("powerSystemInterconnectionStatus") == "independent"
    assert bench.set("reInterconnectionPermission", "permitted")
    assert bench.get("powerSystemInterconnectionStatus") == "reversePowerFlowNotAcceptable"


@pytest.mark.parametrize("release", list("DGJNPQR"))
def test_a_box_of_every_release_describes_itself(release: str) -> None:
    bench = Bench(V2hBox(Ratings(release=release, omitted={0xEC})))
    [described] = bench.network.of(HEMS, ObjectDescribed)
    rules = CLASS.properties(release)
    assert (described.release, described.get <= set(rules), 0xEC in described.set) == (release, True, False)
    required = {epc for epc, rule in rules.items() if rule.get == "R"}
    assert required <= described.get


def test_preparation_starts_the_session_of_a_leaf_without_power() -> None:
    box, pack = V2hBox(), Pack(load("leaf-40").pack, 60.0)
    link = ChademoLink(pack)
    box.connect(pack, 0.0, link)
    bench = Bench(box, connected=False)
    assert bench.set("operationMode", "preparation")
    assert bench.get("actualOperationMode") == "preparation"
    bench.network.run(150)
    assert (state(link), bench.power()) == (ChargerState.POWER, 0)
    assert bench.set("operationMode", "standby")
    bench.network.run(120)
    assert state(link) is ChargerState.IDLE


def test_there_is_no_preparation_before_release_p() -> None:
    bench = Bench(V2hBox(Ratings(release="N")))
    assert not bench.set("operationMode", "preparation")
    assert not bench.set("operationMode", "automatic")


def test_a_fault_ends_the_power() -> None:
    bench = Bench()
    assert bench.set("operationMode", "charge")
    bench.box.fault = True
    assert bench.power() == 0
    assert bench.get("faultStatus") is True
    assert not bench.set("operationMode", "discharge")


def state(link: ChademoLink) -> ChargerState:
    return link.pair.charger.state


def test_a_leaf_over_chademo_discharges_under_control_of_the_hems() -> None:
    box = V2hBox()
    pack = Pack(load("leaf-40").pack, 60.0)
    link = ChademoLink(pack)
    box.connect(pack, 0.0, link)
    bench = Bench(box, connected=False)
    assert state(link) is ChargerState.IDLE
    assert bench.set("dischargingMethod", "designatedElectricPower")
    assert bench.set("dischargingElectricPower", 3000)
    assert bench.set("operationMode", "discharge")
    assert bench.get("actualOperationMode") == "standby"  # the session begins
    bench.network.run(40)
    assert state(link) is ChargerState.POWER
    assert bench.power() == pytest.approx(-3000, rel=0.05)
    assert link.pair.dc.current_a < -5
    assert bench.get("actualOperationMode") == "discharge"
    assert bench.set("operationMode", "standby")
    bench.network.run(120)
    assert state(link) is ChargerState.IDLE
    delivered = bench.get("cumulativeDischargingElectricEnergy")
    assert isinstance(delivered, float)
    assert 0.75 * link.pair.dc.energy_out_wh < delivered * 1000 < link.pair.dc.energy_out_wh
    assert pack.soc_pct < 60
