"""A charger that supplies an island by itself: no alarm, and no order to rest, for as long as it does."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.setpoint import Setpoint
from gateway.control.setpoint_values import Action, Target
from gateway.model.message import rfc3339
from gateway.model.station import Answer, Outcome
from tests.gateway.commands.rig import ServiceRig, service_rig


def report(rig: ServiceRig, kind: str, **body: object) -> None:
    payload = json.dumps({"ts": rfc3339(rig.clock.wall()), **body}).encode()
    assert rig.service.input(kind, payload) is None


async def live(rig: ServiceRig, seconds: int, present: bool, switch_open: bool | None, power_w: float) -> None:
    """The charger runs at `power_w`, whatever it has accepted; the facility reports each second."""
    held = rig.stations.evses["CP1-1"]
    for _ in range(seconds):
        report(rig, "grid", present=present)
        if switch_open is not None:
            report(rig, "switch", open=switch_open)
        rig.stations._advance(held, rig.clock.now())
        held.power_w, held.until = power_w, math.inf
        await rig.wait(1.0)


@pytest.mark.virtual_time
@pytest.mark.parametrize("switch_open", [True, None])
@pytest.mark.parametrize("power_w", [-1500.0, 900.0])
async def test_a_charger_that_supplies_an_island_is_left_alone(switch_open: bool | None, power_w: float) -> None:
    async with service_rig("CP1-1") as rig:
        held = rig.stations.evses["CP1-1"]
        await live(rig, 10, True, False if switch_open else None, 0.0)
        held.ignores_setpoints = True
        sent = len(held.orders)
        await live(rig, 600, False, switch_open, power_w)
        assert len(held.orders) == sent
        assert "fault" not in rig.published.kinds()
        await live(rig, 70, True, False if switch_open else None, 0.0)
        assert "fault" not in rig.published.kinds()


@pytest.mark.virtual_time
@pytest.mark.parametrize(("present", "switch_open"), [(True, None), (True, False), (False, False)])
async def test_unordered_power_is_reported_where_no_island_can_be(present: bool, switch_open: bool | None) -> None:
    """On the grid, and behind a closed main switch without a grid, a charger must not discharge by itself."""
    async with service_rig("CP1-1") as rig:
        held = rig.stations.evses["CP1-1"]
        await live(rig, 10, True, switch_open, 0.0)
        held.ignores_setpoints = True
        await live(rig, 150, present, switch_open, -1500.0)
        assert "fault" in rig.published.kinds()
        assert held.orders[-1][1] == 0.0


@pytest.mark.virtual_time
async def test_a_charger_is_left_alone_until_the_main_switch_connects_the_returned_grid() -> None:
    async with service_rig("CP1-1") as rig:
        held = rig.stations.evses["CP1-1"]
        await live(rig, 10, True, False, 0.0)
        held.ignores_setpoints = True
        sent = len(held.orders)
        await live(rig, 120, False, True, -1500.0)
        await live(rig, 300, True, True, -1500.0)  # reconnection waits
        assert (len(held.orders), "fault" in rig.published.kinds()) == (sent, False)
        await live(rig, 150, True, False, -1500.0)  # connected, and it still discharges
        assert "fault" in rig.published.kinds()


@pytest.mark.virtual_time
async def test_power_that_goes_on_after_the_grid_has_returned_is_reported() -> None:
    async with service_rig("CP1-1") as rig:
        held = rig.stations.evses["CP1-1"]
        await live(rig, 10, True, None, 0.0)
        held.ignores_setpoints = True
        await live(rig, 100, False, None, -1500.0)
        await live(rig, 150, True, None, -1500.0)
        assert "fault" in rig.published.kinds()


@pytest.mark.virtual_time
async def test_the_emergency_stop_is_sent_to_a_charger_that_supplies_an_island() -> None:
    async with service_rig("CP1-1") as rig:
        held = rig.stations.evses["CP1-1"]
        await live(rig, 10, True, None, 0.0)
        held.ignores_setpoints = True
        await live(rig, 60, False, None, -1500.0)
        sent = len(held.orders)
        await rig.send(None, "emergency_stop", "e")
        await live(rig, 3, False, None, -1500.0)
        assert len(held.orders) == sent + 1
        await live(rig, 120, False, None, -1500.0)
        assert len(held.orders) > sent + 1  # power still flows


@pytest.mark.virtual_time
async def test_a_source_that_formed_an_island_raises_no_alarm_when_the_grid_is_back() -> None:
    """Its last reading is of the island, and 0 W was accepted long before."""
    async with service_rig("CP1-1") as rig:
        held, state = rig.stations.evses["CP1-1"], rig.evse("CP1-1")
        await live(rig, 10, True, None, 0.0)
        held.ignores_setpoints = True
        state.forms_grid = True
        state.wake.set()
        await live(rig, 300, False, True, -1500.0)
        held.metered_on_call = True
        state.forms_grid = False
        state.wake.set()
        await live(rig, 300, True, False, 0.0)
        assert "fault" not in rig.published.kinds()


powers = st.sampled_from([-3000.0, -1500.0, -400.0, 0.0, 600.0, 5000.0])


@given(st.lists(st.tuples(powers, st.booleans(), st.integers(1, 100)), max_size=12))
def test_a_charger_that_supplies_an_island_gets_no_order_to_rest(steps: list[tuple[float, bool, int]]) -> None:
    """Whatever was measured and whenever the grid came and went: no order, no correction while it supplies."""
    setpoint, now, last_supplied = Setpoint(), 0.0, -math.inf
    setpoint.restored(0.0, now)
    for measured_w, may_supply_island, seconds in steps:
        for _ in range(seconds):
            now += 1.0
            target = Target(
                0.0, measured_w=measured_w, measured_at=now, rest_tolerance_w=100.0, may_supply_island=may_supply_island
            )
            action = setpoint.next_action(target, now)
            supplies_island = may_supply_island and measured_w != 0
            assert not (supplies_island and action in (Action.SEND, Action.CORRECT))
            last_supplied = now if may_supply_island else last_supplied
            if action is Action.CORRECT:
                assert now - last_supplied >= setpoint.verify_within_s
                order = setpoint.send(0.0, 15.0, now)
                setpoint.complete(order, Outcome(Answer.APPLIED), now)
