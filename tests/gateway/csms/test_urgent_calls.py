"""Calls that cannot wait overtake those that can: a station that leaves a call unanswered delays no stop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.csms import negotiated_profile
from gateway.csms.admin import Admin
from gateway.csms.csms import Csms
from gateway.csms.settings import CsmsSettings, StationSettings, UnknownTokens
from gateway.model.station import Answer
from protocols.ocpp.events import Priority
from protocols.ocpp.rpc import YIELD_URGENT_WITHIN, YIELD_WITHIN, Rpc
from protocols.ocpp.schema import Version
from tests.gateway.csms.raw_station import Raw

pytestmark = pytest.mark.virtual_time

HOUSEKEEPING = ("GetConfiguration", "ChangeConfiguration", "GetLocalListVersion", "SendLocalList", "GetBaseReport",
                "GetVariables", "SetVariables", "GetTransactionStatus", "TriggerMessage")  # fmt: skip


class Silent:
    """A station that never answers some actions, and the others after `delay_s`."""

    def __init__(self, raw: Raw, unanswered: tuple[str, ...], delay_s: float) -> None:
        self.raw, self.unanswered, self.delay_s = raw, unanswered, delay_s
        self.calls: list[tuple[float, str, dict[str, Any]]] = []

    async def run(self) -> None:
        while True:
            await self.raw.called(0.01)
            while self.raw.csms_calls:
                _, number, action, payload = self.raw.csms_calls.pop(0)
                self.calls.append((self.raw.clock.now(), action, payload))
                if action not in self.unanswered:
                    await asyncio.sleep(self.delay_s)
                    answer = '{"status":"Accepted"}'
                    answer = '{"listVersion":0}' if action == "GetLocalListVersion" else answer
                    await self.raw.send(f'[3,"{number}",{answer}]')

    def at(self, action: str, text: str = "") -> float:
        """Return when the first such call was received."""
        return next(t for t, name, payload in self.calls if name == action and text in str(payload))


@asynccontextmanager
async def silent(
    unanswered: tuple[str, ...], delay_s: float = 0.0, version: Version = Version.V16, **settings: Any
) -> AsyncIterator[Silent]:
    profile = "negative-limit" if version is not Version.V21 else None
    entry = StationSettings("CP1", vendor_profile=profile, max_charge_w=1e4, max_discharge_w=1e4)
    raw = Raw(version)
    csms = CsmsSettings(stations=(entry,), unknown_tokens=UnknownTokens.ACCEPT, **settings)
    raw.csms = Csms(csms, raw.events.append, raw.clock)
    async with raw:
        station = Silent(raw, unanswered, delay_s)
        running = asyncio.create_task(station.run())
        try:
            yield station
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


async def plugged_in(raw: Raw, evse: int = 1) -> None:
    if raw.version is Version.V16:
        await raw.ok("StatusNotification", {"connectorId": evse, "errorCode": "NoError", "status": "Preparing"})
        begin = {"connectorId": evse, "idTag": f"A{evse}", "meterStart": 0, "timestamp": raw.time()}
        await raw.ok("StartTransaction", begin)
    else:
        await raw.event("Started", 0, f"t{evse}", evse=evse)


@pytest.mark.parametrize("version", [Version.V16, Version.V201, Version.V21])
async def test_the_fallback_profile_does_not_wait_behind_housekeeping(version: Version) -> None:
    async with silent(HOUSEKEEPING, version=version, local_list=True) as station:
        raw = station.raw
        begun = raw.clock.now()
        await raw.boot()
        await plugged_in(raw)
        await asyncio.sleep(5)
        assert station.at("SetChargingProfile") - begun <= 0.5


@pytest.mark.parametrize("unanswered", HOUSEKEEPING)
async def test_a_stop_does_not_wait_behind_housekeeping(unanswered: str) -> None:
    async with silent((unanswered,), local_list=True) as station:
        raw = station.raw
        await raw.boot()
        await plugged_in(raw)
        await asyncio.sleep(1.5)
        begun = raw.clock.now()
        outcome = await raw.csms.set_power("CP1-1", 0.0, 15.0)
        assert outcome.answer is Answer.APPLIED
        assert raw.clock.now() - begun <= YIELD_WITHIN + 0.1


@pytest.mark.parametrize("unanswered", ["GetConfiguration", "TriggerMessage"])
async def test_a_power_waits_for_housekeeping_for_a_second(unanswered: str) -> None:
    async with silent(()) as station:
        raw = station.raw
        await raw.boot()
        await plugged_in(raw)
        await asyncio.sleep(60)
        station.unanswered = (unanswered,)
        body = {"requestedMessage": "Heartbeat"} if unanswered == "TriggerMessage" else {}
        known = raw.csms.stations["CP1"]
        waiting = asyncio.create_task(known.call(unanswered, body, priority=Priority.HOUSEKEEPING))
        await asyncio.sleep(0.1)
        begun = raw.clock.now()
        assert (await raw.csms.set_power("CP1-1", -5000.0, 15.0)).answer is Answer.APPLIED
        assert raw.clock.now() - begun <= YIELD_WITHIN + 0.1
        await waiting


async def test_a_power_has_an_end_though_the_station_boots_while_it_waits() -> None:
    """At the same connection; a station that has booted has lost the fallback profile."""
    async with silent(()) as station:
        raw = station.raw
        await raw.boot()
        await plugged_in(raw)
        await asyncio.sleep(60)
        assert (await raw.csms.set_power("CP1-1", 5000.0, 15.0)).answer is Answer.APPLIED
        station.unanswered = ("ClearCache",)
        other = asyncio.create_task(raw.csms.stations["CP1"].call("ClearCache", {}, 4.0))
        await asyncio.sleep(0.1)
        station.calls.clear()
        order = asyncio.create_task(raw.csms.set_power("CP1-1", 3000.0, 15.0))
        await asyncio.sleep(1)
        await raw.boot()
        await other
        assert (await order).answer is Answer.APPLIED
        profiles = [one["csChargingProfiles"] for _, name, one in station.calls if name == "SetChargingProfile"]
        assert [one["chargingProfilePurpose"] for one in profiles] == ["TxDefaultProfile", "TxProfile"]
        assert 0 < profiles[1]["chargingSchedule"]["duration"] <= 15


@pytest.mark.parametrize("action", ["SetChargingProfile", "GetDiagnostics", "GetCompositeSchedule"])
async def test_0_w_overtakes_an_order_and_an_operators_call_without_an_answer(action: str) -> None:
    async with silent((), inventory=False) as station:
        raw = station.raw
        await raw.boot()
        await plugged_in(raw)
        await asyncio.sleep(2)
        station.unanswered = (action,)
        if action == "GetDiagnostics":
            call = Admin(raw.csms).call("CP1", action, {"location": "ftp://x"}, 60.0)
            order: asyncio.Task[Any] = asyncio.create_task(call)
        elif action == "GetCompositeSchedule":
            order = asyncio.create_task(raw.csms.reconcile("CP1-1"))
        else:
            order = asyncio.create_task(raw.csms.set_power("CP1-1", -5000.0, 15.0))
        await asyncio.sleep(0.5)
        station.unanswered, begun = (), raw.clock.now()
        assert (await raw.csms.set_power("CP1-1", 0.0, 15.0)).answer is Answer.APPLIED
        assert raw.clock.now() - begun <= YIELD_WITHIN + 0.1
        await order


async def test_an_operators_call_overtakes_housekeeping() -> None:
    async with silent(HOUSEKEEPING, local_list=True) as station:
        raw = station.raw
        await raw.boot()
        await asyncio.sleep(1.5)
        begun = raw.clock.now()
        result = await Admin(raw.csms).call("CP1", "ClearCache", {}, 10.0)
        assert result["type"] == "result"
        assert raw.clock.now() - begun <= YIELD_WITHIN + 0.1


async def test_a_station_that_needs_9_s_to_answer_is_commanded() -> None:
    async with silent((), delay_s=9.0) as station:
        raw = station.raw
        await raw.boot()
        await plugged_in(raw)
        await asyncio.sleep(60)
        begun = raw.clock.now()
        assert (await raw.csms.set_power("CP1-1", -5000.0, 15.0)).answer is Answer.APPLIED
        assert raw.clock.now() - begun <= 9.1


@given(st.lists(st.sampled_from(Priority), max_size=30))
def test_calls_are_sent_by_priority_and_then_in_order(priorities: list[Priority]) -> None:
    engine = Rpc(Version.V16)
    engine.call("ClearCache", {}, 0.0)
    engine.data_to_send()
    numbers = {engine.call("ClearCache", {}, 0.0, priority=one): (one, n) for n, one in enumerate(priorities)}
    assert [numbers[mid] for mid in engine.pending[1:]] == sorted(numbers.values())
    waits = engine.deadline()
    assert waits is not None
    assert (waits <= YIELD_WITHIN) is (Priority.URGENT in priorities)


@pytest.mark.parametrize("after_s", [0.0, 0.5, 1.2, 2.5])
@pytest.mark.parametrize("version", list(Version))
async def test_nothing_is_requested_beside_an_operators_call(version: Version, after_s: float) -> None:
    """Before the first request of the inventory, an operator's call is the first one; later it is the next one."""
    async with silent(("GetBaseReport", "GetConfiguration"), version=version, local_list=True) as station:
        raw = station.raw
        await raw.boot()
        await asyncio.sleep(after_s)
        before, begun = len(station.calls), raw.clock.now()
        result = await Admin(raw.csms).call("CP1", "ClearCache", {}, 10.0)
        assert result["type"] == "result"
        assert raw.clock.now() - begun <= YIELD_WITHIN + 0.1
        assert [action for _, action, _ in station.calls[before:]] == ["ClearCache"]
        assert before == 0 or after_s > 1.0
        answered = raw.clock.now()
        await asyncio.sleep(60)
        later = [at - answered for at, action, _ in station.calls[before + 1 :] if action != "SetChargingProfile"]
        assert later
        assert min(later) >= 4.5


@pytest.mark.parametrize("version", [Version.V16, Version.V201, Version.V21])
@pytest.mark.parametrize("gap_s", [0.0, 0.2, 1.5])
@pytest.mark.parametrize("orders", [(1,), (1, 1, 1), (1, 2), (2, 1)])
async def test_0_w_does_not_wait_for_older_orders_behind_a_call_without_an_answer(
    version: Version, gap_s: float, orders: tuple[int, ...]
) -> None:
    """`orders`: EVSEs of the older orders."""
    async with silent((), inventory=False, version=version) as station:
        raw = station.raw
        await raw.boot()
        for evse in (1, 2):
            await plugged_in(raw, evse)
        await asyncio.sleep(2)
        station.unanswered = ("ClearCache", "SetChargingProfile", "UpdateDynamicSchedule")
        call = asyncio.create_task(Admin(raw.csms).call("CP1", "ClearCache", {}, 60.0))
        await asyncio.sleep(0.1)
        older = [asyncio.create_task(raw.csms.set_power(f"CP1-{evse}", 5000.0, 15.0)) for evse in orders]
        await asyncio.sleep(gap_s)
        begun, before = raw.clock.now(), len(station.calls)
        stop = asyncio.create_task(raw.csms.set_power("CP1-1", 0.0, 15.0))
        await asyncio.sleep(40)
        stops = [t - begun for t, _, payload in station.calls[before:] if stopping(payload)]
        assert stops
        assert stops[0] <= YIELD_WITHIN + 0.1
        given_up = [await order for order, evse in zip(older, orders, strict=True) if evse == 1]
        assert {(one.answer, one.code) for one in given_up} == {(Answer.UNKNOWN, "Overtaken")}
        call.cancel()
        stop.cancel()


async def test_0_w_shortens_one_wait_after_the_other() -> None:
    async with silent((), inventory=False, version=Version.V21) as station:
        raw = station.raw
        await raw.boot()
        await plugged_in(raw)
        await asyncio.sleep(2)
        assert (await raw.csms.set_power("CP1-1", 5000.0, 60.0)).answer is Answer.APPLIED
        station.unanswered = ("ClearCache", "SetChargingProfile", "UpdateDynamicSchedule")
        known = raw.csms.stations["CP1"]
        call = asyncio.create_task(Admin(raw.csms).call("CP1", "ClearCache", {}, 60.0))
        await asyncio.sleep(0.1)
        initialising = asyncio.create_task(negotiated_profile.initialise(known, known.evses[1]))
        await asyncio.sleep(0.1)
        begun, before = raw.clock.now(), len(station.calls)
        stop = asyncio.create_task(raw.csms.set_power("CP1-1", 0.0, 15.0))
        await asyncio.sleep(40)
        stops = [t - begun for t, _, payload in station.calls[before:] if stopping(payload)]
        assert stops[0] <= 3 * YIELD_WITHIN + 0.2  # behind the call, a profile and its repetition
        call.cancel()
        stop.cancel()
        await asyncio.gather(call, initialising, stop, return_exceptions=True)


@pytest.mark.parametrize("version", [Version.V16, Version.V201, Version.V21])
async def test_0_w_waits_a_short_time_for_that_of_another_evse(version: Version) -> None:
    """An emergency stop ends each EVSE of a station that does not answer."""
    async with silent((), inventory=False, version=version) as station:
        raw = station.raw
        await raw.boot()
        for evse in (1, 2, 3):
            await plugged_in(raw, evse)
        await asyncio.sleep(2)
        station.unanswered = ("SetChargingProfile", "UpdateDynamicSchedule")
        begun, before = raw.clock.now(), len(station.calls)
        stops = [asyncio.create_task(raw.csms.set_power(f"CP1-{evse}", 0.0, 15.0)) for evse in (1, 2, 3)]
        await asyncio.gather(*stops)
        sent = [t - begun for t, _, payload in station.calls[before:] if stopping(payload)]
        assert len(sent) == 3
        assert max(sent) <= 2 * YIELD_URGENT_WITHIN + 0.1


@pytest.mark.parametrize("version", [Version.V16, Version.V201, Version.V21])
async def test_a_station_that_needs_9_s_to_answer_confirms_0_w_of_each_evse(version: Version) -> None:
    async with silent((), inventory=False, version=version) as station:
        raw = station.raw
        await raw.boot()
        for evse in (1, 2, 3):
            await plugged_in(raw, evse)
        await asyncio.sleep(2)
        station.delay_s = 9.0
        stops = [asyncio.create_task(raw.csms.set_power(f"CP1-{evse}", 0.0, 15.0)) for evse in (1, 2, 3)]
        assert {one.answer for one in await asyncio.gather(*stops)} == {Answer.APPLIED}


def stopping(payload: dict[str, Any]) -> bool:
    """Return True for a set-point of 0 W."""
    text = str(payload)
    return "'limit': 0.0" in text or "'setpoint': 0.0" in text
