"""MQTT broker in memory: the semantics of MQTT that the gateway relies on, and fault injection."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.runtime.memory_broker import MemoryBroker, MemoryBus, matches
from protocols.ports import Bus, BusMessage

pytestmark = pytest.mark.virtual_time


async def drain(bus: MemoryBus, within_s: float = 1.0) -> list[BusMessage]:
    """Return the messages that arrive until none is pending."""
    got: list[BusMessage] = []
    try:
        async with asyncio.timeout(within_s):
            async for message in bus.messages():
                got.append(message)
    except TimeoutError:
        pass
    return got


@pytest.mark.parametrize(
    ("topic_filter", "topic", "expected"),
    [
        ("a/b", "a/b", True),
        ("a/+", "a/b", True),
        ("a/+", "a/b/c", False),
        ("a/+", "a", False),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("+/+", "/a", True),
        ("#", "a/b", True),
        ("#", "$SYS/x", False),
        ("+/x", "$SYS/x", False),
        ("$SYS/#", "$SYS/x", True),
        ("a", "a/b", False),
    ],
)
def test_topics_match_by_the_standard(topic_filter: str, topic: str, expected: bool) -> None:
    assert matches(topic_filter, topic) is expected


@given(st.lists(st.sampled_from(["a", "b", ""]), min_size=1, max_size=5))
def test_a_topic_matches_itself_and_everything(levels: list[str]) -> None:
    topic = "/".join(levels)
    assert matches(topic, topic)
    assert matches("#", topic)
    assert matches("/".join("+" for _ in levels), topic)


async def test_subscriptions_change_between_messages_of_one_topic() -> None:
    broker = MemoryBroker()
    async with broker.client("a") as a, broker.client("b") as b:
        await a.publish(BusMessage("x", b"0"))
        await b.subscribe("x")
        await a.publish(BusMessage("x", b"1"))
        await b.unsubscribe("x")
        await a.publish(BusMessage("x", b"2"))
        assert [message.payload for message in await drain(b)] == [b"1"]


async def test_publish_and_subscribe_with_properties() -> None:
    broker = MemoryBroker()
    async with broker.client("a") as a, broker.client("b") as b:
        bus: Bus = b
        await bus.subscribe("x/+", 1)
        sent = BusMessage("x/1", b"{}", 1, False, "r/1", b"\x01", 60, (("k", "v"),))
        await a.publish(sent)
        await a.publish(BusMessage("y/1", b""))
        assert await drain(b) == [sent]
        assert broker.clients() == ["a", "b"]
    assert broker.clients() == []


async def test_retained_messages_are_stored_replaced_and_deleted() -> None:
    broker = MemoryBroker()
    async with broker.client("a") as a:
        await a.publish(BusMessage("s/1", b"old", 1, True))
        await a.publish(BusMessage("s/1", b"new", 1, True))
        await a.publish(BusMessage("s/2", b"x", 1, True))
        await a.publish(BusMessage("s/2", b"", 1, True))
        await a.publish(BusMessage("s/3", b"short", 1, True, expiry_s=5))
        await asyncio.sleep(6)
        async with broker.client("b") as b, broker.client("old", version=4) as old:
            await b.subscribe("s/#")
            await old.subscribe("s/#")
            assert [(m.payload, m.retain) for m in await drain(b)] == [(b"new", True)]
            await a.publish(BusMessage("s/1", b"newer", 1, True))
            assert [(m.payload, m.retain) for m in await drain(b)] == [(b"newer", True)]
            assert [(m.payload, m.retain) for m in await drain(old)] == [(b"new", True), (b"newer", False)]
    assert broker.retained("s/1") is not None
    assert broker.retained("s/2") is None


async def test_a_will_is_published_on_connection_loss_only() -> None:
    broker = MemoryBroker()
    will = BusMessage("status", b"offline", 1, True)
    async with broker.client("watch") as watch:
        await watch.subscribe("status")
        async with broker.client("gw", will=will) as gw:
            broker.cut("gw")
            assert await drain(watch) == [will]
            with pytest.raises(ConnectionError):
                await gw.publish(BusMessage("x", b""))
            with pytest.raises(ConnectionError):
                async for _ in gw.messages():
                    pass
        async with broker.client("gw", will=will):
            pass
        assert await drain(watch) == []


async def test_a_persistent_session_loses_no_message_of_qos_1() -> None:
    broker = MemoryBroker()
    async with broker.client("a") as a:
        async with broker.client("gw", clean_start=False, session_expiry_s=60) as gw:
            await gw.subscribe("cmd/#", 1)
        for n in range(3):
            await a.publish(BusMessage("cmd/x", str(n).encode(), 1))
        await a.publish(BusMessage("cmd/x", b"qos 0", 0))
        await a.publish(BusMessage("cmd/x", b"late", 1, expiry_s=5))
        await asyncio.sleep(10)
        async with broker.client("gw", clean_start=False, session_expiry_s=60) as gw:
            assert [m.payload for m in await drain(gw)] == [b"0", b"1", b"2"]
        await asyncio.sleep(61)
        await a.publish(BusMessage("cmd/x", b"3", 1))
        async with broker.client("gw", clean_start=False, session_expiry_s=60) as gw:
            assert await drain(gw) == []


async def test_a_second_connection_takes_over_the_session() -> None:
    broker = MemoryBroker()
    async with broker.client("gw") as first, broker.client("gw") as second:
        assert not first.connected
        assert second.connected


async def test_a_broker_restarts_with_or_without_its_sessions() -> None:
    broker = MemoryBroker()
    async with broker.client("a") as a:
        await a.publish(BusMessage("s", b"1", 1, True))
        broker.stop()
        with pytest.raises(ConnectionError):
            await a.publish(BusMessage("s", b"2"))
        with pytest.raises(ConnectionError):
            async with broker.client("b"):
                pass
    broker.start()
    async with broker.client("a"):
        assert broker.retained("s") is not None
    broker.stop(forget=True)
    assert broker.retained("s") is None


async def test_a_frozen_broker_blocks_until_it_resumes() -> None:
    broker = MemoryBroker()
    async with broker.client("a") as a, broker.client("b") as b:
        await b.subscribe("#")
        broker.freeze()
        await a.publish(BusMessage("x", b"lost"))
        waiting = asyncio.create_task(a.publish(BusMessage("x", b"kept", 1)))
        assert await drain(b, 60) == []
        assert not waiting.done()
        broker.thaw()
        await waiting
        assert [m.payload for m in await drain(b)] == [b"kept"]


async def test_queues_are_bounded_and_shared_subscriptions_alternate() -> None:
    broker = MemoryBroker(queue_within=10)
    async with broker.client("a") as a, broker.client("b") as b, broker.client("c") as c:
        await b.subscribe("$share/g/cmd")
        await c.subscribe("$share/g/cmd")
        for n in range(4):
            await a.publish(BusMessage("cmd", str(n).encode(), 1))
        assert [m.payload for m in await drain(b)] == [b"0", b"2"]
        assert [m.payload for m in await drain(c)] == [b"1", b"3"]
        await b.subscribe("flood")
        for _ in range(25):
            await a.publish(BusMessage("flood", b"", 1))
        assert len(await drain(b)) == 10
        assert broker.dropped == 15


async def test_messages_are_tampered_with_and_delayed() -> None:
    broker = MemoryBroker()
    broker.latency_s = 0.1
    broker.tamper = lambda _, m: [(0.0, m), (2.0, m)] if m.payload == b"twice" else []
    async with broker.client("a") as a, broker.client("b") as b:
        await b.subscribe("#")
        await a.publish(BusMessage("x", b"twice", 1))
        await a.publish(BusMessage("x", b"lost", 1))
        assert [m.payload for m in await drain(b, 10)] == [b"twice", b"twice"]


@pytest.mark.parametrize("bad", ["", "a/+", "#", "a\0"])
async def test_invalid_topics_are_rejected(bad: str) -> None:
    broker = MemoryBroker()
    async with broker.client("a") as a:
        with pytest.raises(ValueError, match="invalid topic"):
            await a.publish(BusMessage(bad, b""))
        for wrong in ("", "a#", "#/a", "a+/b", "$share/x"):
            with pytest.raises(ValueError, match=r"filter|wildcard"):
                await a.subscribe(wrong)


async def test_unacknowledged_messages_are_delivered_again() -> None:
    broker = MemoryBroker()
    async with broker.client("a") as a:
        link = {"clean_start": False, "session_expiry_s": 60.0, "acknowledges": True}
        async with broker.client("gw", **link) as gw:  # type: ignore[arg-type]
            await gw.subscribe("cmd")
            for payload in (b"1", b"2", b"3"):
                await a.publish(BusMessage("cmd", payload, 1))
            got = await drain(gw)
            assert [m.payload for m in got] == [b"1", b"2", b"3"]
            gw.acknowledge(got[1])
            broker.cut("gw")
        async with broker.client("gw", **link) as gw:  # type: ignore[arg-type]
            assert [m.payload for m in await drain(gw)] == [b"1", b"3"]
