"""Transactions as stations report them: late, twice, out of order, without an end, with invalid numbers."""

from __future__ import annotations

import asyncio
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.csms import evse_events
from gateway.csms.transactions import Transactions
from gateway.model.event import Metered, SessionEnded, SessionStarted
from protocols.ocpp.schema import Version
from tests.gateway.csms.raw_station import Raw, power

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_events_in_any_order_make_one_session(order: tuple[int, ...]) -> None:
    async with Raw() as raw:
        await raw.boot()
        events: list[tuple[str, int, float, dict[str, Any]]] = [
            ("Started", 0, -120.0, {"idToken": {"idToken": "A", "type": "ISO14443"}}),
            ("Updated", 1, -60.0, {"meterValue": power(raw, 500.0, -60.0)}),
            ("Ended", 2, 0.0, {"info": {"stoppedReason": "EVDisconnected"}}),
        ]
        for index in order:
            kind, seq, at, more = events[index]
            await raw.event(kind, seq, at=at, offline=True, **more)
        (transaction,) = raw.csms.context.transactions.of("CP1")
        assert transaction.id_token == "A"
        assert transaction.stopped_at is not None
        assert transaction.stop_reason == "EVDisconnected"
        assert transaction.started_at is not None
        assert transaction.stopped_at - transaction.started_at == pytest.approx(120.0, abs=0.1)
        assert len(raw.of(SessionStarted)) == len(raw.of(SessionEnded)) <= 1
        assert not raw.csms.context.transactions.active_of("CP1")


async def test_the_same_event_twice_counts_once() -> None:
    async with Raw() as raw:
        await raw.boot()
        for _ in range(2):
            await raw.event("Started", 0, at=-1.0)
        for _ in range(3):
            await raw.event("Updated", 1, at=0.0, meterValue=power(raw, 1000.0))
        assert len(raw.of(SessionStarted)) == 1
        assert len(raw.of(Metered)) == 1


async def test_event_numbers_that_stay_zero_are_accepted() -> None:
    async with Raw() as raw:
        await raw.boot()
        await raw.event("Started", 0)
        for _ in range(3):
            await asyncio.sleep(10)
            await raw.event("Updated", 0, meterValue=power(raw, 1000.0))
        await raw.event("Ended", 0)
        assert len(raw.of(Metered)) == 3
        assert len(raw.of(SessionEnded)) == 1


async def test_a_lost_transaction_end_is_detected_when_another_begins() -> None:
    async with Raw() as raw:
        await raw.boot()
        await raw.event("Started", 0, "t1")
        await raw.event("Started", 0, "t2")
        (ended,) = raw.of(SessionEnded)
        assert ended.session == "t1"
        assert "lost" in ended.reason
        kinds = [type(e) for e in raw.events if isinstance(e, SessionStarted | SessionEnded)]
        assert kinds == [SessionStarted, SessionEnded, SessionStarted]
        await raw.event("Ended", 5, "t1", at=-30.0, info={"stoppedReason": "PowerLoss"})
        first = raw.csms.context.transactions.get("CP1", "t1")
        assert first is not None
        assert first.stop_reason == "PowerLoss"  # the truth, when it comes
        assert len(raw.of(SessionEnded)) == 1
        assert raw.csms.context.transactions.active_at("CP1", 1) is not None


async def test_a_lost_end_is_queried_after_a_reboot() -> None:
    async with Raw(inventory=True) as raw:
        await raw.boot()
        await raw.next_call("GetBaseReport", {"status": "NotSupported"})
        await asyncio.sleep(1)
        await raw.event("Started", 0, "t1")
        assert raw.wire is not None
        await raw.wire.close()
        await asyncio.sleep(1)
        await raw.connect()
        await raw.boot()
        await raw.next_call("GetBaseReport", {"status": "NotSupported"})
        request = await raw.next_call("GetTransactionStatus", {"ongoingIndicator": False, "messagesInQueue": False})
        assert request == {"transactionId": "t1"}
        await asyncio.sleep(1)
        assert [e.session for e in raw.of(SessionEnded)] == ["t1"]


async def test_a_presumed_end_is_revoked_by_a_message() -> None:
    async with Raw() as raw:
        await raw.boot()
        await raw.event("Started", 0)
        station = raw.csms.stations["CP1"]
        (transaction,) = raw.csms.context.transactions.of("CP1")
        evse_events.presume_ended(station, transaction, "tests")
        await asyncio.sleep(5)
        await raw.event("Updated", 1, meterValue=power(raw, 10.0))
        assert transaction.active
        assert len(raw.of(SessionStarted)) == 2


async def test_a_token_in_two_places_is_concurrent() -> None:
    async with Raw() as raw:
        await raw.boot()
        token = {"idToken": "A", "type": "ISO14443"}
        first = await raw.event("Started", 0, "t1", idToken=token)
        second = await raw.event("Started", 0, "t2", evse=2, idToken=token)
        assert first["idTokenInfo"]["status"] == "Accepted"
        assert second["idTokenInfo"]["status"] == "ConcurrentTx"
        answer = await raw.ok("Authorize", {"idToken": token})  # to stop with the same card is fine
        assert answer["idTokenInfo"]["status"] == "Accepted"


async def test_in_16_a_repeated_start_keeps_its_id_and_ids_grow() -> None:
    async with Raw(Version.V16) as raw:
        await raw.boot()
        begin = {"connectorId": 1, "idTag": "A", "meterStart": 5, "timestamp": raw.time()}
        first = await raw.ok("StartTransaction", begin)
        again = await raw.ok("StartTransaction", begin)
        assert first["transactionId"] == again["transactionId"]
        assert len(raw.of(SessionStarted)) == 1
        other = await raw.ok("StartTransaction", begin | {"connectorId": 2, "idTag": "B"})
        assert other["transactionId"] > first["transactionId"]
        concurrent = await raw.ok("StartTransaction", begin | {"connectorId": 3})
        assert concurrent["idTagInfo"]["status"] == "ConcurrentTx"
        end = {"transactionId": first["transactionId"], "meterStop": 100, "timestamp": "2020-01-01T00:00:00Z"}
        assert await raw.ok("StopTransaction", end) == {}
        transaction = raw.csms.context.transactions.get("CP1", str(first["transactionId"]))
        assert transaction is not None
        assert transaction.stopped_at == 1577836800.0  # as reported by the station
        assert await raw.ok("StopTransaction", end | {"transactionId": -1}) == {}  # 4.10: taken, whatever it is


@given(st.lists(st.floats(1.6e9, 2.0e9), min_size=1, max_size=30))
def test_transaction_numbers_increase_and_persist_over_a_restart(walls: list[float]) -> None:
    walls = sorted(walls)
    book, numbers = Transactions(), []
    for wall in walls:
        numbers.append(book.next_number(wall))
    assert numbers == sorted(set(numbers))
    assert Transactions().next_number(walls[-1] + len(walls) + 1) > numbers[-1]  # a new process
    assert all(0 < number < 2**31 for number in numbers)


def test_the_registry_is_bounded_and_keeps_active_transactions() -> None:
    from gateway.csms import transactions

    book = Transactions()
    running = book.open("CP1", "runs", 1)
    book.activate(running)
    for number in range(transactions.MAX_TRANSACTIONS + 10):
        book.open("CP1", f"t{number}", 1).stopped_at = 1.0
    assert book.get("CP1", "runs") is running
    assert book.get("CP1", "t0") is None
    assert sum(1 for _ in book.of("CP1")) == transactions.MAX_TRANSACTIONS


@pytest.mark.parametrize("version", list(Version))
async def test_an_evse_that_cannot_be_leaves_no_transaction(version: Version) -> None:
    async with Raw(version) as raw:
        await raw.boot()
        if version is Version.V16:
            begin = {"connectorId": 70_000, "idTag": "A", "meterStart": 5, "timestamp": raw.time()}
            answer = await raw.call("StartTransaction", begin)
        else:
            info = {"transactionId": "t1"}
            body = {"eventType": "Started", "timestamp": raw.time(), "triggerReason": "Authorized", "seqNo": 0}
            answer = await raw.call("TransactionEvent", {**body, "transactionInfo": info, "evse": {"id": 70_000}})
        assert answer[0] == 4
        assert list(raw.csms.context.transactions.of("CP1")) == []
