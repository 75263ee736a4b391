"""One step of the set-point controller: what it sends, publishes, journals and ends, and when the next one is due."""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import replace
from typing import Any

import pytest

from emulators.runtime.clock import START
from gateway.authority.priority import Bound
from gateway.authority.ramp import Ramp
from gateway.control.control_state import Stage
from gateway.control.setpoint_values import State
from gateway.model.command import Schedule, Verb
from gateway.model.event import PlugState
from gateway.model.grid_report import GridReport
from gateway.model.journal import Step
from gateway.model.reason import Code
from gateway.model.result import Layer, Status
from gateway.model.site import Grid, InputKind, Load
from gateway.model.station import Answer, Outcome
from tests.gateway.control.controller_rig import ControllerRig
from tests.gateway.control.site_parts import VEHICLE, a_command

pytestmark = pytest.mark.virtual_time

REFUSED, UNKNOWN = Outcome(Answer.REFUSED, "Rejected", "It is busy."), Outcome(Answer.UNKNOWN)


# what is sent ---------------------------------------------------------------------------------------------------------


async def test_the_station_is_read_first_and_nothing_is_sent_without_need() -> None:
    rig = await ControllerRig.begin()
    assert await rig.step() is None
    assert rig.setpoint.supplied_at == -math.inf
    assert (rig.held.calls, rig.state.steps, rig.setpoint.sent_w) == (["reconcile"], 1, 0.0)
    assert rig.publisher.notes == [(Step.EVENT, "reconciled", None, "CP1-1", {"held_w": 0.0})]
    assert rig.published.changes == ["CP1-1", "CP1-1"]  # decided, and read
    assert (await rig.step(), rig.held.calls, rig.state.steps) == (None, ["reconcile"], 2)
    assert rig.events == []


async def test_a_command_is_sent_confirmed_and_refreshed() -> None:
    rig = await ControllerRig.begin()
    allocation = rig.command(-5000.0)
    assert await rig.step() == 6.0
    assert (rig.held.calls, rig.orders) == (["reconcile", "set_power"], [(100.0, -5000.0, 15.0)])
    assert rig.publisher.notes[1:] == [
        (Step.SET, "command", "c", "CP1-1", {"power_w": -5000.0}),
        (Step.CONFIRMED, "station", "c", "CP1-1", {"power_w": -5000.0}),
    ]
    assert (allocation.stage, allocation.confirmed_at, allocation.confirmed_w) == (Stage.CONFIRMED, 100.0, -5000.0)
    assert rig.published.changes == ["CP1-1"] * 3
    assert rig.parts.meter.history.present("CP1-1") == (-5000.0, -5000.0)
    assert await rig.step(1.0) == 5.0
    assert await rig.step(5.0) == 6.0
    assert rig.orders[1:] == [(106.0, -5000.0, 15.0)]
    assert len(rig.publisher.notes) == 3
    assert rig.published.changes == ["CP1-1"] * 3
    rig.held.answers = [Outcome(Answer.APPLIED, "Accepted")]
    rig.command(-4000.0, id="d")
    await rig.step()
    assert rig.publisher.notes[-1] == (Step.CONFIRMED, "Accepted", "d", "CP1-1", {"power_w": -4000.0})


async def test_a_validity_ends_with_the_lease_and_the_ramp_behind_it() -> None:
    rig = await ControllerRig.begin()
    rig.command(-5000.0, lease_s=6.0)
    assert await rig.step() == 6.0
    assert rig.orders == [(100.0, -5000.0, 9.0)]


async def test_without_a_station_or_a_session_nothing_is_sent() -> None:
    rig = await ControllerRig.begin()
    rig.state.ramp = Ramp(-5000.0, 100.0)
    rig.state.evse.session = None
    assert await rig.step() is None
    assert rig.held.calls == []
    assert not rig.ramps


async def test_the_power_decided_before_the_reading_is_sent_after_it() -> None:
    rig = await ControllerRig.begin()
    rig.held.power_w, rig.held.until = -3000.0, 1e9
    await rig.step()
    assert rig.orders == [(100.0, 0.0, 15.0)]
    assert rig.setpoint.sent_w == 0.0


@pytest.mark.parametrize("change", [{"session": None}, {"session": "tx2"}, {"connected": False}])
async def test_a_session_that_ends_during_the_reading_gets_no_order(change: dict[str, Any]) -> None:
    rig = await ControllerRig.begin()
    rig.held.hides_setpoint = True
    rig.command(-5000.0)
    step = asyncio.create_task(rig.step())
    await rig.clock.sleep(5.0)
    for name, value in change.items():
        setattr(rig.state.evse, name, value)
    await step
    assert rig.clock.now() == 110.0  # the station did not answer
    assert (rig.orders, rig.setpoint.verified, rig.publisher.notes) == ([], False, [])


@pytest.mark.parametrize(("lease_s", "sent"), [(10.0, False), (10.5, True)], ids=["at its end", "before its end"])
async def test_a_lease_that_ends_while_the_station_is_read_is_not_begun(lease_s: float, sent: bool) -> None:
    rig = await ControllerRig.begin()
    rig.held.hides_setpoint = True
    rig.command(-5000.0, lease_s=lease_s)
    await rig.step()
    assert rig.clock.now() == 110.0  # the station did not answer
    assert [power_w for _, power_w, _ in rig.orders if power_w] == ([-5000.0] if sent else [])
    assert rig.state.wake.is_set() is not sent


async def test_without_an_answer_to_the_reading_the_power_is_sent() -> None:
    rig = await ControllerRig.begin()
    rig.held.hides_setpoint = True
    await rig.step()
    assert rig.orders == [(110.0, 0.0, 15.0)]
    assert rig.publisher.notes == [(Step.EVENT, "reconciled", None, "CP1-1", {"held_w": None})]


async def test_an_emergency_stop_is_sent_first_and_read_afterwards() -> None:
    rig = await ControllerRig.begin()
    rig.parts.site.emergency_stop = "e"
    await rig.step()
    assert (rig.held.calls, rig.orders) == (["set_power", "reconcile"], [(100.0, 0.0, 15.0)])
    assert rig.setpoint.verified
    assert rig.state.wake.is_set()
    rig.state.wake.clear()
    await rig.step(10.0)
    assert (rig.held.calls, rig.state.wake.is_set()) == (["set_power", "reconcile"], False)


async def test_an_emergency_stop_that_the_station_rejects_is_repeated_before_it_is_read() -> None:
    rig = await ControllerRig.begin()
    rig.parts.site.emergency_stop = "e"
    rig.held.answers = [REFUSED]
    await rig.step()
    assert rig.held.calls == ["set_power"]
    await rig.step(2.0)
    assert rig.held.calls == ["set_power", "set_power", "reconcile"]


@pytest.mark.parametrize(
    ("urgent", "calls", "at"), [(True, ["reconcile", "set_power"], 103.0), (False, ["reconcile"], 110.0)]
)
async def test_an_emergency_stop_does_not_wait_for_a_reading(urgent: bool, calls: list[str], at: float) -> None:
    rig = await ControllerRig.begin()
    rig.held.hides_setpoint = True
    run = asyncio.create_task(rig.controller.run())
    await rig.clock.sleep(3.0)
    rig.parts.site.emergency_stop = "e" if urgent else None
    rig.state.wake.set()
    await rig.clock.sleep(0.5)
    assert rig.held.calls[:2] == calls
    assert [order[:2] for order in rig.orders] == ([(at, 0.0)] if urgent else [])
    run.cancel()


async def test_what_was_decided_before_a_reading_is_not_sent_for_the_command_that_came_during_it() -> None:
    rig = await ControllerRig.begin()
    rig.held.hides_setpoint = True
    rig.command(-5000.0, id="earlier", lease_s=12.0)
    run = asyncio.create_task(rig.controller.run())
    await rig.clock.sleep(3.0)
    rig.command(-1000.0, id="later", lease_s=300.0)
    rig.state.wake.set()
    await rig.clock.sleep(9.0)
    assert [order[:2] for order in rig.orders] == [(110.0, -1000.0)]
    run.cancel()


async def test_nothing_is_more_urgent_than_an_order_for_0_w_and_the_reading_after_it() -> None:
    rig = await ControllerRig.begin()
    rig.parts.site.emergency_stop = "e"
    rig.held.hides_setpoint, rig.stations.answers_after_s = True, 8.0
    step = asyncio.create_task(rig.step())
    for at in (101.0, 109.0):
        await rig.clock.sleep(at - rig.clock.now())
        rig.state.wake.set()
    await step
    assert (rig.clock.now(), rig.setpoint.verified) == (118.0, True)
    assert [order[:2] for order in rig.orders] == [(108.0, 0.0)]


@pytest.mark.parametrize("wakes", [1, 2])
async def test_a_command_that_ends_does_not_wait_for_an_answer(wakes: int) -> None:
    rig = await ControllerRig.begin()
    await rig.step()
    rig.stations.answers_after_s = 8.0
    rig.command(-5000.0)
    step = asyncio.create_task(rig.step())
    await rig.clock.sleep(1.0)
    if wakes == 2:  # one that changes nothing
        rig.state.wake.set()
        await rig.clock.sleep(1.0)
    assert not step.done()
    rig.state.command = None
    rig.state.wake.set()
    await step
    assert rig.clock.now() == 100.0 + wakes
    assert (rig.setpoint.state, rig.setpoint.sent_w) == (State.TIMED_OUT, None)
    assert (rig.setpoint.unanswered, rig.setpoint.retry_at) == (0, None)  # the station was not given its time
    assert rig.state.wake.is_set()  # kept for the next step
    assert rig.parts.meter.history.present("CP1-1") == (-5000.0, 0.0) or rig.setpoint.sent_w is None


@pytest.mark.parametrize(
    ("extra", "waits"),
    [
        ((), True),  # an end by the command goes down the ramp
        ((Bound(Layer.ISLAND, 0.0, 0.0, Code.ISLAND),), True),
        ((Bound(Layer.SOC_FLOOR, 0.0, 0.0, Code.BELOW_FLOOR),), False),
        ((Bound(Layer.STATION, 0.0, 0.0, Code.FAULT),), False),
    ],
)
async def test_on_a_ramp_only_a_floor_or_the_hardware_does_not_wait_for_an_answer(
    extra: tuple[Bound, ...], waits: bool
) -> None:
    rig = await ControllerRig.begin()
    await rig.step()
    rig.stations.answers_after_s = 8.0
    rig.state.ramp = Ramp(-5000.0, 100.0)
    step = asyncio.create_task(rig.step())
    await rig.clock.sleep(1.0)
    assert rig.ramps
    rig.state.extra = extra
    rig.state.wake.set()
    await step
    assert rig.clock.now() == (108.0 if waits else 101.0)


# answers of the station -----------------------------------------------------------------------------------------------


async def test_a_rejected_command_fails_with_the_reason_of_the_station() -> None:
    rig = await ControllerRig.begin()
    await rig.step()
    rig.command(-5000.0)
    rig.held.answers = [REFUSED]
    assert await rig.step() == 2.0
    [(command, status, reason, failed)] = rig.ends.ended
    assert (command, status, reason.code, failed) == ("c", None, Code.STATION_REFUSED, True)
    assert "-5000 W: Rejected It is busy." in reason.text
    assert rig.events == []


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (Outcome(Answer.REFUSED, "Rejected"), ": Rejected."),
        (Outcome(Answer.REFUSED, "", "Busy"), ": Busy."),
        (Outcome(Answer.REFUSED), "no reason"),
    ],
)
async def test_a_power_without_a_command_that_the_station_rejects_is_reported_once(answer: Outcome, cause: str) -> None:
    rig = await ControllerRig.begin()
    rig.held.hides_setpoint = True  # so that 0 W has to be sent
    rig.held.answers = [answer, answer, Outcome(Answer.REFUSED, "Other"), Outcome(Answer.REFUSED, "Other")]
    await rig.step()
    assert rig.events == [("fault", "CP1-1", "station_refused", None)]
    reason = rig.published.events[0].reason
    assert reason is not None
    assert cause in reason.text
    for pause_s in (3.0, 5.0, 9.0):
        await rig.step(pause_s)
    assert len(rig.orders) == 4
    assert [one[2] for one in rig.events] == ["station_refused"] * 2


async def test_a_command_fails_at_the_third_order_without_an_answer() -> None:
    rig = await ControllerRig.begin()
    rig.command(-5000.0, lease_s=600.0)
    for count, answer in enumerate((UNKNOWN, UNKNOWN, Outcome(Answer.UNKNOWN, "", "The link broke"))):
        rig.held.answers = [answer]
        assert rig.ends.ended == []
        await rig.step(3.0)
        assert len(rig.orders) == count + 1
    [(command, _, reason, failed)] = rig.ends.ended
    assert (command, reason.code, failed) == ("c", Code.STATION_SILENT, True)
    assert "-5000 W: The link broke." in reason.text


@pytest.mark.parametrize(
    ("answer", "cause"),
    [(Outcome(Answer.UNKNOWN, "NoLink"), "NoLink"), (UNKNOWN, "no answer"), (None, "no answer within 10 s")],
)
async def test_a_silent_station_without_a_command_is_reported_once(answer: Outcome | None, cause: str) -> None:
    rig = await ControllerRig.begin()
    rig.held.hides_setpoint = True
    rig.stations.answers_after_s = 0.0 if answer is not None else 11.0
    rig.held.answers = [answer] * 4 if answer is not None else []
    for count in range(4):
        await rig.step(3.0)
        assert len(rig.events) == (count >= 2)
    reason = rig.published.events[0].reason
    assert reason is not None
    assert (reason.code, cause in reason.text, "0 W" in reason.text) == (Code.STATION_SILENT, True, True)


@pytest.mark.parametrize("commanded", [False, True])
async def test_a_command_for_0_w_does_not_wait_for_the_pause_of_a_rejected_one(commanded: bool) -> None:
    rig = await ControllerRig.begin()
    rig.held.hides_setpoint = True
    rig.measured(0.0)
    rig.held.answers = [REFUSED, REFUSED]
    await rig.step()
    assert await rig.step(3.0) == 2.0
    assert [order[0] for order in rig.orders] == [110.0, 113.0]
    if commanded:
        rig.state.assign(a_command(Verb.STOP, lease_until=None), 0.0, rig.clock.now())
    await rig.step(2.5)
    assert len(rig.orders) == (3 if commanded else 2)


async def test_power_at_rest_is_reported_and_0_w_is_sent_again() -> None:
    rig = await ControllerRig.begin()
    await rig.step()
    rig.measured(-3000.0)
    await rig.clock.sleep(61.0)
    rig.measured(-3000.0)
    await rig.step()
    assert rig.orders == [(161.0, 0.0, 15.0)]
    assert rig.events == [("fault", "CP1-1", "not_seen_on_meter", None)]
    reason = rig.published.events[0].reason
    assert reason is not None
    assert "-3000 W" in reason.text
    rig.measured(-100.0)
    await rig.step(61.0)
    rig.measured(-100.0)
    await rig.step(61.0)
    assert len(rig.orders) == 1


async def test_an_answer_to_a_command_that_was_replaced_confirms_nothing() -> None:
    rig = await ControllerRig.begin()
    await rig.step()
    rig.stations.answers_after_s = 1.0
    rig.command(-5000.0)
    step = asyncio.create_task(rig.step())
    await rig.clock.sleep(0.5)
    newer = rig.command(-4000.0, id="d")
    await step
    assert (newer.stage, rig.setpoint.sent_w) == (Stage.GRANTED, -5000.0)
    assert [note[0] for note in rig.publisher.notes] == [Step.EVENT, Step.SET]
    rig.stations.answers_after_s = 0.0
    rig.held.answers = [REFUSED]
    await rig.step()
    assert [one[0] for one in rig.ends.ended] == ["d"]


# the end of commands --------------------------------------------------------------------------------------------------


async def test_a_lease_ends_at_its_time() -> None:
    rig = await ControllerRig.begin()
    rig.command(-5000.0, lease_s=8.0)
    await rig.step()
    await rig.step(7.9)
    assert rig.ends.ended == []
    await rig.step(0.1)
    [(command, status, reason, _)] = rig.ends.ended
    assert (command, status, reason.code) == ("c", Status.LEASE_EXPIRED, Code.LEASE_EXPIRED)
    assert rig.setpoint.sent_w == 0.0


@pytest.mark.parametrize("power_w", [-0.4, 0.4])
async def test_after_a_power_of_less_than_the_margin_0_w_is_sent_and_nothing_is_due(power_w: float) -> None:
    """Of a power for the site an EVSE may get a share that hardly differs from 0 W."""
    rig = await ControllerRig.begin()
    rig.command(power_w, lease_s=8.0)
    assert await rig.step() == 8.0
    assert await rig.step(8.0) is None
    assert [power for _, power, _ in rig.orders][-1] == rig.setpoint.sent_w == 0.0


def schedule(rig: ControllerRig, *periods: tuple[float, float, float], evse: str | None = "CP1-1") -> None:
    """Put a schedule in force: (begin and duration in s from now, power)."""
    wall = rig.clock.wall()
    made = [{"start": wall + begin, "duration_s": seconds, "power_w": power_w} for begin, seconds, power_w in periods]
    command = a_command(Verb.STOP, evse, id="s", lease_until=None)
    command.verb, command.body = Verb.SCHEDULE, Schedule.model_validate({"id": "s", "periods": made})
    rig.state.assign(command, 0.0, rig.clock.now())


async def test_a_schedule_is_followed_period_by_period_to_its_end() -> None:
    rig = await ControllerRig.begin()
    schedule(rig, (10.0, 20.0, -3000.0), (50.0, 4.0, 2000.0))
    due = [await rig.step()]
    assert rig.setpoint.sent_w == 0.0
    allocation = rig.state.allocation
    assert allocation is not None
    due.append(await rig.step(10.0))
    assert (rig.setpoint.sent_w, allocation.power_w, allocation.since) == (-3000.0, -3000.0, 110.0)
    await rig.step(20.0)
    assert rig.setpoint.sent_w == 0.0
    due.append(await rig.step(20.0))
    assert rig.setpoint.sent_w == 2000.0
    assert (rig.ends.ended, due) == ([], [10.0, 6.0, 4.0])
    await rig.step(4.0)
    [(command, status, reason, _)] = rig.ends.ended
    assert (command, status, reason.code) == ("s", Status.ACHIEVED, Code.SCHEDULE_ENDED)
    assert rig.setpoint.sent_w == 0.0


async def test_the_share_of_a_command_to_the_site_is_not_the_power_of_the_site() -> None:
    rig = await ControllerRig.begin()
    rig.state.assign(a_command(evse=None, power_w=9000.0), -3000.0, 100.0)
    await rig.step()
    assert rig.setpoint.sent_w == -3000.0


@pytest.mark.parametrize(
    ("attributes", "lease_s", "code"),
    [
        ({"connected": False}, 30.0, Code.OFFLINE),
        ({"session": None, "plug": PlugState.AVAILABLE}, 30.0, Code.UNPLUGGED),
        ({"faults": {"X": ""}}, 30.0, Code.FAULT),
        ({"faults": {"X": ""}}, None, None),  # a schedule waits
        ({}, 30.0, None),
    ],
)
async def test_a_leased_command_fails_where_it_cannot_be_carried_out(
    attributes: dict[str, Any], lease_s: float | None, code: Code | None
) -> None:
    for settled in (False, True):
        rig = await ControllerRig.begin()
        rig.command(-5000.0, lease_s=lease_s)
        assert rig.state.command is not None
        rig.state.command.settled = settled
        for name, value in attributes.items():
            setattr(rig.state.evse, name, value)
        await rig.step()
        found = [(status, reason.code, failed) for _, status, reason, failed in rig.ends.ended]
        assert found == ([] if code is None or settled else [(None, code, True)])


@pytest.mark.parametrize("connected", [False, True])
async def test_a_command_of_another_process_waits_for_its_station_only(connected: bool) -> None:
    rig = await ControllerRig.begin()
    rig.command(-5000.0, lease_s=600.0)
    assert rig.state.allocation is not None
    rig.state.allocation.waits_until = None if connected else 600.0
    rig.state.evse.connected = connected
    rig.state.evse.faults = {"X": ""} if connected else {}
    for _ in range(20):  # longer than the meter has to show the power
        await rig.step(4.0)
    assert [reason.code for _, _, reason, _ in rig.ends.ended] == ([Code.FAULT] if connected else [])


async def test_a_power_that_the_meter_never_shows_fails_in_time() -> None:
    rig = await ControllerRig.begin()
    rig.command(-5000.0, lease_s=600.0)
    await rig.step()
    for _ in range(14):
        await rig.step(4.0)
    assert await rig.step(2.0) == 2.0  # sooner than the next refresh
    assert rig.ends.ended == []
    await rig.step(2.0)
    [(command, _, reason, failed)] = rig.ends.ended
    assert (command, reason.code, failed) == ("c", Code.METER_SILENT, True)


@pytest.mark.parametrize(
    "attributes",
    [{"forms_grid": True}, {"stage": Stage.ACHIEVED}, {"settled": True}],
)
async def test_what_is_not_to_be_verified_does_not_fail(attributes: dict[str, Any]) -> None:
    rig = await ControllerRig.begin()
    allocation = rig.command(-5000.0, lease_s=600.0)
    assert rig.state.command is not None
    await rig.step()
    for owner in (rig.state, allocation, rig.state.command):
        for name, value in attributes.items():
            if hasattr(owner, name):
                setattr(owner, name, value)
    for _ in range(20):
        await rig.step(4.0)
    assert rig.ends.ended == []


@pytest.mark.parametrize("attributes", [{"connected": False}, {"session": None}])
async def test_without_a_session_nothing_is_verified(attributes: dict[str, Any]) -> None:
    rig = await ControllerRig.begin()
    rig.command(-5000.0, lease_s=None)
    for name, value in attributes.items():
        setattr(rig.state.evse, name, value)
    for _ in range(20):
        assert await rig.step(4.0) is None
    assert rig.ends.ended == []


@pytest.mark.parametrize(("settled", "due_s"), [(False, 1.0), (True, 6.0)])
async def test_the_end_of_the_time_to_verify_is_a_deadline(settled: bool, due_s: float) -> None:
    rig = await ControllerRig.begin()
    await rig.step()
    allocation = rig.command(-5000.0, lease_s=600.0)
    assert rig.state.command is not None
    allocation.verified_from, rig.state.command.settled = 41.0, settled
    assert await rig.step() == due_s


async def test_a_command_without_an_allocation_here_sets_nothing() -> None:
    rig = await ControllerRig.begin()
    rig.held.hides_setpoint = True
    rig.state.command = a_command(evse=None, power_w=5000.0)
    assert await rig.step() == 20.0
    assert rig.orders == [(110.0, 0.0, 15.0)]
    assert (rig.ends.ended, [note[0] for note in rig.publisher.notes]) == ([], [Step.EVENT])


async def test_a_schedule_is_verified_from_its_first_power_on() -> None:
    rig = await ControllerRig.begin()
    schedule(rig, (0.0, 100.0, 0.0), (100.0, 100.0, -3000.0))
    for _ in range(39):
        await rig.step(4.0)
    assert (rig.clock.now(), rig.ends.ended) == (256.0, [])
    await rig.step(4.0)
    assert [(one[0], one[2].code) for one in rig.ends.ended] == [("s", Code.METER_SILENT)]


async def test_a_leased_command_that_loses_all_its_power_fails() -> None:
    for extra_w, fails in ((0.0, True), (300.0, True), (-300.0, False)):
        for lease_s in (30.0, None):
            rig = await ControllerRig.begin()
            rig.state.extra = (Bound(Layer.GRID_CODE, extra_w, extra_w, Code.GRID_LOST, "The grid is lost."),)
            rig.command(-5000.0, lease_s=lease_s)
            await rig.step()
            ended = [(one[0], one[2].code, one[2].text, one[3]) for one in rig.ends.ended]
            expected = [("c", Code.GRID_LOST, "The grid is lost.", True)]
            assert ended == (expected if fails and lease_s is not None else [])
            assert rig.setpoint.sent_w == extra_w


@pytest.mark.parametrize("extra_w", [0.0, 300.0])
async def test_a_command_that_a_limit_leaves_no_power_waits_as_long_as_the_meter_has(extra_w: float) -> None:
    rig = await ControllerRig.begin()
    rig.state.extra = (Bound(Layer.SITE, extra_w, extra_w, Code.EXPORT_LIMIT, "The site is full."),)
    allocation = rig.command(-5000.0, lease_s=600.0)
    for _ in range(14):
        await rig.step(4.0)
        rig.measured(extra_w)
    assert (rig.ends.ended, rig.setpoint.sent_w, allocation.limited is None) == ([], extra_w, False)
    rig.state.extra = ()
    await rig.step()
    assert (rig.setpoint.sent_w, allocation.limited, allocation.confirmed_w) == (-5000.0, None, -5000.0)
    rig.state.extra = (Bound(Layer.SITE, 0.0, 0.0, Code.EXPORT_LIMIT, "The site is full."),)
    for _ in range(15):
        await rig.step(4.0)
    assert rig.ends.ended == []
    await rig.step(4.0)
    ended = [(one[0], one[2].code, one[2].text, one[3]) for one in rig.ends.ended]
    assert ended == [("c", Code.EXPORT_LIMIT, "The site is full.", True)]


@pytest.mark.parametrize("lease_s", [600.0, None])
@pytest.mark.parametrize("forms_grid", [True, False])
async def test_a_source_that_forms_the_grid_by_a_schedule_waits_for_no_limit(
    forms_grid: bool, lease_s: float | None
) -> None:
    rig = await ControllerRig.begin()
    rig.state.forms_grid = forms_grid
    rig.state.extra = (Bound(Layer.SITE, 0.0, 0.0, Code.EXPORT_LIMIT, "The site is full."),)
    allocation = rig.command(-5000.0, lease_s=lease_s)
    await rig.step()
    assert (allocation.limited is None) is (forms_grid and lease_s is None)


async def test_a_command_for_0_w_and_one_that_was_achieved_does_not_fail_without_power() -> None:
    rig = await ControllerRig.begin()
    allocation = rig.state.assign(a_command(Verb.SETPOINT, lease_until=130.0, power_w=0.0), 0.0, 100.0)
    rig.state.extra = (Bound(Layer.SITE, 200.0, 300.0, Code.EXPORT_LIMIT),)
    await rig.step()
    assert (rig.ends.ended, allocation.limited) == ([], None)
    rig.command(-5000.0)
    assert rig.state.command is not None
    rig.state.command.settled = True
    await rig.step()
    assert rig.ends.ended == []


# the decision ---------------------------------------------------------------------------------------------------------


async def test_a_floor_that_is_reached_is_reported_once() -> None:
    rig = await ControllerRig.begin(min_soc_pct=50.0)
    rig.command(-5000.0)
    assert rig.state.command is not None
    rig.state.command.settled = True
    await rig.step()
    assert (rig.state.floor_pct, rig.state.floor_reached, rig.events) == (50.0, False, [])
    rig.state.evse.soc_pct = 50.0
    await rig.step()
    assert rig.state.floor_reached
    assert rig.events == [
        ("floor_reached", "CP1-1", "below_floor", "c"),
        ("clamp_changed", "CP1-1", "below_floor", "c"),
    ]
    reason, clamp = rig.published.events[0].reason, rig.published.events[1]
    assert reason is not None
    assert "CP1-1" in reason.text
    assert "50.0 %" in reason.text
    assert clamp.text == "0 W, limited by soc_floor"
    await rig.step()
    assert len(rig.events) == 2
    rig.state.evse.soc_pct = 53.0
    rig.state.command = None
    await rig.step()
    rig.state.evse.soc_pct = 49.0
    await rig.step()
    assert rig.events[2:] == [("floor_reached", "CP1-1", "below_floor", None)]


async def test_another_limit_of_a_command_is_reported_and_another_power_by_the_same_one_is_not() -> None:
    rig = await ControllerRig.begin()
    rig.command(-9000.0)
    await rig.step()
    assert rig.events == []  # reported by its answer
    for power_w, layer, count in (
        (-4000.0, Layer.SITE, 1),
        (-3000.0, Layer.SITE, 1),
        (-3000.0, Layer.ISLAND, 2),
        (-20_000.0, Layer.ISLAND, 3),
    ):
        rig.state.extra = (Bound(layer, power_w, code=Code.POLICY, text="Because."),)
        before = len(rig.published.changes)
        await rig.step()
        assert len(rig.events) == count
        assert len(rig.published.changes) > before
    assert rig.events[0] == ("clamp_changed", "CP1-1", "policy", "c")
    assert rig.published.events[0].text == "-4000 W, limited by site"
    assert rig.events[2] == ("clamp_changed", "CP1-1", "vehicle_limit", "c")
    rig.command(-1000.0, id="d")
    await rig.step()
    assert len(rig.events) == 3  # its own request limits it


@pytest.mark.parametrize(
    ("policy", "power_w", "wakes"),
    [({"import_limit_w": 50_000.0}, -5000.5, False), ({"import_limit_w": 50_000.0}, -5000.6, True), ({}, -1.0, False)],
)
async def test_another_power_wakes_the_others_where_they_share_a_limit(
    policy: dict[str, float], power_w: float, wakes: bool
) -> None:
    rig = await ControllerRig.begin(**policy)
    other, idle = rig.parts.evse("CP2-1"), rig.parts.evse("CP3-1", session=None)
    rig.command(-5000.0)
    await rig.step()
    assert other.wake.is_set() is bool(policy)
    other.wake.clear()
    rig.command(power_w, id="d")
    await rig.step()
    assert (other.wake.is_set(), idle.wake.is_set(), rig.state.wake.is_set()) == (wakes, False, False)


async def test_an_unchanged_decision_is_not_published_again() -> None:
    rig = await ControllerRig.begin()
    rig.command(-5000.0)
    await rig.step()
    count = len(rig.published.changes)
    await rig.step(1.0)
    assert len(rig.published.changes) == count
    assert rig.parts.meter.history.present("CP1-1") == (-5000.0, -5000.0)


# ramp -----------------------------------------------------------------------------------------------------------------


async def test_power_goes_down_in_steps_of_half_a_second_at_the_rate_of_the_site() -> None:
    rig = await ControllerRig.begin(ramp_w_per_s=1000.0)
    await rig.step()
    rig.state.ramp = Ramp(-2000.0, 100.0)
    due = [await rig.step(), await rig.step(0.5), await rig.step(0.5)]
    assert due == [0.5, 0.5, 0.5]
    assert rig.orders == [(100.0, -1500.0, 2.0), (100.5, -1000.0, 1.5), (101.0, -500.0, 1.0)]
    await rig.step(0.5)
    assert rig.orders[-1][1] == 0.0
    assert not rig.ramps
    rig.state.ramp = Ramp(-2000.0, rig.clock.now())
    rig.command(-700.0)
    await rig.step()
    assert rig.orders[-1][1] == -700.0  # a command is followed at once
    assert not rig.ramps


async def test_a_limit_above_the_command_ends_a_ramp() -> None:
    rig = await ControllerRig.begin(ramp_w_per_s=1000.0)
    await rig.step()
    rig.state.ramp = Ramp(-5000.0, 100.0)
    rig.state.extra = (Bound(Layer.SITE, -600.0, code=Code.EXPORT_LIMIT),)
    await rig.step()
    assert (rig.orders[-1][1], rig.state.ramp) == (-600.0, Ramp(-5000.0, 100.0))
    rig.state.extra = (Bound(Layer.SITE, 0.0, code=Code.EXPORT_LIMIT),)
    await rig.step()
    assert rig.orders[-1][1] == 0.0
    assert not rig.ramps


async def test_a_ramp_leads_across_0_w_to_the_power_decided() -> None:
    rig = await ControllerRig.begin(ramp_w_per_s=1000.0)
    rig.state.ramp = Ramp(-1000.0, 100.0)
    rig.state.optimiser = Bound(Layer.OPTIMISER, 500.0, 500.0, Code.POLICY)
    await rig.step()
    assert ([order[1] for order in rig.orders], rig.state.ramp) == ([-500.0], Ramp(-1000.0, 100.0))
    await rig.step(1.0)
    assert [order[1] for order in rig.orders] == [-500.0, 500.0]
    assert not rig.ramps


@pytest.mark.parametrize(("power_w", "ramps"), [(-500.4, False), (-500.5, False), (-500.6, True)])
async def test_a_ramp_ends_within_the_margin_of_its_target(power_w: float, ramps: bool) -> None:
    rig = await ControllerRig.begin(ramp_w_per_s=1000.0)
    await rig.step()
    rig.state.ramp = Ramp(power_w, 100.0)
    await rig.step()
    assert rig.ramps is ramps


async def test_the_station_is_sent_what_makes_it_deliver_the_power_decided() -> None:
    rig = await ControllerRig.begin()
    rig.state.optimiser = Bound(Layer.OPTIMISER, -4000.0, -4000.0, Code.POLICY)
    await rig.step()
    for _ in range(2):
        await rig.clock.sleep(6.0)
        rig.setpoint.metered(-3800.0, rig.clock.now())
    await rig.step()
    assert [order[1] for order in rig.orders] == [-4000.0, -4200.0]
    assert rig.setpoint.sent_w == -4000.0
    await rig.step()
    assert len(rig.orders) == 2


async def test_a_lease_that_ends_while_a_limit_leaves_no_power_says_so() -> None:
    rig = await ControllerRig.begin()
    rig.state.extra = (Bound(Layer.SITE, 0.0, 0.0, Code.EXPORT_LIMIT, "The site is full."),)
    rig.command(-5000.0, lease_s=10.0)
    await rig.step()
    await rig.step(11.0)
    ((_, status, reason, _),) = rig.ends.ended
    assert (status, reason.code) == (Status.LEASE_EXPIRED, Code.LEASE_EXPIRED)
    assert "The site is full." in reason.text


# islands --------------------------------------------------------------------------------------------------------------


async def test_a_charger_that_forms_the_grid_gets_no_order_and_what_the_meter_shows_is_granted() -> None:
    rig = await ControllerRig.begin()
    rig.state.forms_grid = True
    rig.setpoint.verified, rig.setpoint.sent_w = True, -3000.0
    allocation = rig.command(-5000.0, lease_s=600.0)
    assert await rig.step() == 600.0
    assert rig.held.calls == []
    assert (allocation.stage, allocation.confirmed_w, allocation.confirmed_at) == (Stage.CONFIRMED, -5000.0, 100.0)
    assert rig.publisher.notes == [(Step.CONFIRMED, "forming", "c", "CP1-1", {"power_w": -5000.0})]
    assert rig.setpoint.supplied_at == 100.0
    rig.state.command = None
    await rig.step(1.0)
    assert (rig.held.calls, rig.setpoint.supplied_at) == ([], 101.0)
    rig.state.forms_grid = False
    await rig.step(1.0)
    assert rig.setpoint.supplied_at == 102.0  # a reading from before the end says nothing
    await rig.step(1.0)
    assert rig.setpoint.supplied_at == 102.0


@pytest.mark.parametrize("stop", [True, False])
async def test_a_charger_that_forms_the_grid_is_stopped_by_a_fault_and_an_emergency_stop(stop: bool) -> None:
    rig = await ControllerRig.begin()
    rig.state.forms_grid = True
    rig.setpoint.verified, rig.setpoint.sent_w = True, -3000.0
    rig.parts.site.emergency_stop = "e" if stop else None
    rig.state.evse.faults = {} if stop else {"X": ""}
    await rig.step()
    assert rig.orders == [(100.0, 0.0, 15.0)]
    assert rig.setpoint.supplied_at == (-math.inf if stop else 100.0)


async def test_a_charger_that_may_supply_an_island_is_left_alone() -> None:
    rig = await ControllerRig.begin()
    rig.parts.put(InputKind.GRID, Grid(ts=START + 100.0, present=False))
    await rig.step()
    rig.measured(-1500.0)
    await rig.step(1.0)
    assert (rig.setpoint.supplied_at, rig.orders) == (101.0, [])
    rig.setpoint.sent_w = None  # whatever the station holds
    await rig.step(1.0)
    assert (rig.setpoint.supplied_at, rig.orders) == (102.0, [])


# energy while the meter is silent -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent_w", "changed_at", "metered_at", "estimated_until", "spent_wh"),
    [
        (-3600.0, 60.0, None, None, 40.0),
        (-3600.0, 60.0, 65.0, None, 35.0),
        (-3600.0, 60.0, 69.0, None, 31.0),
        (-3600.0, 60.0, 70.0, None, None),
        (-3600.0, 60.0, 65.0, 69.5, 30.5),
        (-3600.0, 70.0, None, None, None),
        (3600.0, 60.0, None, None, None),
        (-0.5, 0.0, None, None, 0.5 / 36),
        (0.0, 60.0, None, None, None),
        (0.5, 60.0, None, None, None),
        (None, 60.0, None, None, None),
    ],
)
async def test_a_discharge_is_counted_as_ordered_while_the_meter_is_silent(
    sent_w: float | None,
    changed_at: float,
    metered_at: float | None,
    estimated_until: float | None,
    spent_wh: float | None,
) -> None:
    rig = await ControllerRig.begin()
    rig.setpoint.sent_w, rig.setpoint.changed_at, rig.setpoint.verified = sent_w, changed_at, True
    rig.state.evse.metered_at, before = metered_at, rig.state.estimated_until
    if estimated_until is not None:
        rig.state.estimated_until = before = estimated_until
    await rig.step()
    assert rig.state.estimated_until == (100.0 if spent_wh is not None else before)
    soc_pct = rig.state.evse.soc_pct
    assert soc_pct == pytest.approx(60.0 - 100 * 1.1 * (spent_wh or 0.0) / 50_000.0, abs=1e-9)


async def test_energy_is_counted_from_the_first_step_with_a_power_in_a_session() -> None:
    rig = await ControllerRig.begin()
    rig.setpoint.sent_w = -3600.0
    rig.state.evse.session = None
    await rig.step()
    assert rig.state.estimated_until == -math.inf
    rig.state.evse.session = "tx"
    await rig.step()
    assert (rig.state.estimated_until, rig.state.evse.soc_pct) == (100.0, 60.0)


async def test_a_charger_without_orders_supplies_until_the_grid_is_back() -> None:
    rig = await ControllerRig.begin()
    rig.state.evse.can_discharge = False
    rig.parts.site.restore_grid(GridReport(False, START))
    rig.state.evse.power_w, rig.state.evse.metered_at = -3000.0, 100.0
    await rig.step()
    assert rig.setpoint.supplied_at == 100.0
    for at in (101.0, 102.0, 103.0):  # the load of the island is small now
        rig.state.evse.power_w = -20.0
        await rig.step(1.0)
        assert rig.setpoint.supplied_at == at
    rig.parts.site.restore_grid(GridReport(True, START))
    await rig.step(1.0)
    assert rig.setpoint.supplied_at == 104.0  # once more: its end was not measured
    await rig.step(1.0)
    assert rig.setpoint.supplied_at == 104.0


async def test_the_memory_of_the_floor_is_kept_where_it_changes() -> None:
    rig = await ControllerRig.begin(min_soc_pct=30.0)
    await rig.step()
    assert rig.kept_needs() == []
    rig.state.evse.soc_pct = 29.0
    await rig.step(1.0)
    rig.state.evse.soc_pct = 28.0
    await rig.step(1.0)
    rig.state.evse.soc_pct = 80.0
    await rig.step(1.0)
    assert rig.kept_needs() == [(START + 101.0, True), (START + 103.0, False)]


async def test_a_confirmed_set_point_is_logged_by_name_but_for_steps_of_a_ramp(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "v2x.setpoint")
    rig = await ControllerRig.begin()
    rig.command(-5000.0)
    await rig.step()
    assert [record.getMessage() for record in caplog.records] == ["CP1-1: set-point -5000 W (limit: command)"]
    caplog.clear()
    rig.state.command = None
    rig.state.ramp = Ramp(-5000.0, 101.0)
    await rig.step(1.0)
    assert rig.ramps
    assert caplog.records == []


# the next step --------------------------------------------------------------------------------------------------------


async def test_an_input_that_gets_stale_wakes_those_with_a_session() -> None:
    rig = await ControllerRig.begin()
    rig.parts.put(InputKind.LOAD, Load(ts=START + 100.0, power_w=1000.0))
    assert await rig.step() == 15.0
    rig.state.evse.session = None
    assert await rig.step() is None


async def test_the_departure_wakes_a_vehicle_that_is_discharged() -> None:
    rig = await ControllerRig.begin()
    rig.state.evse.needs = replace(VEHICLE, departure=START + 1304.0)
    rig.state.evse.target_energy_wh = 0.85 * 9000.0 / 3.0  # 1200 s of charging
    rig.command(-5000.0, lease_s=600.0)
    assert await rig.step() == pytest.approx(4.0)
    rig.command(5000.0, lease_s=600.0)
    assert await rig.step() == 6.0
    rig.command(-5000.0, lease_s=600.0)
    await rig.step(4.5)
    assert [one[2].code for one in rig.ends.ended] == [Code.NEEDED_FOR_DEPARTURE]


@pytest.mark.parametrize("sent_w", [0.0, 0.5])
async def test_the_departure_wakes_no_vehicle_that_is_not_discharged(sent_w: float) -> None:
    rig = await ControllerRig.begin()
    rig.state.evse.needs = replace(VEHICLE, departure=START + 1304.0)
    rig.state.evse.target_energy_wh = 0.85 * 9000.0 / 3.0
    rig.setpoint.sent_w, rig.setpoint.verified = sent_w, True
    rig.state.forms_grid = True
    assert await rig.step() is None


async def test_the_next_step_is_never_due_at_once() -> None:
    rig = await ControllerRig.begin()
    await rig.step()
    allocation = rig.command(-5000.0, lease_s=600.0)
    allocation.verified_from = 40.0
    rig.ends.withdraw = lambda *args, **kwargs: None  # type: ignore[method-assign]
    assert await rig.step() == pytest.approx(0.001)


# errors ---------------------------------------------------------------------------------------------------------------


async def test_an_error_of_a_backend_is_reported_once_and_tried_again() -> None:
    rig = await ControllerRig.begin()
    rig.command(-5000.0, lease_s=600.0)
    rig.stations.broken = True
    run = asyncio.create_task(rig.controller.run())
    await rig.clock.sleep(9.0)
    assert rig.state.steps == 5  # each 2 s
    assert rig.events == [("fault", "CP1-1", "fault", None)]
    reason = rig.published.events[0].reason
    assert reason is not None
    assert "CP1-1" in reason.text
    assert (rig.setpoint.state, rig.setpoint.retry_at) == (State.UNVERIFIED, 110.0)
    rig.stations.broken = False
    await rig.clock.sleep(2.0)
    assert rig.setpoint.sent_w == -5000.0
    rig.stations.broken = True
    await rig.clock.sleep(6.0)
    assert len(rig.events) == 2
    run.cancel()


async def test_a_controller_sleeps_until_its_deadline_or_until_it_is_woken() -> None:
    rig = await ControllerRig.begin()
    run = asyncio.create_task(rig.controller.run())
    await rig.clock.sleep(1000.0)
    assert rig.state.steps == 1
    rig.command(-5000.0, lease_s=600.0)
    rig.state.wake.set()
    await rig.clock.sleep(13.0)
    assert (rig.state.steps, [order[0] for order in rig.orders]) == (4, [1100.0, 1106.0, 1112.0])
    run.cancel()
