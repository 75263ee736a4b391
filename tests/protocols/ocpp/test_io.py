"""Links over wires in memory (virtual time) and over real WebSockets: order, calls during calls, time-outs, ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from emulators.runtime.clock import RealClock, VirtualClock
from emulators.runtime.ocpp_client import connect as connect_station
from emulators.runtime.transports import text_wire_pair
from protocols.ocpp.errors import Refusal
from protocols.ocpp.events import (
    Answered,
    AnswerIgnored,
    CallReceived,
    Event,
    Lost,
    Priority,
    Refused,
    TimedOut,
    Violated,
)
from protocols.ocpp.io import Handler, Link, PushingConnection, WebSocketWire
from protocols.ocpp.rpc import Rpc
from protocols.ocpp.schema import ErrorCode, Payload, Version

NOW = {"currentTime": "2026-01-01T00:00:00Z"}


@asynccontextmanager
async def pair(station: Handler, csms: Handler, **about: Any) -> AsyncIterator[tuple[Link, Link]]:
    clock = VirtualClock()
    a, b = text_wire_pair()
    ours = Link(a, Rpc(Version.V21, **about), station, clock)
    theirs = Link(b, Rpc(Version.V21), csms, clock)
    tasks = [asyncio.create_task(link.run()) for link in (ours, theirs)]
    try:
        yield ours, theirs
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def silent(call: CallReceived) -> Payload:
    raise AssertionError(f"nobody asks this end: {call}")


@pytest.mark.virtual_time
async def test_a_handler_may_call_back_before_it_answers() -> None:
    links: list[Link] = []

    async def csms(call: CallReceived) -> Payload:
        if call.action == "DataTransfer":
            reply = await links[1].call("ClearCache", {})
            assert reply == Answered({"status": "Accepted"})
        return {"status": "Accepted"}

    async with pair(lambda call: {"status": "Accepted"}, csms) as made:
        links += made
        assert await made[0].call("DataTransfer", {"vendorId": "v"}) == Answered({"status": "Accepted"})


@pytest.mark.virtual_time
async def test_each_outcome_of_a_call() -> None:
    async def csms(call: CallReceived) -> Payload:
        match call.payload["vendorId"]:
            case "refuse":
                raise Refusal(ErrorCode.SECURITY_ERROR, "no", {"why": 1})
            case "break":
                raise ZeroDivisionError
            case "invalid":
                return {"status": "Perhaps"}
            case "sleep":
                await asyncio.sleep(100)
        return {"status": "Accepted"}

    async with pair(silent, csms, answer_within=10.0) as (station, other):
        assert await station.call("DataTransfer", {"vendorId": "refuse"}) == Refused("SecurityError", "no", {"why": 1})
        broken = await station.call("DataTransfer", {"vendorId": "break"})
        assert isinstance(broken, Refused)
        assert broken.code == "InternalError"
        invalid = await station.call("DataTransfer", {"vendorId": "invalid"})
        assert isinstance(invalid, Refused)
        assert invalid.code == "InternalError"
        assert await station.call("DataTransfer", {"vendorId": "sleep"}) == TimedOut()
        waiting = asyncio.create_task(station.call("DataTransfer", {"vendorId": "sleep"}, 1000.0))
        await asyncio.sleep(1)
        await other.close()
        assert await waiting == Lost()
        assert await station.call("DataTransfer", {"vendorId": "x"}) == Lost()


@pytest.mark.virtual_time
async def test_a_cancelled_call_releases_the_connection() -> None:
    async def csms(call: CallReceived) -> Payload:
        if call.payload["vendorId"] == "sleep":
            await asyncio.sleep(50)
        return {"status": "Accepted"}

    async with pair(silent, csms) as (station, _):
        task = asyncio.create_task(station.call("DataTransfer", {"vendorId": "sleep"}))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await station.call("DataTransfer", {"vendorId": "x"}, 200.0) == Answered({"status": "Accepted"})


@pytest.mark.virtual_time
async def test_a_cancelled_call_sends_the_next_one_at_once() -> None:
    """Though nothing else is sent or received meanwhile."""
    clock, loop = VirtualClock(), asyncio.get_running_loop()
    ours, theirs = text_wire_pair()
    link = Link(ours, Rpc(Version.V21), silent, clock)
    running = asyncio.create_task(link.run())
    first = asyncio.create_task(link.call("DataTransfer", {"vendorId": "first"}))
    await asyncio.sleep(1)
    second = asyncio.create_task(link.call("ClearCache", {}, 5.0))
    await asyncio.sleep(0.5)
    first.cancel()
    cancelled_at = loop.time()
    assert json.loads(await theirs.receive() or "")[2] == "DataTransfer"
    assert json.loads(await theirs.receive() or "")[2] == "ClearCache"
    assert loop.time() == cancelled_at
    assert await second == TimedOut()
    assert loop.time() == pytest.approx(cancelled_at + 5.0)
    running.cancel()
    await asyncio.gather(first, running, return_exceptions=True)


@pytest.mark.virtual_time
async def test_a_turn_does_not_wait_for_a_call_that_was_cancelled_before_it_was_sent() -> None:
    ours, theirs = text_wire_pair(bound=1)
    link = Link(ours, Rpc(Version.V21), silent, VirtualClock())
    await ours.send("fills the wire")
    call = asyncio.create_task(link.call("ClearCache", {}))
    await asyncio.sleep(0.1)
    turn = asyncio.create_task(link.free())
    await asyncio.sleep(0.1)
    assert (call.done(), turn.done()) == (False, False)
    call.cancel()
    await asyncio.sleep(0.1)
    assert (call.cancelled(), turn.done()) == (True, True)
    await theirs.close()


@pytest.mark.virtual_time
async def test_housekeeping_that_sends_one_call_after_the_other_takes_no_turn_from_a_power() -> None:
    received: list[str] = []

    async def csms(call: CallReceived) -> Payload:
        received.append(call.payload["vendorId"])
        await asyncio.sleep(0.5)
        return {"status": "Accepted"}

    async with pair(silent, csms) as (ours, _):

        async def housekeeping() -> None:
            for number in range(8):
                await ours.call("DataTransfer", {"vendorId": f"h{number}"}, priority=Priority.HOUSEKEEPING)

        async def power(name: str) -> None:
            await ours.free()
            await ours.call("DataTransfer", {"vendorId": name})

        other = asyncio.create_task(housekeeping())
        await asyncio.sleep(0.7)
        await asyncio.gather(power("p1"), power("p2"))
        await other
        assert received == ["h0", "h1", "p1", "p2", *(f"h{number}" for number in range(2, 8))]


@pytest.mark.virtual_time
async def test_a_short_wait_after_a_long_one_ends_in_time() -> None:
    async def csms(call: CallReceived) -> Payload:
        if call.payload["vendorId"] == "sleep":
            await asyncio.sleep(50)
        return {"status": "Accepted"}

    async with pair(silent, csms) as (station, _):
        assert await station.call("DataTransfer", {"vendorId": "x"}, 30.0) == Answered({"status": "Accepted"})
        began = asyncio.get_running_loop().time()
        assert await station.call("DataTransfer", {"vendorId": "sleep"}, 3.0) == TimedOut()
        assert asyncio.get_running_loop().time() - began == pytest.approx(3.0)


@pytest.mark.virtual_time
async def test_calls_of_the_peer_are_handled_in_order() -> None:
    seen: list[str] = []

    async def slow(number: str) -> Payload:
        await asyncio.sleep(5)
        seen.append(number)
        return {"status": "Accepted"}

    def csms(call: CallReceived) -> Any:
        number = call.payload["vendorId"]
        if int(number) % 2:
            return slow(number)
        seen.append(number)
        return {"status": "Accepted"}

    clock = VirtualClock()
    a, b = text_wire_pair()
    link = Link(b, Rpc(Version.V21), csms, clock)
    task = asyncio.create_task(link.run())
    for number in range(6):
        await a.send(json.dumps([2, f"m{number}", "DataTransfer", {"vendorId": str(number)}]))
    answered = [json.loads(await a.receive() or "")[1] for _ in range(6)]
    assert seen == [str(n) for n in range(6)]
    assert answered == [f"m{n}" for n in range(6)]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


# over real sockets


@asynccontextmanager
async def server(handle: Handler, seen: list[PushingConnection] | None = None) -> AsyncIterator[str]:
    async def connected(socket: ServerConnection) -> None:
        if seen is not None and isinstance(socket, PushingConnection):
            seen.append(socket)
        await Link(WebSocketWire(socket), Rpc(Version.V21), handle, RealClock()).run()

    async with serve(
        connected,
        "127.0.0.1",
        0,
        subprotocols=["ocpp2.1"],  # type: ignore[list-item]
        compression=None,
        create_connection=PushingConnection,
    ) as made:
        yield f"ws://127.0.0.1:{next(iter(made.sockets)).getsockname()[1]}/CP1"


@settings(max_examples=10)
@given(shapes=st.lists(st.integers(1, 4), min_size=1, max_size=12))
async def test_messages_in_fragments_keep_their_place(shapes: list[int]) -> None:
    async with (
        server(lambda call: {"status": "Accepted", "data": call.payload["vendorId"]}) as url,
        connect(url, subprotocols=["ocpp2.1"], compression=None) as socket,  # type: ignore[list-item]
    ):
        for number, parts in enumerate(shapes):
            text = json.dumps([2, f"m{number}", "DataTransfer", {"vendorId": f"v{number}"}])
            step = -(-len(text) // parts)
            await socket.send([text[i : i + step] for i in range(0, len(text), step)] if parts > 1 else text)
        answers = [json.loads(await socket.recv()) for _ in shapes]
        assert [answer[1] for answer in answers] == [f"m{n}" for n in range(len(shapes))]
        assert [answer[2]["data"] for answer in answers] == [f"v{n}" for n in range(len(shapes))]


@settings(max_examples=8)
@given(
    lengths=st.lists(st.sampled_from((1, 80, 81, 82, 83, 200, 60_000, 66_000)), min_size=1, max_size=6), data=st.data()
)
async def test_a_message_is_read_alike_whole_and_in_pieces(lengths: list[int], data: st.DataObject) -> None:
    seen = list[PushingConnection]()
    async with (
        server(lambda call: {"status": "Accepted", "data": call.payload["data"]}, seen) as url,
        connect(url, subprotocols=["ocpp2.1"], compression=None) as socket,  # type: ignore[list-item]
    ):
        for number, length in enumerate(lengths):
            message = [2, f"m{number}", "DataTransfer", {"vendorId": "v", "data": "é" * length}]
            socket.protocol.send_text(json.dumps(message, ensure_ascii=False).encode())
            frame = b"".join(socket.protocol.data_to_send())
            cut = data.draw(st.integers(0, 12))
            for part in (frame[:cut], frame[cut:]) if cut else (frame,):
                seen[0].data_received(part)
            answer = json.loads(await socket.recv())
            assert answer == [3, f"m{number}", {"status": "Accepted", "data": "é" * length}]


@pytest.mark.parametrize("head", [0xC1, 0x83, 0x41])  # reserved bits, and a reserved opcode
async def test_a_frame_that_breaks_the_protocol_closes_the_connection(head: int) -> None:
    seen = list[PushingConnection]()
    async with (
        server(lambda call: NOW, seen) as url,
        connect(url, subprotocols=["ocpp2.1"], compression=None) as socket,  # type: ignore[list-item]
    ):
        seen[0].data_received(bytes((head, 0x80, 0, 0, 0, 0)))
        await socket.wait_closed()
        assert socket.close_code == 1002


async def test_a_length_in_more_bytes_than_it_needs_is_read() -> None:
    seen = list[PushingConnection]()
    text = json.dumps([2, "m", "DataTransfer", {"vendorId": "v", "data": "x" * 119}])[: 119 - 3] + '"}]'
    async with (
        server(lambda call: {"status": "Accepted", "data": call.payload["data"]}, seen) as url,
        connect(url, subprotocols=["ocpp2.1"], compression=None) as socket,  # type: ignore[list-item]
    ):
        seen[0].data_received(b"\x81\xff" + len(text).to_bytes(8, "big") + bytes(4) + text.encode())
        assert json.loads(await socket.recv())[:2] == [3, "m"]


async def test_a_frame_without_a_mask_closes_the_connection() -> None:
    seen = list[PushingConnection]()
    async with (
        server(lambda call: NOW, seen) as url,
        connect(url, subprotocols=["ocpp2.1"], compression=None) as socket,  # type: ignore[list-item]
    ):
        seen[0].data_received(b"\x81\x06[2,1,1")
        await socket.wait_closed()
        assert socket.close_code == 1002


async def test_a_peer_answers_to_a_ping_unless_it_is_gone() -> None:
    seen = list[PushingConnection]()
    async with (
        server(lambda call: NOW, seen) as url,
        connect(url, subprotocols=["ocpp2.1"], compression=None) as socket,  # type: ignore[list-item]
    ):
        assert await WebSocketWire(seen[0]).answers(5.0)
        socket.transport.pause_reading()
        assert not await WebSocketWire(seen[0]).answers(0.1)
        socket.transport.abort()
        await seen[0].wait_closed()
        assert not await WebSocketWire(seen[0]).answers(0.1)


async def test_a_peer_that_does_not_read_delays_writes_and_no_bytes_are_lost() -> None:
    big, seen = "x" * 60_000, list[PushingConnection]()
    async with (
        server(lambda call: {"status": "Accepted", "data": big}, seen) as url,
        connect(url, subprotocols=["ocpp2.1"], compression=None, max_queue=1) as socket,  # type: ignore[list-item]
    ):
        for number in range(300):
            await socket.send(json.dumps([2, f"m{number}", "DataTransfer", {"vendorId": "v"}]))
        await asyncio.sleep(0.2)
        waiting = seen[0].transport.get_write_buffer_size()
        assert waiting < 2_000_000  # of 18 MB: it stopped reading us instead of piling up answers
        answered = [json.loads(await socket.recv())[1] for _ in range(300)]
        assert answered == [f"m{n}" for n in range(300)]


async def test_a_message_that_is_not_text_ends_the_connection_or_is_rejected() -> None:
    async with server(lambda call: NOW) as url:
        async with connect(url, subprotocols=["ocpp2.1"]) as socket:  # type: ignore[list-item]
            await socket.send(b'[2,"a","Heartbeat",{}]')  # binary, but readable
            assert json.loads(await socket.recv())[:2] == [3, "a"]
            await socket.send(b"\xff\xfe")
            assert json.loads(await socket.recv())[:2] == [4, "-1"]
        async with connect(url, subprotocols=["ocpp2.1"]) as socket:  # type: ignore[list-item]
            await socket.send(b"\xff\xfe", text=True)
            await socket.wait_closed()
            assert socket.close_code == 1007
        async with connect(url, subprotocols=["ocpp2.1"], max_size=None) as socket:  # type: ignore[list-item]
            await socket.send("x" * 2_000_000)
            await socket.wait_closed()
            assert socket.close_code == 1009


async def test_a_rejected_connection_states_its_reason() -> None:
    with pytest.raises(ConnectionError, match="not a WebSocket URL"):
        await connect_station("http://x", (Version.V21,))
    with pytest.raises(ConnectionError, match=r"127\.0\.0\.1:1"):
        await connect_station("ws://127.0.0.1:1/ocpp/CP1", (Version.V21,))
    async with server(lambda call: NOW) as url:
        with pytest.raises(ConnectionError):
            await connect_station(url, (Version.V16,))
        wire = await connect_station(url, (Version.V16, Version.V21))
        assert wire.subprotocol == "ocpp2.1"
        await wire.send('[2,"a","Heartbeat",{}]')
        assert json.loads(await wire.receive() or "")[:2] == [3, "a"]
        await wire.close()
        await wire.close()
        assert await wire.receive() is None
        with pytest.raises(ConnectionError):
            await wire.send("x")


@pytest.mark.virtual_time
async def test_events_are_seen_by_who_observes() -> None:
    seen: list[Event] = []
    a, b = text_wire_pair()
    link = Link(b, Rpc(Version.V21), silent, VirtualClock(), seen.append)
    task = asyncio.create_task(link.run())
    await a.send("{")
    await a.send('[3,"nobody",{}]')
    await asyncio.sleep(1)
    assert [type(e) for e in seen] == [Violated, AnswerIgnored]
    await a.close()
    await task
