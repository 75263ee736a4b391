"""Restart of the gateway: active transactions, ids, tokens, reservations, registration and passwords are restored.

The store is a real one; a killed gateway loses everything that it had not written.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from emulators.runtime.clock import START, VirtualClock
from gateway.csms.admin import Admin
from gateway.csms.csms import Csms
from gateway.csms.persistence import WRITE_EVERY_S
from gateway.csms.reservations import Reservation, ReservationStatus
from gateway.csms.settings import CsmsSettings, Registration, StationSettings, UnknownStations, UnknownTokens
from gateway.csms.station import RESUME_AFTER_S
from gateway.model.event import (
    Event,
    EvseDescribed,
    Metered,
    PowerLimits,
    SessionEnded,
    SessionStarted,
    StationConnected,
)
from gateway.model.journal import Record
from gateway.store.sql import SqlStore
from gateway.store.store import MemoryStore, StoreError
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Version
from tests.gateway.csms.raw_station import Raw, power
from tests.gateway.store.postgres import Cluster

pytestmark = pytest.mark.virtual_time

SETTINGS = CsmsSettings(
    stations=(StationSettings("CP1", max_charge_w=1e4, max_discharge_w=1e4),),
    unknown_tokens=UnknownTokens.ACCEPT,
    inventory=False,
)
TWO = [Version.V201, Version.V21]


class Direct:
    """Writes directly to a store; deferred records are lost with the process unless `write` is called."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.behind: list[Record] = []
        self.broken = False

    async def keep(self, *records: Record, within_s: float = 1.0) -> None:
        if self.broken:
            raise StoreError("the disk is full")
        await self.write()
        await self.store.write(records)

    def later(self, *records: Record) -> None:
        self.behind += records

    async def write(self) -> None:
        behind, self.behind = self.behind, []
        await self.store.write(behind)


class Lives:
    """Gateways with one store, one after the other, and one station."""

    def __init__(self, version: Version, settings: CsmsSettings = SETTINGS, name: str = "CP1") -> None:
        self.version, self.settings, self.name = version, settings, name
        self.clock = VirtualClock()
        self.store = MemoryStore()
        self.writer = Direct(self.store)
        self.events: list[Event] = []
        self.csms = Csms(settings, self.events.append, self.clock, self.writer)
        self.raw = Raw(version, self.csms, name)

    async def kill(self, settings: CsmsSettings | None = None) -> None:
        """Replace the gateway by one that restores the store. The station reconnects by itself."""
        await self.raw.__aexit__()
        await self.clock.sleep(1)
        self.events = []
        self.writer = Direct(self.store)
        self.csms = Csms(settings or self.settings, self.events.append, self.clock, self.writer)
        self.csms.restore(await self.store.kept(1000))
        self.raw = Raw(self.version, self.csms, self.name)
        await self.raw.connect()

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def row(self, ref: str) -> dict[str, Any]:
        return Admin(self.csms).transaction(ref)


@asynccontextmanager
async def restartable(version: Version, settings: CsmsSettings = SETTINGS, name: str = "CP1") -> AsyncIterator[Lives]:
    """Run a connected station, and a CSMS that can be killed and restarted from its store."""
    lives = Lives(version, settings, name)
    await lives.raw.connect()
    try:
        yield lives
    finally:
        await lives.raw.__aexit__()
        await lives.csms.close()


def begin_16(raw: Raw, connector: int = 1, tag: str = "A", start: int = 5, at: float = 0.0) -> dict[str, Any]:
    return {"connectorId": connector, "idTag": tag, "meterStart": start, "timestamp": raw.time(at)}


async def test_in_16_an_active_transaction_continues() -> None:
    async with restartable(Version.V16) as lives:
        await lives.raw.boot()
        number = (await lives.raw.ok("StartTransaction", begin_16(lives.raw)))["transactionId"]
        await lives.kill()
        values = {"connectorId": 1, "transactionId": number, "meterValue": power_16(lives.raw, 300)}
        assert await lives.raw.ok("MeterValues", values) == {}
        assert [e.session for e in lives.of(SessionStarted)] == [str(number)]
        assert lives.of(Metered)[-1].power_w == 300.0
        end = {"transactionId": number, "meterStop": 1005, "timestamp": lives.raw.time(), "reason": "EVDisconnected"}
        assert await lives.raw.ok("StopTransaction", end) == {}
        assert [e.session for e in lives.of(SessionEnded)] == [str(number)]
        await lives.kill()
        row = await lives.row(f"CP1/{number}")
        assert row["stopReason"] == "EVDisconnected"
        assert row["energy_charged_wh"] == 1000.0
        assert row["idToken"] == "A"


def power_16(raw: Raw, watts: float) -> list[dict[str, Any]]:
    sample = {"value": str(watts), "measurand": "Power.Active.Import"}
    return [{"timestamp": raw.time(), "sampledValue": [sample]}]


@pytest.mark.parametrize("version", TWO)
async def test_in_2_an_active_transaction_continues(version: Version) -> None:
    async with restartable(version) as lives:
        raw = lives.raw
        await raw.boot()
        token = {"idToken": "A", "type": "ISO14443"}
        await raw.event("Started", 0, idToken=token, info={"remoteStartId": 7})
        await raw.event("Updated", 1, meterValue=energy(raw, 100.0))
        await raw.clock.sleep(WRITE_EVERY_S + 1)  # the meter is written behind
        await lives.writer.write()
        await lives.kill()
        raw = lives.raw
        await raw.event("Updated", 2, meterValue=power(raw, 300.0))
        assert [e.session for e in lives.of(SessionStarted)] == ["t1"]
        await raw.event("Ended", 3, meterValue=energy(raw, 1100.0), info={"stoppedReason": "Remote"})
        await lives.kill()
        row = await lives.row("CP1/t1")
        assert (row["idToken"], row["stopReason"], row["energy_charged_wh"]) == ("A", "Remote", 1000.0)
        assert row["startedAt"] is not None
        found = lives.csms.context.transactions.get("CP1", "t1")
        assert found is not None
        assert found.remote_start == 7


def energy(raw: Raw, wh: float) -> list[dict[str, Any]]:
    sample = {"value": wh, "measurand": "Energy.Active.Import.Register"}
    return [{"timestamp": raw.time(), "sampledValue": [sample]}]


@pytest.mark.parametrize("version", TWO)
async def test_events_repeated_after_a_restart_are_recognised(version: Version) -> None:
    """The response was lost with the gateway: the station repeats its message."""
    async with restartable(version) as lives:
        raw = lives.raw
        await raw.boot()
        at = raw.time()
        await raw.event("Started", 0, timestamp=at)
        await raw.event("Ended", 1, timestamp=at, info={"stoppedReason": "Local"})
        await lives.kill()
        raw = lives.raw
        await raw.event("Started", 0, timestamp=at)
        await raw.event("Ended", 1, timestamp=at, info={"stoppedReason": "Local"})
        assert lives.of(SessionStarted) == lives.of(SessionEnded) == []


async def test_in_16_a_start_from_before_the_restart_keeps_its_id() -> None:
    async with restartable(Version.V16) as lives:
        await lives.raw.boot()
        begin = begin_16(lives.raw)
        first = await lives.raw.ok("StartTransaction", begin)
        await lives.kill()
        again = await lives.raw.ok("StartTransaction", begin)
        assert again["transactionId"] == first["transactionId"]


async def test_in_16_ids_never_repeat_after_the_clock_is_set_back() -> None:
    async with restartable(Version.V16) as lives:
        await lives.raw.boot()
        given = []
        for turn in range(3):
            for connector in (1, 2):
                begin = begin_16(lives.raw, connector, f"T{turn}{connector}")
                given.append((await lives.raw.ok("StartTransaction", begin))["transactionId"])
            lives.clock = VirtualClock(START - 86_400.0 * (turn + 1))  # as a machine without a battery does
            await lives.kill()
            await lives.raw.boot()
        assert sorted(set(given)) == given


@pytest.mark.parametrize("back", [1, 1000, 4_000_000])
async def test_in_16_an_unknown_id_opens_a_session_only_where_the_store_was_lost(back: int) -> None:
    for lost in (False, True):
        async with restartable(Version.V16) as lives:
            await lives.raw.boot()
            number = (await lives.raw.ok("StartTransaction", begin_16(lives.raw)))["transactionId"]
            await lives.raw.ok(
                "StopTransaction", {"transactionId": number, "meterStop": 5, "timestamp": lives.raw.time()}
            )
            if lost:
                lives.store = MemoryStore()
            await lives.kill()
            raw = lives.raw
            await raw.boot()
            await raw.ok("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Charging"})
            values = [{"timestamp": raw.time(), "sampledValue": [{"value": "5"}]}]
            await raw.ok("MeterValues", {"connectorId": 1, "transactionId": number - back, "meterValue": values})
            assert [e.session for e in lives.of(SessionStarted)] == [str(number - back)] * lost


async def test_in_16_transactions_of_the_downtime_arrive_in_order() -> None:
    async with restartable(Version.V16) as lives:
        await lives.raw.boot()
        number = (await lives.raw.ok("StartTransaction", begin_16(lives.raw)))["transactionId"]
        await lives.kill()
        raw = lives.raw
        end = {"transactionId": number, "meterStop": 50, "timestamp": raw.time(-3600), "reason": "Local"}
        assert await raw.ok("StopTransaction", end) == {}
        late = (await raw.ok("StartTransaction", begin_16(raw, tag="B", start=50, at=-1800)))["transactionId"]
        assert late > number
        end = {"transactionId": late, "meterStop": 70, "timestamp": raw.time(-900), "reason": "Local"}
        assert await raw.ok("StopTransaction", end) == {}
        await lives.kill()
        rows = Admin(lives.csms).transactions("CP1", None, None, 10)
        assert [row["transactionId"] for row in rows] == [late, number]
        assert [row["energy_charged_wh"] for row in rows] == [20.0, 45.0]
        assert rows[0]["startedAt"] == begin_16(raw, at=-1800)["timestamp"] or rows[0]["startedAt"] is not None
        assert rows[0]["startedAt"] < rows[0]["stoppedAt"]


@pytest.mark.parametrize("version", TWO)
async def test_in_2_transactions_of_the_downtime_arrive_in_any_order(version: Version) -> None:
    async with restartable(version) as lives:
        await lives.raw.boot()
        await lives.kill()
        raw = lives.raw
        await raw.event("Ended", 2, "off", at=-100, offline=True, info={"stoppedReason": "Local"})
        await raw.event("Started", 0, "off", at=-500, offline=True)
        await raw.event("Updated", 1, "off", at=-300, offline=True, meterValue=power(raw, 5.0, -300))
        await lives.kill()
        row = await lives.row("CP1/off")
        assert row["startedAt"] < row["stoppedAt"]
        assert row["stopReason"] == "Local"


@pytest.mark.parametrize("version", list(Version))
async def test_a_message_that_cannot_be_stored_is_rejected_and_accepted_when_repeated(version: Version) -> None:
    async with restartable(version) as lives:
        await lives.raw.boot()
        lives.writer.broken = True
        raw = lives.raw
        if version is Version.V16:
            action, body = "StartTransaction", begin_16(raw)
        else:
            action = "TransactionEvent"
            info = {"transactionId": "t1"}
            body = {"eventType": "Started", "timestamp": raw.time(), "triggerReason": "Authorized", "seqNo": 0}
            body |= {"transactionInfo": info, "evse": {"id": 1}}
        refused = await raw.call(action, body)
        assert (refused[0], refused[2]) == (4, "InternalError")
        assert (await raw.call(action, body))[0] == 4
        assert "currentTime" in await raw.ok("Heartbeat", {})  # what needs no disk goes on
        lives.writer.broken = False
        answer = await raw.ok(action, body)
        assert len(lives.of(SessionStarted)) == 1
        await lives.kill()
        assert len(Admin(lives.csms).transactions("CP1", None, True, 10)) == 1
        if version is Version.V16:
            assert answer["transactionId"] > 0


async def test_meter_values_are_written_at_a_bounded_rate() -> None:
    async with restartable(Version.V201) as lives:
        await lives.raw.boot()
        await lives.raw.event("Started", 0)
        lives.writer.behind.clear()
        for number in range(1, 60):
            await lives.raw.event("Updated", number, meterValue=energy(lives.raw, 100.0 + number))
            await lives.clock.sleep(0.25)
        assert len(lives.writer.behind) <= 59 * 0.25 / WRITE_EVERY_S + 1


@pytest.mark.parametrize("version", TWO)
async def test_a_transaction_end_lost_during_a_restart_is_found_by_a_query(version: Version) -> None:
    async with restartable(version) as lives:
        await lives.raw.boot()
        await lives.raw.event("Started", 0)
        inventory = CsmsSettings(stations=SETTINGS.stations, unknown_tokens=UnknownTokens.ACCEPT)
        await lives.kill(inventory)
        await lives.raw.boot()
        await lives.raw.next_call("GetBaseReport", {"status": "NotSupported"})
        await lives.raw.next_call("GetTransactionStatus", {"ongoingIndicator": False, "messagesInQueue": False})
        await lives.clock.sleep(1)
        assert [e.session for e in lives.of(SessionEnded)] == ["t1"]


async def test_in_16_a_lost_end_is_detected_at_the_connector() -> None:
    async with restartable(Version.V16) as lives:
        await lives.raw.boot()
        number = (await lives.raw.ok("StartTransaction", begin_16(lives.raw)))["transactionId"]
        await lives.kill()
        await lives.raw.boot()
        free = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
        await lives.raw.ok("StatusNotification", free)
        assert [e.session for e in lives.of(SessionEnded)] == [str(number)]
        late = {"transactionId": number, "meterStop": 9, "timestamp": "2026-01-01T00:00:00Z", "reason": "PowerLoss"}
        await lives.raw.ok("StopTransaction", late)  # late, and true
        assert (await lives.row(f"CP1/{number}"))["stopReason"] == "PowerLoss"
        assert len(lives.of(SessionEnded)) == 1


async def test_tokens_and_reservations_persist_over_a_restart() -> None:
    async with restartable(Version.V201) as lives:
        admin = Admin(lives.csms)
        await admin.put_token("Card-1", {"status": "Blocked", "parent": "family", "type": "ISO14443"})
        await admin.put_token("card-2", {"status": "Accepted"})
        await admin.put_token("Card-2", {"status": "Accepted", "expiry": "2020-01-01T00:00:00Z"})
        await admin.put_token("card-3", {"status": "Accepted"})
        await admin.delete_token("CARD-3")
        for number in (4, 5):
            reservation = Reservation(f"CP1/{number}", "CP1", number, ReservationStatus.ACCEPTED, id_token="A", evse=1)
            lives.csms.context.reservations.accepted(reservation)
        lives.csms.context.reservations.ended("CP1", 4, ReservationStatus.USED)
        before = admin.tokens()
        await lives.writer.write()
        await lives.kill()
        admin = Admin(lives.csms)
        assert admin.tokens() == before
        assert [one["idToken"] for one in before] == ["Card-1", "Card-2"]
        found = [admin.reservation(f"CP1/{number}") for number in (4, 5)]
        assert [one["status"] for one in found] == ["USED", "ACCEPTED"]
        assert [(one["reservationId"], one["idToken"], one["evseId"]) for one in found] == [(4, "A", 1), (5, "A", 1)]


@pytest.mark.parametrize("version", list(Version))
async def test_a_formerly_accepted_station_is_listed_with_its_name_before_its_first_message(version: Version) -> None:
    async with restartable(version) as lives:
        await lives.raw.boot()
        await lives.writer.write()
        await lives.kill()
        await lives.clock.sleep(30)  # no BootNotification
        assert [(e.station, e.model) for e in lives.of(StationConnected)] == [("CP1", "raw")]
        assert Admin(lives.csms).station("CP1")["boot"]["status"] == "Accepted"


async def test_stations_and_policy_of_the_api_persist_over_a_restart() -> None:
    async with restartable(Version.V201) as lives:
        admin = Admin(lives.csms)
        secret = "0123456789abcdef"
        await admin.put_station("NEW", {"basic_auth_password": secret, "vendor_profile": "negative-limit"})
        await admin.put_station("CP1", {"registration": "rejected"})
        await admin.put_registration({"unknown_stations": "pending"})
        await lives.kill()
        admin = Admin(lives.csms)
        assert admin.station("NEW")["profile"] == "negative-limit"
        assert admin.station("NEW")["registered"] is True
        assert await lives.csms.credentials.verify(lives.csms.stations["NEW"], secret.encode())
        assert (await lives.raw.boot())["status"] == "Rejected"
        assert admin.registration() == {"unknown_stations": "pending"}
        await admin.delete_station("NEW")
        await lives.kill()
        assert "NEW" not in lives.csms.stations
        assert lives.csms.stations["CP1"].settings.registration is Registration.REJECTED


async def test_unregistered_and_removed_stations_are_not_restored() -> None:
    about = CsmsSettings(stations=SETTINGS.stations, unknown_stations=UnknownStations.ACCEPT, inventory=False)
    async with restartable(Version.V201, about, "NEW") as lives:
        await lives.raw.boot()
        assert "NEW" in lives.csms.stations
        admin = Admin(lives.csms)
        gone = lives.csms.stations["CP1"]
        await admin.delete_station("CP1")
        gone.save()  # a message that was on its way
        await lives.writer.write()
        await lives.kill()
        assert set(lives.csms.stations) == {"CP1"}  # of the configuration
        assert (await lives.raw.boot()) is not None
        assert not lives.csms.stations["NEW"].registered


async def test_nothing_is_changed_that_cannot_be_journalled() -> None:
    from gateway.csms.errors import RequestRejected

    async with restartable(Version.V201) as lives:
        await lives.raw.boot()
        admin = Admin(lives.csms)
        await admin.put_token("A", {"status": "Accepted"})
        lives.writer.broken = True
        for attempt in (
            admin.put_token("A", {"status": "Blocked"}),
            admin.delete_token("A"),
            admin.put_station("CP1", {"registration": "rejected"}),
            admin.put_station("NEW", {}),
            admin.delete_station("CP1"),
            admin.put_registration({"unknown_stations": "accept"}),
            admin.operations.renew_password("CP1"),
        ):
            with pytest.raises(RequestRejected, match="disk is full") as caught:
                await attempt
            assert caught.value.code == 503
        assert admin.token("A")["status"] == "Accepted"
        assert [one["id"] for one in admin.stations()] == ["CP1"]
        assert (await lives.raw.boot())["status"] == "Accepted"
        assert lives.csms.context.unknown_stations is UnknownStations.REJECT


@pytest.mark.parametrize("hashed", [True, False])
@pytest.mark.parametrize("version", list(Version))
async def test_a_renewed_password_persists_over_restarts_until_the_configuration_changes(
    version: Version, hashed: bool
) -> None:
    from gateway.csms import passwords

    def configured(password: str) -> CsmsSettings:
        station = StationSettings("CP1", passwords.hash_password(password, passwords.configuration_salt("CP1")))
        if not hashed:
            station = StationSettings("CP1", password=password)
        return CsmsSettings(stations=(station,), inventory=False)

    async with restartable(version, configured("first password 1")) as lives:
        await lives.raw.boot()
        renewing = asyncio.create_task(Admin(lives.csms).operations.renew_password("CP1"))
        action = "ChangeConfiguration" if version is Version.V16 else "SetVariables"
        answer: dict[str, Any] = {"status": "Accepted"}
        if version is not Version.V16:
            named = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}
            answer = {"setVariableResult": [{"attributeStatus": "Accepted", **named}]}
        request = await lives.raw.next_call(action)
        password = request["value"] if version is Version.V16 else request["setVariableData"][0]["attributeValue"]

        async def right(one: str) -> bool:
            return await lives.csms.credentials.verify(lives.csms.stations["CP1"], one.encode())

        renewing.cancel()
        await lives.kill(configured("first password 1"))  # before a response of the station: it may have either
        assert await right("first password 1")
        assert await right(password)
        assert not await right("first password 1")  # it came in with the new one
        await lives.writer.write()
        await lives.kill(configured("first password 1"))
        assert await right(password)
        await lives.kill(configured("other password 2"))
        assert await right("other password 2")
        assert not await right(password)
        assert answer


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.peer)])
def test_the_same_over_a_real_store_and_its_journal(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if kind == "sqlite":
        _two_lives(f"sqlite:///{tmp_path / 'v2x.db'}")
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    _two_lives(cluster.database())


def _two_lives(url: str) -> None:
    from gateway.clock import SystemClock
    from gateway.store.journal import Journal

    async def life(scene: Callable[[Raw], Awaitable[Any]]) -> Any:
        clock = SystemClock()
        store = SqlStore(url, "gw1")
        await store.open()
        journal = Journal(store, clock)
        writing = asyncio.create_task(journal.run())
        csms = Csms(SETTINGS, lambda _: None, clock, journal)
        csms.restore(await store.kept(1000))
        raw = Raw(Version.V16, csms)
        await raw.connect()
        try:
            return await scene(raw)
        finally:
            await raw.__aexit__()
            await csms.close()
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            await store.close()

    async def first(raw: Raw) -> int:
        await raw.boot()
        number: int = (await raw.ok("StartTransaction", begin_16(raw)))["transactionId"]
        return number

    async def second(raw: Raw) -> Sequence[Any]:
        number = (await raw.ok("StartTransaction", begin_16(raw, 2, "B")))["transactionId"]
        rows = Admin(raw.csms).transactions("CP1", None, True, 10)
        return [number, *(row["transactionId"] for row in rows)]

    one = asyncio.run(life(first))
    other, *running = asyncio.run(life(second))
    assert other > one
    assert running == [other, one]


async def test_a_station_that_was_removed_from_the_configuration_is_not_restored() -> None:
    store, clock = MemoryStore(), VirtualClock()
    writer = Direct(store)
    both = tuple(StationSettings(name) for name in ("CP1", "CP2"))

    async def started(*stations: StationSettings) -> Csms:
        csms = Csms(CsmsSettings(stations=stations), lambda _: None, clock, writer)
        csms.restore(await store.kept(100))
        await writer.write()
        return csms

    csms = await started(*both)
    for name in ("CP2", "CP3"):  # one of the configuration, and one that is registered through the API
        await Admin(csms).put_station(name, {"security_profile": 0})
    assert set((await started(*both)).stations) == {"CP1", "CP2", "CP3"}
    assert set((await started(both[0])).stations) == {"CP1", "CP3"}
    assert set((await started(both[0])).stations) == {"CP1", "CP3"}
    assert set((await started(*both)).stations) == {"CP1", "CP2", "CP3"}


async def test_what_a_station_can_do_is_known_before_it_reports_again() -> None:
    """Else the next gateway commands 0 W, and ends commands, until the whole device model has arrived."""
    about = CsmsSettings(stations=(StationSettings("CP1"),), unknown_tokens=UnknownTokens.ACCEPT)
    async with restartable(Version.V21, about) as lives:
        await lives.raw.boot()
        asked = (await lives.raw.next_call("GetBaseReport", {"status": "Accepted"}))["requestId"]
        rows = [
            reported("V2XChargingCtrlr", "SupportedOperationModes", "CentralSetpoint,ChargingOnly"),
            reported("EVSE", "Power", "0", 11_000.0),
            reported("EVSE", "DischargePower", "0", 9_000.0),
            reported("SmartChargingCtrlr", "RateUnit", "A", evse=0),
            reported("ISO15118Ctrlr", "SeccId", "a name that no set-point needs"),
        ]
        now = lives.raw.time()
        await lives.raw.ok("NotifyReport", {"requestId": asked, "generatedAt": now, "seqNo": 0, "reportData": rows})
        before = lives.of(EvseDescribed)[-1]
        await lives.writer.write()
        await lives.kill()
        await lives.clock.sleep(RESUME_AFTER_S + 1)
        assert [(e.limits, e.can_discharge) for e in lives.of(EvseDescribed)] == [(before.limits, True)]
        assert before.limits == PowerLimits(11_000.0, 9_000.0)
        station = lives.csms.stations["CP1"]
        assert station.rate_unit is v21.ChargingRateUnitEnumType.a
        assert station.variable("ISO15118Ctrlr", "SeccId", 1) is None


def reported(component: str, variable: str, value: str, limit: float | None = None, evse: int = 1) -> dict[str, Any]:
    where: dict[str, Any] = {"name": component}
    if evse:
        where["evse"] = {"id": evse}
    about = {"dataType": "string", "supportsMonitoring": False} | ({"maxLimit": limit} if limit is not None else {})
    return {
        "component": where, "variable": {"name": variable},
        "variableAttribute": [{"value": value}], "variableCharacteristics": about,
    }  # fmt: skip
