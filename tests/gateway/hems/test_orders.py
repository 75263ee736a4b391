"""Orders of a HEMS become commands with a lease, under the control hierarchy; refused ones are not set."""

from __future__ import annotations

import pytest

from gateway.model.command import SiteMode
from gateway.model.site import SitePolicy
from protocols.echonet.frames import CONTROLLER, Eoj, Esv, Frame, Property
from protocols.echonet.values import Value
from tests.gateway.commands.test_out_of_order_commands import SlowStore
from tests.gateway.hems.bench import EVSE, HEMS, OBJECT, OTHER, hems_bench

pytestmark = pytest.mark.virtual_time
DISCHARGE = ("operationMode", "discharge")
BY_POWER = ("dischargingMethod", "designatedElectricPower")
TWO_KW = ("dischargingElectricPower", 2000)


@pytest.mark.parametrize(
    "order",
    [(BY_POWER, TWO_KW, DISCHARGE), (DISCHARGE, TWO_KW), (DISCHARGE, BY_POWER, TWO_KW), (TWO_KW, DISCHARGE)],
    ids=["method, power, mode", "mode, power", "mode, method, power", "power, mode"],
)  # fmt: skip
async def test_a_discharge_in_every_order_of_writes(order: tuple[tuple[str, Value], ...]) -> None:
    async with hems_bench() as bench:
        assert all(bench.order(*order))
        assert bench.get("operationMode") == "discharge"
        await bench.wait(5)
        assert bench.power_w == -2000
        assert {power for _, power, _ in bench.rig.stations.evses[EVSE].orders} == {-2000.0}  # no other power before
        assert bench.get("instantaneousElectricPower") == -2000
        assert (bench.get("actualOperationMode"), bench.get("dischargingElectricPower")) == ("discharge", 2000)
        state = bench.rig.service.state(EVSE)
        assert state is not None
        assert state.command is not None
        assert state.command.source == f"hems {HEMS}"


async def test_a_changed_power_and_direction() -> None:
    async with hems_bench() as bench:
        bench.order(TWO_KW, DISCHARGE)
        await bench.wait(5)
        bench.order(("dischargingElectricPower", 3500))
        await bench.wait(5)
        assert bench.power_w == -3500
        assert all(bench.order(("operationMode", "charge"), ("chargingElectricPower", 1500)))
        await bench.wait(5)
        assert bench.power_w == 1500
        assert bench.set("operationMode", "standby")
        await bench.wait(3)
        assert (bench.power_w, bench.get("operationMode"), bench.get("actualOperationMode")) == (
            0,
            "standby",
            "standby",
        )
        assert bench.announced("operationMode")[-1] == "standby"


@pytest.mark.parametrize(
    ("settings", "power_w"),
    [
        ((("chargingMethod", "maximumChargingElectricPower"), ("operationMode", "charge")), 11_000),
        ((("dischargingMethod", "maximumDischargingElectricPower"), DISCHARGE), -10_000),
        ((("dischargingMethod", "designatedElectricCurrent"), ("dischargingCurrent", 10.0), DISCHARGE), -4000),
        ((("chargingMethod", "v2G"), ("chargingDischargingElectricPower", -1200),
          ("operationMode", "chargingDischarging")), -1200),
        ((("dischargingMethod", "v2G"), ("chargingDischargingElectricPower", -900), DISCHARGE), -900),
        ((("operationMode", "preparation"),), 0),
        ((("operationMode", "idle"),), 0),
    ],
)  # fmt: skip
async def test_modes_and_methods(settings: tuple[tuple[str, Value], ...], power_w: float) -> None:
    async with hems_bench() as bench:
        assert all(bench.order(*settings))
        await bench.wait(5)
        assert bench.power_w == power_w
        assert bench.get("operationMode") == settings[-1][1]


async def test_what_the_gateway_has_no_command_for_is_refused() -> None:
    async with hems_bench() as bench:
        assert not bench.set("dischargingMethod", "loadFollowing")
        assert not bench.set("chargingMethod", "surplusElectricPower")
        assert not bench.set("operationMode", "automatic")  # the site is in manual mode
        assert not bench.set("operationMode", "other")
        assert not bench.set("operationMode", "chargingDischarging")  # by no method that has one power
        assert bench.get("dischargingMethod") == "designatedElectricPower"
        assert dict(bench.device.orders[EVSE].refused) == {"method": 2, "mode": 3}
        await bench.wait(3)
        assert bench.get("operationMode") == "standby"


async def test_a_refused_order_keeps_its_value_in_the_answer() -> None:
    async with hems_bench(policy=SitePolicy("home", min_soc_pct=90)) as bench:
        frame = Frame(5, CONTROLLER, OBJECT, Esv.SETC, (Property(0xEC, bytes((0, 0, 8, 0))), Property(0xDA, b"\x43")))
        answer = bench.ask(frame)
        assert answer is not None
        assert (answer.esv, answer.properties) == (Esv.SETC_SNA, (Property(0xEC), Property(0xDA, b"\x43")))
        assert bench.device.orders[EVSE].refused["below_floor"] == 1
        assert bench.set("operationMode", "charge")


async def test_the_log_states_why_an_order_is_not_set(caplog: pytest.LogCaptureFixture) -> None:
    async with hems_bench(policy=SitePolicy("home", min_soc_pct=90), controllers=frozenset({HEMS})) as bench:
        caplog.clear()
        frame = Frame(5, CONTROLLER, OBJECT, Esv.SETC, (Property(0xDD, b"\2"), Property(0xDA, b"\x43")))
        bench.ask(frame)
        bench.ask(Frame(5, CONTROLLER, OBJECT, Esv.SETC, (Property(0xDA, b"\x99"),)))
        bench.ask(frame, OTHER)
    method, mode, unknown, *foreign = [one.getMessage() for one in caplog.records if one.name == "v2x.hems"]
    assert method.startswith(f"{EVSE}: dischargingMethod of HEMS {HEMS} refused: the gateway has no command")
    assert mode.startswith(f"{EVSE}: operationMode of HEMS {HEMS} refused: The battery is at 80")
    assert unknown.endswith("refused: its value is not permitted")
    assert [one.partition("refused: the node is")[2] for one in foreign] == [" none of echonet.device.controllers"] * 2


async def test_a_clamped_order_is_accepted_and_shows_what_flows() -> None:
    async with hems_bench(policy=SitePolicy("home", export_limit_w=1000)) as bench:
        await bench.rig.wait(1)
        bench.rig.service.input("grid", b'{"ts": %d, "present": true, "power_w": 500}' % bench.rig.clock.wall())
        assert all(bench.order(("dischargingElectricPower", 6000), DISCHARGE))
        await bench.wait(3)
        assert bench.power_w == -1500
        assert (bench.get("dischargingElectricPower"), bench.get("operationMode")) == (6000, "discharge")


async def test_without_a_vehicle_no_power_is_accepted() -> None:
    async with hems_bench(plugged=False) as bench:
        assert bench.get("chargeDischargeStatus") == "notConnected"
        assert not bench.set("operationMode", "discharge")
        assert bench.set("operationMode", "standby")


async def test_a_silent_hems_ends_in_standby() -> None:
    async with hems_bench(lease_s=60.0) as bench:
        bench.order(TWO_KW, DISCHARGE)
        for _ in range(10):
            await bench.wait(30)
            assert bench.get("operationMode") == "discharge"  # reading is enough
        assert bench.power_w == -2000
        last = bench.rig.clock.now()
        while bench.power_w and bench.rig.clock.now() < last + 120:
            await bench.wait(0.5)
        assert 59 <= bench.rig.clock.now() - last <= 65
        assert bench.announced("operationMode")[-1] == "standby"
        assert bench.get("operationMode") == "standby"


async def test_requests_of_another_node_do_not_renew_the_lease() -> None:
    async with hems_bench(lease_s=60.0) as bench:
        bench.order(TWO_KW, DISCHARGE)
        for _ in range(7):
            await bench.wait(10)
            bench.get("operationMode", sender=OTHER)
        assert bench.power_w == 0


async def test_what_another_node_sets_beside_the_order_does_not_make_it_the_owner() -> None:
    async with hems_bench(lease_s=60.0) as bench:
        bench.order(TWO_KW, DISCHARGE)
        assert bench.set("installationLocation", b"\x08", sender=OTHER)
        for _ in range(4):
            await bench.wait(30)
            assert bench.get("operationMode") == "discharge"
        assert bench.power_w == -2000
        assert bench.set("dischargingElectricPower", 2500, sender=OTHER)  # from now on its order
        for _ in range(4):
            await bench.wait(30)
            bench.get("operationMode")
        assert bench.power_w == 0


async def test_only_listed_controllers_order() -> None:
    async with hems_bench(controllers=frozenset({HEMS})) as bench:
        assert not bench.set("operationMode", "discharge", sender=OTHER)
        assert bench.get("operationMode", sender=OTHER) == "standby"
        assert bench.device.node.ignored["an order of a node that is no controller"] == 1
        assert bench.set("operationMode", "discharge")


async def test_a_flood_of_one_node_does_not_stop_another() -> None:
    async with hems_bench(requests_per_s=5.0) as bench:
        frame = Frame(1, CONTROLLER, OBJECT, Esv.GET, (Property(0xDA),))
        answers = [bench.ask(frame, OTHER) for _ in range(200)]
        assert sum(one is not None for one in answers) == 20
        assert bench.device.node.ignored["too many requests"] == 180
        assert bench.set("operationMode", "discharge")


async def test_a_facility_of_higher_priority_takes_over_and_the_hems_sees_it() -> None:
    async with hems_bench() as bench:
        bench.order(TWO_KW, DISCHARGE)
        await bench.wait(3)
        result = await bench.rig.send(EVSE, "charge", "mqtt-1", power_w=4000, lease_s=60, priority=80)
        assert result.status.value == "accepted"
        await bench.wait(3)
        assert (bench.power_w, bench.get("operationMode")) == (4000, "charge")
        assert bench.announced("operationMode")[-1] == "charge"
        assert not bench.set("operationMode", "discharge")  # outranked
        assert bench.device.orders[EVSE].refused["outranked"] == 1
        assert bench.set("dischargingElectricPower", 2500)  # a setting without an order
        await bench.wait(3)
        assert bench.power_w == 4000
        assert bench.set("operationMode", "standby")  # a stop always acts
        await bench.wait(3)
        assert bench.power_w == 0


async def test_a_power_that_is_changed_while_the_journal_is_slow() -> None:
    store = SlowStore()
    async with hems_bench(store=store) as bench:
        store.clock = bench.rig.clock
        assert all(bench.order(TWO_KW, DISCHARGE))
        await bench.rig.wait(0.4)  # submitted, not yet in the journal
        assert bench.set("dischargingElectricPower", 3000)
        await bench.wait(4)
        assert (bench.power_w, bench.get("operationMode")) == (-3000, "discharge")
        assert not bench.device.orders[EVSE].refused


async def test_another_mode_while_the_journal_is_slow() -> None:
    store = SlowStore()
    async with hems_bench(store=store) as bench:
        store.clock = bench.rig.clock
        assert all(bench.order(TWO_KW, DISCHARGE))
        await bench.rig.wait(0.4)
        assert all(bench.order(("chargingElectricPower", 1500), ("operationMode", "charge")))
        await bench.wait(4)
        assert (bench.power_w, bench.get("operationMode")) == (1500, "charge")
        assert bench.set("operationMode", "standby")
        await bench.rig.wait(0.05)
        assert bench.set("operationMode", "discharge")
        await bench.wait(4)
        assert (bench.power_w, bench.get("operationMode")) == (-2000, "discharge")


async def test_standby_does_not_wait_for_the_journal() -> None:
    store = SlowStore()
    store.delay_s = 1.0
    async with hems_bench(store=store) as bench:
        assert all(bench.order(TWO_KW, DISCHARGE))
        await bench.wait(5)
        assert bench.power_w == -2000
        store.clock = bench.rig.clock
        assert bench.set("dischargingElectricPower", 3000)
        await bench.rig.wait(0.5)  # its command waits for the journal
        assert bench.set("operationMode", "standby")
        await bench.rig.wait(0.4)
        assert bench.power_w == 0
        await bench.wait(5)
        assert (bench.power_w, bench.get("operationMode")) == (0, "standby")


async def test_a_stop_while_an_order_is_gathered_stays() -> None:
    async with hems_bench() as bench:
        assert all(bench.order(TWO_KW, DISCHARGE))
        await bench.rig.wait(0.1)
        await bench.rig.send(EVSE, "stop", "operator-1")
        await bench.wait(3)
        assert (bench.power_w, bench.get("operationMode")) == (0, "standby")
        assert bench.device.orders[EVSE].refused["superseded"] == 1
        assert bench.set("operationMode", "discharge")  # a new order
        await bench.wait(3)
        assert bench.power_w == -2000


async def test_a_stop_just_before_a_renewal_stays() -> None:
    async with hems_bench(lease_s=60.0) as bench:
        bench.order(TWO_KW, DISCHARGE)
        await bench.wait(3)
        order = bench.device.orders[EVSE]._order
        assert order is not None
        assert order.due is not None
        await bench.rig.wait(order.due - bench.rig.clock.now() - 0.15)
        assert bench.get("operationMode") == "discharge"  # the state is read, and kept for some time
        await bench.rig.wait(0.05)
        await bench.rig.send(EVSE, "stop", "operator-1")
        await bench.wait(5)
        assert (bench.power_w, bench.get("operationMode")) == (0, "standby")


async def test_automatic_returns_to_the_mode_of_the_site() -> None:
    async with hems_bench(policy=SitePolicy("home", mode=SiteMode.SELF_CONSUMPTION)) as bench:
        bench.rig.control.site.mode = SiteMode.SELF_CONSUMPTION
        assert bench.get("operationMode") == "automatic"
        bench.order(TWO_KW, DISCHARGE)
        await bench.wait(3)
        assert bench.power_w == -2000
        assert bench.set("operationMode", "automatic")
        await bench.wait(5)
        state = bench.rig.service.state(EVSE)
        assert state is not None
        assert (state.command, bench.power_w, bench.get("operationMode")) == (None, 0, "automatic")


async def test_the_emergency_stop_refuses_orders() -> None:
    async with hems_bench() as bench:
        bench.order(TWO_KW, DISCHARGE)
        await bench.wait(3)
        await bench.rig.send(None, "emergency_stop", "stop")
        await bench.wait(3)
        assert (bench.power_w, bench.get("operationMode")) == (0, "standby")
        assert not bench.set("operationMode", "discharge")


async def test_the_end_of_the_session_ends_the_order() -> None:
    async with hems_bench() as bench:
        bench.order(TWO_KW, DISCHARGE)
        await bench.wait(3)
        bench.rig.stations.unplug(EVSE)
        await bench.wait(3)
        assert (bench.get("operationMode"), bench.get("chargeDischargeStatus")) == ("standby", "notConnected")
        assert bench.announced("chargeDischargeStatus")[-1] == "notConnected"


async def test_an_order_without_answer_and_one_to_all_instances() -> None:
    async with hems_bench() as bench:
        mode = (Property(0xEC, bytes((0, 0, 4, 0))), Property(0xDA, b"\x43"))
        assert bench.ask(Frame(1, CONTROLLER, Eoj(2, 0x7E, 0), Esv.SETI, mode)) is None
        await bench.wait(3)
        assert bench.power_w == -1024


async def test_setget_orders_and_reads_at_once() -> None:
    async with hems_bench() as bench:
        answer = bench.ask(
            Frame(1, CONTROLLER, OBJECT, Esv.SETGET, (Property(0xDA, b"\x43"),), (Property(0xDA), Property(0xE4)))
        )
        assert answer is not None
        assert answer.esv is Esv.SETGET_RES
        assert answer.read == (Property(0xDA, b"\x43"), Property(0xE4, b"\x50"))
