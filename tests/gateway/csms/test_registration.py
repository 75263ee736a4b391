"""Registration: responses to boots and to stations that are not accepted, takeovers, rates, invalid messages."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.csms.admin import Admin
from gateway.csms.errors import RequestRejected
from gateway.csms.registration import BootTurns
from gateway.csms.settings import Registration, StationSettings, UnknownStations
from gateway.model.event import (
    FaultCleared,
    FaultRaised,
    Metered,
    PlugChanged,
    SessionStarted,
    StationConnected,
    StationLost,
)
from protocols.ocpp.events import Refused
from protocols.ocpp.schema import Version
from tests.gateway.csms.raw_station import Raw, power

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize("version", list(Version))
async def test_a_known_station_is_accepted(version: Version) -> None:
    async with Raw(version) as raw:
        answer = await raw.boot()
        assert answer["status"] == "Accepted"
        assert answer["interval"] == 300
        assert [e.protocol for e in raw.of(StationConnected)] == [version.value]
        assert "currentTime" in await raw.ok("Heartbeat", {})


@pytest.mark.parametrize("version", list(Version))
async def test_an_unknown_station_is_pending_until_it_is_registered(version: Version) -> None:
    async with Raw(version, name="NEW", unknown_stations=UnknownStations.PENDING) as raw:
        answer = await raw.boot()
        assert (answer["status"], answer["interval"]) == ("Pending", 30)
        refused = await raw.call("Heartbeat", {})
        assert (refused[0], refused[2]) == (4, "SecurityError")
        assert raw.of(StationConnected) == []
        raw.csms.register(StationSettings("NEW"))
        assert (await raw.boot())["status"] == "Accepted"
        assert len(raw.of(StationConnected)) == 1


@pytest.mark.parametrize("version", list(Version))
async def test_a_station_that_was_accepted_before_a_restart_continues(version: Version) -> None:
    async with Raw(version, inventory=True) as raw:  # a new process; the station only reconnects
        assert "currentTime" in await raw.ok("Heartbeat", {})
        assert len(raw.of(StationConnected)) == 1
        await raw.next_call("TriggerMessage", {"status": "Rejected"})
        if version is not Version.V16:
            await raw.next_call("GetBaseReport", {"status": "NotSupported"})
            await raw.event("Updated", 17, meterValue=power(raw, 300.0))
            assert raw.of(SessionStarted)
            assert raw.of(Metered)[-1].power_w == 300.0


async def test_an_unknown_station_is_rejected_and_a_boot_triggered() -> None:
    async with Raw(name="NEW", unknown_stations=UnknownStations.PENDING) as raw:
        refused = await raw.call("Heartbeat", {})
        assert (refused[0], refused[2]) == (4, "SecurityError")
        assert await raw.next_call("TriggerMessage", {"status": "Accepted"}) == {"requestedMessage": "BootNotification"}
        assert (await raw.boot())["status"] == "Pending"
        refused = await raw.call("Heartbeat", {})
        assert (refused[0], refused[2]) == (4, "SecurityError")
        asking = asyncio.create_task(
            raw.csms.stations["NEW"].request("TriggerMessage", {"requestedMessage": "Heartbeat"})
        )
        await raw.next_call("TriggerMessage", {"status": "Accepted"})
        await asking
        assert (await raw.call("Heartbeat", {}))[0] == 3  # B02.FR.09: the requested message
        status = {"timestamp": raw.time(), "connectorStatus": "Available", "evseId": 1, "connectorId": 1}
        assert (await raw.call("StatusNotification", status))[2] == "SecurityError"


async def test_an_accepted_station_may_reconnect_without_booting() -> None:
    async with Raw() as raw:
        await raw.boot()
        assert raw.wire is not None
        await raw.wire.close()
        await asyncio.sleep(1)
        assert len(raw.of(StationLost)) == 1
        await raw.connect()
        assert "currentTime" in await raw.ok("Heartbeat", {})
        assert len(raw.of(StationConnected)) == 2


async def test_a_second_connection_replaces_the_first() -> None:
    async with Raw() as first:
        await first.boot()
        async with Raw(csms=first.csms) as second:
            await second.boot()
            await asyncio.sleep(1)
            assert first.closed
            assert not second.closed
            assert first.csms.stations["CP1"].connected
            assert first.of(StationLost) == []
            assert "currentTime" in await second.ok("Heartbeat", {})


async def test_no_common_version_ends_the_connection() -> None:
    async with Raw() as raw:
        await raw.connect("ocpp1.5")
        await asyncio.sleep(1)
        assert raw.closed


async def test_a_station_above_the_message_rate_is_rejected_and_stays_connected() -> None:
    async with Raw(max_calls_per_s=1.0, max_burst=5) as raw:
        await raw.boot()
        answers = [await raw.call("Heartbeat", {}) for _ in range(8)]
        assert [a[0] for a in answers] == [3] * 4 + [4] * 4
        await asyncio.sleep(3)
        assert (await raw.call("Heartbeat", {}))[0] == 3


async def test_invalid_messages_are_rejected_and_journalled() -> None:
    async with Raw() as raw:
        await raw.boot()
        for text in ("{", "[]", '[2,"a"]', "\x00", '[3,"x",{}]', '[7,"x",{}]', "x" * 200_000):
            await raw.send(text)
        refused = await raw.call("StatusNotification", {"connectorId": 1})
        assert refused[2] == "OccurrenceConstraintViolation"
        assert (await raw.call("Nonsense", {}))[2] == "NotImplemented"
        assert (await raw.call("ClearCache", {}))[2] == "NotSupported"
        assert (await raw.call("Heartbeat", {}))[0] == 3
        assert len(raw.csms.context.violations) == 9


async def test_plugs_and_faults_21() -> None:
    async with Raw() as raw:
        await raw.boot()
        for status in ("Available", "Occupied", "Occupied", "Faulted", "Available"):
            body = {"timestamp": raw.time(), "connectorStatus": status, "evseId": 1, "connectorId": 1}
            await raw.ok("StatusNotification", body)
        assert [e.state.value for e in raw.of(PlugChanged)] == ["available", "occupied", "faulted", "available"]
        assert [e.code for e in raw.of(FaultRaised)] == ["Faulted"]
        assert len(raw.of(FaultCleared)) == 1


async def test_plugs_and_faults_16() -> None:
    async with Raw(Version.V16) as raw:
        await raw.boot()
        statuses = (("Preparing", "NoError"), ("Charging", "WeakSignal"), ("Faulted", "GroundFailure"))
        for status, error in statuses:  # weak reception is no reason to stop a car
            await raw.ok("StatusNotification", {"connectorId": 1, "errorCode": error, "status": status})
        await raw.ok("StatusNotification", {"connectorId": 0, "errorCode": "NoError", "status": "Available"})
        assert [e.state.value for e in raw.of(PlugChanged)] == ["occupied", "faulted"]
        assert [e.code for e in raw.of(FaultRaised)] == ["GroundFailure"]


async def test_a_problem_of_a_power_component_is_a_fault() -> None:
    async with Raw() as raw:
        await raw.boot()
        for component, value in (("RFIDReader", "true"), ("PowerContactor", "true"), ("PowerContactor", "false")):
            event = {
                "eventId": 1,
                "timestamp": raw.time(),
                "trigger": "Alerting",
                "actualValue": value,
                "techCode": "E7",
                "eventNotificationType": "HardWiredNotification",
                "component": {"name": component, "evse": {"id": 1}},
                "variable": {"name": "Problem"},
            }
            body = {"generatedAt": raw.time(), "seqNo": 0, "tbc": False, "eventData": [event]}
            await raw.ok("NotifyEvent", body)
        assert [e.code for e in raw.of(FaultRaised)] == ["E7"]
        assert len(raw.of(FaultCleared)) == 1


# what a boot is answered (B01-B03; 1.6, 4.2)


@pytest.mark.parametrize("version", list(Version))
@pytest.mark.parametrize(
    ("policy", "status", "interval"),
    [
        (UnknownStations.ACCEPT, "Accepted", 300),
        (UnknownStations.PENDING, "Pending", 17),
        (UnknownStations.REJECT_BOOT, "Rejected", 17),
    ],
)
async def test_the_policy_for_unknown_stations(
    version: Version, policy: UnknownStations, status: str, interval: int
) -> None:
    async with Raw(version, name="NEW", unknown_stations=policy, boot_retry_s=17) as raw:
        answer = await raw.boot()
        assert (answer["status"], answer["interval"]) == (status, interval)
        heartbeat = await raw.call("Heartbeat", {})
        assert heartbeat[0] == (3 if status == "Accepted" else 4)
        assert heartbeat[0] == 3 or heartbeat[2] == "SecurityError"


@pytest.mark.parametrize("version", list(Version))
@pytest.mark.parametrize("registration", list(Registration))
async def test_a_registered_station_gets_its_registered_status(version: Version, registration: Registration) -> None:
    async with Raw(version) as raw:
        raw.csms.register(StationSettings("CP1", registration=registration))
        assert (await raw.boot())["status"].lower() == registration.value
        assert bool(raw.of(StationConnected)) is (registration is Registration.ACCEPTED)


@pytest.mark.parametrize("version", list(Version))
async def test_a_rejected_station_is_sent_no_calls_and_its_messages_are_rejected(version: Version) -> None:
    """B03.FR.03, B03.FR.07."""
    async with Raw(version, name="NEW", unknown_stations=UnknownStations.REJECT_BOOT) as raw:
        await raw.boot()
        station = raw.csms.stations["NEW"]
        reply = await station.call("TriggerMessage", {"requestedMessage": "Heartbeat"})
        assert isinstance(reply, Refused)
        assert reply.code == "NotAccepted"
        with pytest.raises(RequestRejected, match="Rejected") as caught:
            await Admin(raw.csms).call("NEW", "TriggerMessage", {"requestedMessage": "Heartbeat"}, 5)
        assert caught.value.code == 409
        assert (await raw.call("Heartbeat", {}))[2] == "SecurityError"
        assert raw.csms_calls == []
        assert not raw.closed
        raw.csms.register(StationSettings("NEW"))  # and at its next boot it is taken in
        assert (await raw.boot())["status"] == "Accepted"
        assert (await raw.call("Heartbeat", {}))[0] == 3


@pytest.mark.parametrize("version", list(Version))
async def test_a_pending_station_can_be_queried_and_configured_but_not_started(version: Version) -> None:
    """B02.FR.01, B02.FR.05; 1.6, 4.2: no remote start and stop."""
    async with Raw(version, name="NEW", unknown_stations=UnknownStations.PENDING) as raw:
        await raw.boot()
        admin = Admin(raw.csms)
        start, stop = "RequestStartTransaction", "RequestStopTransaction"
        body: dict[str, Any] = {"idToken": {"idToken": "A", "type": "Central"}, "remoteStartId": 1}
        if version is Version.V16:
            start, stop, body = "RemoteStartTransaction", "RemoteStopTransaction", {"idTag": "A"}
        for action, payload in ((start, body), (stop, {"transactionId": 1 if version is Version.V16 else "1"})):
            with pytest.raises(RequestRejected, match="Pending") as caught:
                await admin.call("NEW", action, payload, 5)
            assert caught.value.code == 409
        asking = asyncio.create_task(admin.call("NEW", "TriggerMessage", {"requestedMessage": "Heartbeat"}, 5))
        await raw.next_call("TriggerMessage", {"status": "Accepted"})
        assert (await asking)["type"] == "result"
        assert (await raw.call("Heartbeat", {}))[0] == 3
        if version is not Version.V16:
            report = {"requestId": 1, "generatedAt": raw.time(), "seqNo": 0}
            assert (await raw.call("NotifyReport", report))[2] == "SecurityError"  # not requested
            report_request = {"requestId": 1, "reportBase": "FullInventory"}
            asking = asyncio.create_task(admin.call("NEW", "GetBaseReport", report_request, 5))
            await raw.next_call("GetBaseReport", {"status": "Accepted"})
            await asking
            assert (await raw.call("NotifyReport", report))[0] == 3


@pytest.mark.parametrize("version", list(Version))
async def test_registration_of_a_pending_station_triggers_a_boot(version: Version) -> None:
    async with Raw(version, name="NEW", unknown_stations=UnknownStations.PENDING) as raw:
        await raw.boot()
        await Admin(raw.csms).put_station("NEW", {})
        request = await raw.next_call("TriggerMessage", {"status": "Accepted"})
        assert request == {"requestedMessage": "BootNotification"}
        assert (await raw.boot())["status"] == "Accepted"
        await Admin(raw.csms).put_station("NEW", {"registration": "rejected"})
        await raw.next_call("TriggerMessage", {"status": "Accepted"})
        assert (await raw.boot())["status"] == "Rejected"
        assert len(raw.of(StationLost)) == 1  # to the core it is gone


@pytest.mark.parametrize("version", list(Version))
async def test_nothing_is_sent_to_a_station_that_may_be_about_to_boot(version: Version) -> None:
    async with Raw(version, inventory=True) as raw:
        await raw.boot()
        assert raw.wire is not None
        await raw.wire.close()
        await asyncio.sleep(1)
        raw.csms_calls.clear()
        await raw.connect()
        await asyncio.sleep(4)
        assert raw.csms_calls == []
        assert not raw.csms.stations["CP1"].ready
        await asyncio.sleep(2)  # no BootNotification: it continues
        assert raw.csms.stations["CP1"].ready


@pytest.mark.virtual_time
async def test_a_storm_of_boots_is_spread() -> None:
    """After a power failure 1,000 stations boot at once: all are accepted soon, never all in one second."""
    async with Raw(unknown_stations=UnknownStations.ACCEPT, max_unknown=1000) as first:
        stations = [Raw(csms=first.csms, name=f"S{number}") for number in range(1000)]
        answers = []
        for station in stations:
            await station.connect()
            answers.append((station, await station.boot()))
        postponed = [(station, answer) for station, answer in answers if answer["status"] == "Pending"]
        assert 600 <= len(postponed) <= 700
        assert {answer["interval"] for _, answer in postponed} == set(range(1, 11))
        rounds, boots = 0, len(answers)
        while postponed:
            rounds, boots = rounds + 1, boots + len(postponed)
            waiting, postponed = postponed, []
            for second in range(1, 11):
                await first.clock.sleep(1)
                for station, answer in waiting:
                    if answer["interval"] == second and (again := await station.boot())["status"] != "Accepted":
                        postponed.append((station, again))
        assert rounds <= 3
        assert boots <= 1950  # nearly all of the postponed ones once more
        for station in stations:
            await station.__aexit__()


def test_a_postponed_station_keeps_its_turn() -> None:
    turns = BootTurns()
    assert [turns.wait_s(f"A{number}", 0.0, urgent=False) for number in range(300)] == [0] * 300
    waits = [turns.wait_s(f"B{number}", 0.0, urgent=False) for number in range(100)]
    assert waits == [1] * 50 + [2] * 50
    assert turns.wait_s("B99", 1.5, urgent=False) == 1  # too early
    assert [turns.wait_s("C", now, urgent=False) for now in (0.0, 1.0, 2.0, 3.0)] == [3, 2, 1, 0]
    assert [turns.wait_s(f"B{number}", 3.0, urgent=False) for number in range(100)] == [0] * 100
    assert turns.wait_s("late", 3.0, urgent=False) == 0


def test_boots_that_cannot_wait_postpone_nobody_for_long() -> None:
    turns = BootTurns()
    assert [turns.wait_s("loop", 0.0, urgent=True) for _ in range(10_000)] == [0] * 10_000
    assert turns.wait_s("A", 0.0, urgent=False) == 1


def test_a_long_wait_is_divided() -> None:
    turns = BootTurns()
    waits = [turns.wait_s(f"A{number}", 0.0, urgent=False) for number in range(1000)]
    assert max(waits) == waits[-1] == 10
    assert [turns.wait_s("A999", now, urgent=False) for now in (10.0, 14.0)] == [4, 0]
