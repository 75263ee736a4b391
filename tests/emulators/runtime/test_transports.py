"""Transports in memory: order, bounded data in transit, end of the stream."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.runtime.transports import Link, MemoryWire, split, text_wire_pair, wire_pair
from protocols.ports import TextWire, Wire
from tests.virtual_time import virtual_examples

pytestmark = pytest.mark.virtual_time


async def everything(wire: MemoryWire) -> bytes:
    whole = b""
    while data := await wire.read():
        whole += data
    return whole


@given(
    st.lists(st.binary(min_size=1, max_size=50), max_size=20),
    st.integers(1, 9),
    st.lists(st.floats(0, 10), min_size=1, max_size=5),
)
@virtual_examples
async def test_bytes_arrive_in_order_with_any_chunks_and_delays(
    writes: list[bytes], chunk: int, delays: list[float]
) -> None:
    link: Link[bytes] = Link(tamper=split(chunk))
    a, b = wire_pair(link=link)
    for n, data in enumerate(writes):
        link.latency_s = delays[n % len(delays)]
        await a.write(data)
    await a.close()
    assert await everything(b) == b"".join(writes)


async def test_latency_takes_virtual_time() -> None:
    a, b = wire_pair(link=Link(latency_s=0.25))
    await a.write(b"ping")
    await b.write(await b.read())
    assert await a.read() == b"ping"
    assert asyncio.get_running_loop().time() == pytest.approx(0.5)


async def test_a_writer_waits_for_a_slow_reader() -> None:
    a, b = wire_pair(bound=10)
    written: list[int] = []

    async def write() -> None:
        for n in range(5):
            await a.write(b"0123456789")
            written.append(n)

    task = asyncio.create_task(write())
    await asyncio.sleep(1)
    before = len(written)
    for _ in range(5):
        await b.read()
    await task
    assert [before, len(written)] == [1, 5]


@pytest.mark.parametrize("latency_s", [0.0, 1.0])
@pytest.mark.parametrize("early", [True, False])
async def test_a_writer_goes_on_where_what_it_has_sent_is_pushed(latency_s: float, early: bool) -> None:
    a, b = wire_pair(bound=10, link=Link(latency_s=latency_s))
    pushed: list[bytes] = []
    if early:
        b.push_to(pushed.append)
    writing = asyncio.create_task(a.write(b"0123456789ab"))
    await asyncio.sleep(2.0)
    if not early:
        b.push_to(pushed.append)
    async with asyncio.timeout(1.0):
        await writing
    assert pushed == [b"0123456789ab"]


async def test_the_end_of_a_stream() -> None:
    a, b = wire_pair("ev", "secc")
    first: Wire = a
    assert (a.peer, b.peer) == ("secc", "ev")
    await first.write(b"bye")
    await first.close()
    await first.close()
    assert await b.read() == b"bye"
    assert await b.read() == b""
    with pytest.raises(ConnectionError):
        await b.write(b"too late")
    with pytest.raises(ConnectionError):
        await a.write(b"too late")
    assert await a.read() == b""


async def test_a_cut_ends_reads_and_writes() -> None:
    a, b = wire_pair(bound=1)
    reading = asyncio.create_task(a.read())
    writing = asyncio.create_task(a.write(b"1234"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    a.link.cut()
    assert await reading == b""
    with pytest.raises(ConnectionError):
        await writing
    assert await b.read() == b""


async def test_a_half_open_connection_loses_messages_silently() -> None:
    a, b = wire_pair("a", "b")
    a.link.silent.add("a")
    await a.write(b"lost")
    await a.close()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3600):
            await b.read()
    a.link.cut()
    assert await b.read() == b""


async def test_messages_stay_whole_and_are_counted() -> None:
    seen: list[tuple[str, str]] = []
    link: Link[str] = Link(on_write=lambda sender, text: seen.append((sender, text)))
    station, gateway = text_wire_pair(subprotocol="ocpp1.6", link=link)
    near: TextWire = station
    assert near.subprotocol == gateway.subprotocol == "ocpp1.6"
    await near.send("one")
    await near.send("two")
    link.tamper = lambda _, text: [(0.0, text), (1.0, text)] if text == "twice" else []
    await near.send("twice")
    await near.send("lost")
    got = [await gateway.receive() for _ in range(4)]
    assert got == ["one", "two", "twice", "twice"]
    await gateway.close(1001, "going away")
    assert await station.receive() is None
    assert gateway.close_code == 1001
    assert link.count == {"station": 4}
    assert seen[0] == ("station", "one")


async def test_two_readers_are_an_error() -> None:
    a, _ = wire_pair()
    first = asyncio.create_task(a.read())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="two readers"):
        await a.read()
    first.cancel()
