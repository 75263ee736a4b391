"""Stations that take amperes only, whose clock is wrong, or that do not yet know the id of their transaction."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.csms.charging_profile import allow_units
from gateway.csms.csms import Csms
from gateway.csms.settings import CsmsSettings, StationSettings, UnknownTokens
from gateway.model.journal import Record
from gateway.model.station import Answer
from protocols.ocpp.schema import Version
from protocols.ocpp.times import parse
from tests.gateway.csms.raw_station import Raw
from tests.gateway.csms.scripted_transaction import BPT

pytestmark = pytest.mark.virtual_time

Answerer = Callable[[str, dict[str, Any]], dict[str, Any]]


@asynccontextmanager
async def station(
    answer: Answerer,
    version: Version = Version.V16,
    skew_s: float = 0.0,
    writer: Any = None,
    inventory: bool = True,
    settled_s: float = 10.0,
) -> AsyncIterator[tuple[Raw, list[tuple[str, dict[str, Any]]]]]:
    """Run a session at a station with `answer` to each call, whose clock is `skew_s` ahead."""
    profile = "negative-limit" if version is not Version.V21 else None
    entry = StationSettings("CP1", vendor_profile=profile, max_charge_w=1e4, max_discharge_w=1e4)
    raw, calls = Raw(version), []
    settings = CsmsSettings(stations=(entry,), unknown_tokens=UnknownTokens.ACCEPT, inventory=inventory)
    raw.csms = Csms(settings, raw.events.append, raw.clock, writer)

    async def respond() -> None:
        while True:
            await raw.called(0.01)
            while raw.csms_calls:
                _, number, action, payload = raw.csms_calls.pop(0)
                calls.append((action, payload))
                await raw.send(json.dumps([3, number, answer(action, payload)]))

    async with raw:
        running = asyncio.create_task(respond())
        try:
            await raw.boot()
            if version is Version.V16:
                status = {"connectorId": 1, "errorCode": "NoError", "status": "Preparing"}
                await raw.ok("StatusNotification", status | {"timestamp": raw.time(skew_s)})
                begin = {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": raw.time(skew_s)}
                await raw.ok("StartTransaction", begin)
            else:
                await raw.event("Started", 0, at=skew_s)
                if version is Version.V21:
                    await raw.ok("NotifyEVChargingNeeds", {"evseId": 1, "chargingNeeds": BPT})
            await asyncio.sleep(settled_s)
            yield raw, calls
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


def schedule(payload: dict[str, Any]) -> dict[str, Any]:
    profile = payload.get("csChargingProfiles") or payload["chargingProfile"]
    found = profile["chargingSchedule"]
    one: dict[str, Any] = found if isinstance(found, dict) else found[0]
    return one


def amperes_only(known: bool, version: Version, rejection: dict[str, Any] | None = None) -> Answerer:
    rejected = {"status": "Rejected", **(rejection or {})}

    def answer(action: str, payload: dict[str, Any]) -> dict[str, Any]:
        if action == "SetChargingProfile":
            return {"status": "Accepted"} if schedule(payload)["chargingRateUnit"] == "A" else rejected
        if action == "GetConfiguration":
            keys = [{"key": "ChargingScheduleAllowedChargingRateUnit", "readonly": True, "value": "Current"}]
            return {"configurationKey": keys if known else [], "unknownKey": []}
        if action == "GetVariables":
            results = [{**one, "attributeStatus": "UnknownVariable"} for one in payload["getVariableData"]]
            return {"getVariableResult": results}
        return {"status": "Rejected" if action in ("GetCompositeSchedule", "GetBaseReport") else "Accepted"}

    return answer


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("version", list(Version))
async def test_a_station_that_takes_amperes_gets_all_profiles_in_amperes(known: bool, version: Version) -> None:
    async with station(amperes_only(known, version), version) as (raw, calls):
        await asyncio.sleep(40)
        for power_w, amperes in ((-6900.0, -10.0), (6900.0, 10.0), (0.0, 0.0)):
            calls.clear()
            assert (await raw.csms.set_power("CP1-1", power_w, 15.0)).answer is Answer.APPLIED
            (period,) = schedule(calls[-1][1])["chargingSchedulePeriod"] if "Set" in calls[-1][0] else (
                calls[-1][1]["scheduleUpdate"],)  # fmt: skip
            assert period.get("limit", period.get("setpoint")) == amperes


@pytest.mark.parametrize("power_w", [0.0, 6900.0, -6900.0])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("version", list(Version))
async def test_the_first_set_point_is_accepted_before_the_unit_is_known(
    version: Version, known: bool, power_w: float
) -> None:
    """A rejection at the first contact would be a fault event, or the end of a command."""
    async with station(amperes_only(known, version), version, settled_s=0.0) as (raw, calls):
        if power_w:
            await raw.csms.set_power("CP1-1", 0.0, 15.0)
        assert (await raw.csms.set_power("CP1-1", power_w, 15.0)).answer is Answer.APPLIED
        assert last_value(calls) == power_w / 690.0
        assert raw.csms.stations["CP1"].rate_unit == "A"
        calls.clear()
        assert (await raw.csms.set_power("CP1-1", power_w / 2, 15.0)).answer is Answer.APPLIED
        units = [schedule(one)["chargingRateUnit"] for action, one in calls if action == "SetChargingProfile"]
        assert set(units) <= {"A"}
        assert last_value(calls) == power_w / 2 / 690.0
        if version is Version.V21 and not known and power_w:  # the profile stays: its unit is that of the station
            assert "UpdateDynamicSchedule" in [action for action, _ in calls]


def last_value(calls: list[tuple[str, dict[str, Any]]]) -> float:
    """Return the last limit or set-point that a station received, in the unit of its profile."""
    action, payload = [one for one in calls if one[0] in ("SetChargingProfile", "UpdateDynamicSchedule")][-1]
    if action == "UpdateDynamicSchedule":
        period = payload["scheduleUpdate"]
    else:
        (period,) = schedule(payload)["chargingSchedulePeriod"]
    return float(period.get("limit", period.get("setpoint")))


@pytest.mark.parametrize("version", list(Version))
async def test_a_fallback_profile_that_is_accepted_in_amperes_tells_the_unit(version: Version) -> None:
    async with station(amperes_only(False, version), version) as (raw, _):
        await asyncio.sleep(40)
        assert raw.csms.stations["CP1"].rate_unit == "A"


@pytest.mark.parametrize("version", list(Version))
async def test_a_refused_set_point_changes_nothing_that_is_known(version: Version) -> None:
    refuses = False

    def answer(action: str, payload: dict[str, Any]) -> dict[str, Any]:
        rejects = refuses and action in ("SetChargingProfile", "UpdateDynamicSchedule")
        return {"status": "Rejected" if rejects else "Accepted"}

    async with station(answer, version, inventory=False) as (raw, _):
        known = raw.csms.stations["CP1"]
        evse = known.evses[1]
        assert (await raw.csms.set_power("CP1-1", -5000.0, 60.0)).answer is Answer.APPLIED
        before, profile, known.rate_unit = evse.setpoint, evse.setpoint_profile, None
        refuses = True
        assert (await raw.csms.set_power("CP1-1", -3000.0, 30.0)).answer is Answer.REFUSED
        assert (evse.setpoint, evse.setpoint_profile, known.rate_unit) == (before, profile, None)


@pytest.mark.parametrize("version", list(Version))
async def test_a_set_point_that_is_rejected_in_the_unit_of_the_station_is_not_sent_in_the_other(
    version: Version,
) -> None:
    accepts = True

    def answer(action: str, payload: dict[str, Any]) -> dict[str, Any]:
        found = amperes_only(False, version)(action, payload)
        rejects = action in ("SetChargingProfile", "UpdateDynamicSchedule") and not accepts
        return {"status": "Rejected"} if rejects else found if action == "GetVariables" else {"status": "Accepted"}

    async with station(answer, version, inventory=False) as (raw, calls):
        assert (await raw.csms.set_power("CP1-1", 5000.0, 15.0)).answer is Answer.APPLIED
        accepts = False
        calls.clear()
        assert (await raw.csms.set_power("CP1-1", 4000.0, 15.0)).answer is Answer.REFUSED
        assert {schedule(one)["chargingRateUnit"] for action, one in calls if action == "SetChargingProfile"} == {"W"}


async def test_the_fallback_profile_follows_at_once_when_the_unit_is_known() -> None:
    """The first command after the boot does not wait for the next attempt, nor fail without one."""
    answer, times = amperes_only(True, Version.V16), dict[str, float]()

    def timed(action: str, payload: dict[str, Any]) -> dict[str, Any]:
        what = schedule(payload)["chargingRateUnit"] if "csChargingProfiles" in payload else action
        default = payload.get("csChargingProfiles", {}).get("chargingProfilePurpose") == "TxDefaultProfile"
        times.setdefault(f"default {what}" if default else what, asyncio.get_running_loop().time())
        return answer(action, payload)

    async with station(timed):
        assert times["default W"] < times["GetConfiguration"]
        assert 0.0 <= times["default A"] - times["GetConfiguration"] < 0.5


@pytest.mark.parametrize("version", list(Version))
async def test_what_the_station_states_about_its_unit_holds_for_the_next_set_point(version: Version) -> None:
    """Also where it has accepted a profile in the other one, whose updates remain in that."""
    async with station(lambda *_: {"status": "Accepted"}, version, inventory=False) as (raw, calls):
        await raw.csms.set_power("CP1-1", 6900.0, 15.0)
        allow_units(raw.csms.stations["CP1"], "Current")
        calls.clear()
        assert (await raw.csms.set_power("CP1-1", -6900.0, 15.0)).answer is Answer.APPLIED
        (sent,) = [schedule(one) for action, one in calls if action == "SetChargingProfile"]
        (period,) = sent["chargingSchedulePeriod"]
        assert (sent["chargingRateUnit"], period.get("limit", period.get("setpoint"))) == ("A", -10.0)


@pytest.mark.parametrize("reason", ["UnsupportedRateUnit", "InvalidSchedule", "vendor's own"])
@pytest.mark.parametrize("more", [{}, {"additionalInfo": "amperes, please"}])
@pytest.mark.parametrize("version", [Version.V201, Version.V21])
async def test_amperes_are_tried_whatever_the_reason_of_the_rejection(
    reason: str, more: dict[str, str], version: Version
) -> None:
    info = {"statusInfo": {"reasonCode": reason, **more}}
    async with station(amperes_only(False, version, info), version) as (raw, calls):
        await asyncio.sleep(40)
        calls.clear()
        assert (await raw.csms.set_power("CP1-1", -6900.0, 15.0)).answer is Answer.APPLIED
        assert calls


def measured(measurand: str, value: float, phase: str | None = None) -> dict[str, Any]:
    return {"measurand": measurand, "value": value, **({} if phase is None else {"phase": phase})}


V, I_IN, I_OUT, P_IN, P_OUT = (
    "Voltage",
    "Current.Import",
    "Current.Export",
    "Power.Active.Import",
    "Power.Active.Export",
)
THREE = [measured(V, 230.0, phase) for phase in ("L1-N", "L2-N", "L3-N")]
METERED: dict[str, tuple[list[dict[str, Any]], float]] = {  # and the volts per ampere
    "DC": ([measured(V, 400.0), measured(I_IN, 10.0)], 400.0),
    "DC at rest": ([measured(V, 400.0), measured(I_IN, 0.0)], 400.0),
    "DC, discharge": ([measured(V, 800.0), measured(I_OUT, 10.0), measured(P_OUT, 7900.0)], 800.0),
    "DC, low voltage": ([measured(V, 250.0), measured(I_IN, 10.0), measured(P_IN, 2450.0)], 250.0),
    "one phase": ([measured(V, 230.0), measured(I_IN, 16.0), measured(P_IN, 3650.0)], 230.0),
    "one phase of three": ([*THREE, *(measured(I_IN, a, f"L{n}") for n, a in ((1, 10.0), (2, 0.1), (3, 0.0)))], 230.0),
    "three phases": ([*THREE, *(measured(I_IN, 10.0, f"L{n}") for n in (1, 2, 3))], 690.0),
    "three phases, one current": ([measured(V, 230.0), measured(I_IN, 10.0), measured(P_IN, 6900.0)], 690.0),
    "between phases": ([measured(V, 400.0), measured(I_IN, 10.0), measured(P_IN, 6928.0)], 692.8),
    "nothing flows": ([measured(V, 230.0), measured(I_IN, 0.0), measured(P_IN, 0.0)], 690.0),
    "no current": ([measured(V, 230.0), measured(P_IN, 2000.0)], 690.0),
    "no current, not known what the voltage is of": ([measured(V, 400.0), measured(P_IN, 2000.0)], 1200.0),
}


@pytest.mark.parametrize("case", METERED)
@pytest.mark.parametrize("version", [Version.V16, Version.V21])
async def test_amperes_are_those_of_the_phases_in_use(case: str, version: Version) -> None:
    samples, volts = METERED[case]
    async with station(amperes_only(True, version), version) as (raw, calls):
        await asyncio.sleep(20)
        if version is Version.V16:
            text = [one | {"value": str(one["value"])} for one in samples]
            values = [{"timestamp": raw.time(), "sampledValue": text}]
            await raw.ok("MeterValues", {"connectorId": 1, "meterValue": values})
        else:
            values = [{"timestamp": raw.time(), "sampledValue": samples}]
            await raw.event("Updated", 1, meterValue=values)
        calls.clear()
        assert (await raw.csms.set_power("CP1-1", -4000.0, 15.0)).answer is Answer.APPLIED
        (period,) = schedule(calls[-1][1])["chargingSchedulePeriod"] if "Set" in calls[-1][0] else (
            calls[-1][1]["scheduleUpdate"],)  # fmt: skip
        amperes = period.get("limit", period.get("setpoint"))
        assert -4000.0 / volts <= amperes <= -4000.0 / volts + 0.11


@pytest.mark.parametrize(("unit", "value", "power_w"), [("A", -10.0, -6900.0), ("W", -500.0, -500.0)])
async def test_a_composite_schedule_is_read_in_its_unit(unit: str, value: float, power_w: float) -> None:
    def answer(action: str, payload: dict[str, Any]) -> dict[str, Any]:
        if action != "GetCompositeSchedule":
            return {"status": "Accepted"}
        periods = [{"startPeriod": 0, "limit": value}]
        return {"status": "Accepted", "chargingSchedule": {"chargingRateUnit": unit, "chargingSchedulePeriod": periods}}

    async with station(answer, inventory=False) as (raw, _):
        assert await raw.csms.reconcile("CP1-1") == power_w


@pytest.mark.parametrize("skew_s", [0.0, -3.0, -20.0, 12.0, 20.0, 3600.0, -1.7e9])
@pytest.mark.parametrize("version", [Version.V16, Version.V201])
async def test_a_set_point_begins_now_by_the_clock_of_the_station(skew_s: float, version: Version) -> None:
    async with station(lambda *_: {"status": "Accepted"}, version, skew_s, inventory=False) as (raw, calls):
        await raw.csms.set_power("CP1-1", -5000.0, 15.0)
        begins = parse(schedule(calls[-1][1])["startSchedule"])
        assert begins is not None
        assert -2.5 <= begins - (raw.clock.wall() + skew_s) <= 0.01


class SlowWriter:
    """A store that needs 3 s."""

    async def keep(self, *records: Record, within_s: float = 10.0) -> None:
        await asyncio.sleep(3)

    def later(self, *records: Record) -> None: ...


async def test_a_profile_of_a_transaction_follows_its_id() -> None:
    sent: list[str] = []

    def answer(action: str, payload: dict[str, Any]) -> dict[str, Any]:
        if action == "SetChargingProfile":
            sent.append(payload["csChargingProfiles"]["chargingProfilePurpose"])
        return {"status": "Accepted"}

    async with station(answer, writer=SlowWriter(), inventory=False) as (raw, _):
        sent.clear()
        begin = {"connectorId": 2, "idTag": "B", "meterStart": 0, "timestamp": raw.time()}
        starting = asyncio.create_task(raw.ok("StartTransaction", begin))
        await asyncio.sleep(0.1)
        order = asyncio.create_task(raw.csms.set_power("CP1-2", -5000.0, 15.0))
        await asyncio.sleep(2)
        assert not starting.done()
        assert "TxProfile" not in sent
        assert (await order).answer is Answer.APPLIED
        assert starting.done()
        assert sent[-1] == "TxProfile"
