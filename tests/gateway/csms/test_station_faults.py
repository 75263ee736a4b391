"""A fault of a whole station is a fault of each of its EVSEs, and each source ends its own fault only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.runtime.clock import VirtualClock
from gateway.csms.admin import Admin
from gateway.csms.csms import Csms
from gateway.model.event import Event, FaultCleared, FaultRaised
from gateway.model.evse import Evse
from gateway.store.journal import Journal
from gateway.store.sql import SqlStore
from protocols.ocpp.schema import Version
from tests.gateway.csms.raw_station import Raw
from tests.gateway.csms.test_restart import SETTINGS
from tests.virtual_time import virtual_examples

pytestmark = pytest.mark.virtual_time


def faulty(raw: Raw) -> dict[str, bool]:
    """Return for each EVSE whether it is in fault, as the gateway folds the events."""
    evses: dict[str, Evse] = {}
    for event in raw.events:
        if (name := getattr(event, "evse", None)) is not None:
            evses.setdefault(name, Evse(name, "CP1")).apply(event)
    return {name: bool(evse.faults) for name, evse in sorted(evses.items())}


async def status_16(raw: Raw, connector: int, status: str = "Available", error: str = "NoError") -> None:
    await raw.ok("StatusNotification", {"connectorId": connector, "errorCode": error, "status": status})


async def status_2(raw: Raw, evse: int, status: str, connector: int = 1) -> None:
    body = {"timestamp": raw.time(), "connectorStatus": status, "evseId": evse, "connectorId": connector}
    await raw.ok("StatusNotification", body)


async def event(raw: Raw, component: str, value: str, variable: str = "Problem", **more: Any) -> None:
    place = {"evse": more.pop("evse")} if "evse" in more else {}
    one = {
        "eventId": 1,
        "timestamp": raw.time(),
        "trigger": "Alerting",
        "actualValue": value,
        "eventNotificationType": "HardWiredNotification",
        "component": {"name": component, **place},
        "variable": {"name": variable},
        **more,
    }
    await raw.ok("NotifyEvent", {"generatedAt": raw.time(), "seqNo": 0, "eventData": [one]})


@pytest.mark.parametrize(
    ("error", "status", "more", "code"),
    [
        ("GroundFailure", "Faulted", {}, "GroundFailure"),
        ("NoError", "Faulted", {}, "Faulted"),
        ("NoError", "Faulted", {"vendorErrorCode": "E-STOP"}, "E-STOP"),
        ("InternalError", "Faulted", {"info": "emergency stop pressed"}, "InternalError"),
    ],
)
async def test_connector_0_of_16_is_every_connector(error: str, status: str, more: dict[str, str], code: str) -> None:
    async with Raw(Version.V16) as raw:
        await raw.boot()
        for connector in (1, 2):
            await status_16(raw, connector, "Charging")
        await raw.ok("StatusNotification", {"connectorId": 0, "errorCode": error, "status": status, **more})
        await status_16(raw, 1, "Charging")  # a connector without a fault of its own does not end that of the station
        await status_16(raw, 3)
        assert faulty(raw) == {"CP1-1": True, "CP1-2": True, "CP1-3": True}
        assert [e.code for e in raw.of(FaultRaised)] == [code] * 3
        await status_16(raw, 2, "Faulted", "HighTemperature")
        await status_16(raw, 0)
        assert faulty(raw) == {"CP1-1": False, "CP1-2": True, "CP1-3": False}
        (_, second, _) = Admin(raw.csms).station("CP1")["evses"]
        assert second["fault"] == "HighTemperature"


@pytest.mark.parametrize(
    ("component", "variable"),
    [
        ("EmergencyStopSensor", "Problem"),
        ("EmergencyStopSensor", "Tripped"),
        ("ChargingStation", "Problem"),
        ("GroundIsolationProtection", "Problem"),
        ("groundisolationprotection", "problem"),
        ("RCD", "Tripped"),
    ],
)
@pytest.mark.parametrize("place", [{}, {"evse": {"id": 0}}])
async def test_a_problem_without_an_evse_is_one_of_every_evse(
    component: str, variable: str, place: dict[str, Any]
) -> None:
    async with Raw() as raw:
        await raw.boot()
        await status_2(raw, 1, "Occupied")
        await event(raw, component, "true", variable, **place)
        await status_2(raw, 1, "Occupied")
        await status_2(raw, 2, "Available")
        assert faulty(raw) == {"CP1-1": True, "CP1-2": True}
        await event(raw, component, "false", variable, **place)
        assert faulty(raw) == {"CP1-1": False, "CP1-2": False}
        await event(raw, component, "true", variable, **place)
        await event(raw, component, "true", variable, cleared=True, **place)
        assert faulty(raw) == {"CP1-1": False, "CP1-2": False}


async def test_evse_0_faulted_and_availability_states_are_faults_of_the_station() -> None:
    async with Raw(Version.V201) as raw:
        await raw.boot()
        await status_2(raw, 1, "Available")
        await status_2(raw, 0, "Faulted", 0)
        assert faulty(raw) == {"CP1-1": True}
        await status_2(raw, 0, "Available", 0)
        assert faulty(raw) == {"CP1-1": False}
        await event(raw, "ChargingStation", "Faulted", "AvailabilityState")
        assert faulty(raw) == {"CP1-1": True}
        await event(raw, "ChargingStation", "Available", "AvailabilityState")
        await event(raw, "Connector", "Faulted", "AvailabilityState", evse={"id": 1, "connectorId": 1})
        assert faulty(raw) == {"CP1-1": True}
        await status_2(raw, 1, "Available")
        assert faulty(raw) == {"CP1-1": False}


async def test_a_problem_in_the_device_model_is_a_fault() -> None:
    async with Raw() as raw:
        await raw.boot()
        await status_2(raw, 1, "Available")
        entry = {"component": {"name": "EmergencyStopSensor"}, "variable": {"name": "Problem"}}
        for value in ("true", "false"):
            data = [{**entry, "variableAttribute": [{"value": value}]}]
            body = {"requestId": 1, "generatedAt": raw.time(), "seqNo": 0, "reportData": data}
            await raw.ok("NotifyReport", body)
            assert faulty(raw) == {"CP1-1": value == "true"}


SOURCES = ["EmergencyStopSensor", "RCD", "evse RCD", "connector", "station", "DER"]


@given(st.lists(st.tuples(st.sampled_from(SOURCES), st.booleans()), max_size=12))
@virtual_examples
async def test_an_evse_is_in_fault_while_any_source_is(steps: list[tuple[str, bool]]) -> None:
    async with Raw() as raw:
        await raw.boot()
        await status_2(raw, 1, "Available")
        active: dict[str, bool] = {}
        for source, on in steps:
            active[source] = on
            match source:
                case "connector":
                    await status_2(raw, 1, "Faulted" if on else "Available")
                case "station":
                    await status_2(raw, 0, "Faulted" if on else "Available", 0)
                case "DER":
                    control = {"controlType": "HVMustTrip", "timestamp": raw.time(), "alarmEnded": not on}
                    await raw.ok("NotifyDERAlarm", control)
                case "evse RCD":
                    await event(raw, "RCD", str(on).lower(), evse={"id": 1})
                case _:
                    await event(raw, source, str(on).lower())
            assert faulty(raw)["CP1-1"] is any(active.values())
        raised, cleared = raw.of(FaultRaised), raw.of(FaultCleared)
        assert {e.code for e in cleared} <= {e.code for e in raised}


# over a restart of the gateway ---------------------------------------------------------------------------------------


@asynccontextmanager
async def life(version: Version, url: str) -> AsyncIterator[Raw]:
    """Run a station at a new gateway that restores its database."""
    clock, store, events = VirtualClock(), SqlStore(url, "gw1"), list[Event]()
    await store.open()
    journal = Journal(store, clock)
    writing = asyncio.create_task(journal.run())
    csms = Csms(SETTINGS, events.append, clock, journal)
    csms.restore(await store.kept(1000))
    raw = Raw(version, csms)
    raw.events = events
    try:
        async with raw:
            yield raw
    finally:
        await csms.close()
        await journal.flush()
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await store.close()


async def raised_16(raw: Raw) -> None:
    await status_16(raw, 0, "Faulted", "GroundFailure")


async def raised_emergency_stop(raw: Raw) -> None:
    await event(raw, "EmergencyStopSensor", "true")


async def raised_evse_0(raw: Raw) -> None:
    await status_2(raw, 0, "Faulted", 0)


async def raised_connector(raw: Raw) -> None:
    if raw.version is Version.V16:
        await status_16(raw, 1, "Faulted", "HighTemperature")
    else:
        await status_2(raw, 1, "Faulted")


@pytest.mark.parametrize("over", [False, True])
@pytest.mark.parametrize(
    ("version", "raised"),
    [
        (Version.V16, raised_16),
        (Version.V16, raised_connector),
        (Version.V201, raised_evse_0),
        (Version.V201, raised_emergency_stop),
        (Version.V21, raised_emergency_stop),
        (Version.V21, raised_connector),
    ],
)
async def test_a_fault_holds_after_a_restart_until_the_station_reports_its_end(
    version: Version, raised: Callable[[Raw], Awaitable[None]], over: bool, tmp_path: Path
) -> None:
    """The gateway is restarted from its database, the station connects again and does not boot."""
    url = f"sqlite:///{tmp_path / 'v2x.db'}"
    async with life(version, url) as raw:
        await raw.boot()
        await (status_16(raw, 1, "Charging") if version is Version.V16 else status_2(raw, 1, "Occupied"))
        await raised(raw)
        assert faulty(raw) == {"CP1-1": True}
    async with life(version, url) as raw:
        await raw.ok("Heartbeat", {})
        assert faulty(raw) == {"CP1-1": True}  # with the first message, before anything is requested
        asked = await raw.next_call("TriggerMessage" if version is Version.V16 else "GetVariables")
        answer: dict[str, Any] = {"status": "Accepted"}
        if version is Version.V16:
            assert asked == {"requestedMessage": "StatusNotification"}
        else:
            value = "false" if raised is raised_emergency_stop else "Available"
            result = (
                {"attributeStatus": "Accepted", "attributeValue": value} if over else {"attributeStatus": "Rejected"}
            )
            answer = {"getVariableResult": [{**entry, **result} for entry in asked["getVariableData"]]}
        await raw.answer_last(answer)
        if over and version is Version.V16:
            await status_16(raw, 0)
            await status_16(raw, 1, "Charging")
        await raw.clock.sleep(1)
        assert faulty(raw) == {"CP1-1": not over}
    async with life(version, url) as raw:
        await raw.ok("Heartbeat", {})
        assert faulty(raw).get("CP1-1", False) is not over


async def test_the_alarm_of_a_der_control_ends_with_a_boot() -> None:
    async with Raw() as raw:
        await raw.boot()
        await status_2(raw, 1, "Available")
        await raw.ok("NotifyDERAlarm", {"controlType": "HVMustTrip", "timestamp": raw.time()})
        assert faulty(raw) == {"CP1-1": True}
        await raw.boot()
        assert faulty(raw) == {"CP1-1": False}
        assert Admin(raw.csms).station("CP1")["der_alarms"] == {}
