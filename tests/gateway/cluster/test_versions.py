"""Instances of two versions beside each other: what is tolerated, what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any, get_args

import msgspec
import pytest

from gateway.cli.operator_actions import ToolError, verify_stopped
from gateway.clock import SystemClock
from gateway.cluster import messages
from gateway.cluster.io import ClusterBus, ClusterError
from gateway.cluster.keys import key_of
from gateway.cluster.messages import PROTOCOL, Attached, Barrier, Failed, Message
from gateway.cluster.node import ABSENT_AFTER_S, INSTANCES, Node, Presence
from gateway.cluster.settings import ClusterSettings
from gateway.config import from_table
from tests.gateway.cluster.next_version import Later, encode_next
from tests.gateway.cluster.rig import Nats, nats

EXAMPLES = {str: "text", int: 7, bool: True, bytes: b"bytes", float: 1.5}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    with nats(tmp_path_factory.mktemp("nats")) as servers:
        yield servers[0]


def settings(server: Nats, instance: str) -> ClusterSettings:
    return ClusterSettings((server.url,), instance, name="versions")


@pytest.mark.parametrize("kind", get_args(Message), ids=lambda kind: kind.__name__)
def test_members_that_a_later_version_adds_are_ignored(kind: type[Message]) -> None:
    members: dict[str, Any] = {}
    for one in msgspec.structs.fields(kind):
        if isinstance(one.type, type):
            members[one.name] = EXAMPLES.get(one.type)
        elif one.default is not msgspec.NODEFAULT:
            members[one.name] = one.default
    containers = {"epochs": {"CP1": 1}, "headers": [(b"a", b"b")], "proof": 1.5}
    members |= {name: value for name, value in containers.items() if name in kind.__struct_fields__}
    if kind.__name__ == "Beat":
        members["epochs"] = 1
    message = kind(**members)
    assert messages.decode(encode_next(message)) == message == messages.decode(messages.encode(message))


def test_a_message_of_an_earlier_version_lacks_members_with_defaults() -> None:
    shorter = msgspec.msgpack.encode(msgspec.msgpack.decode(messages.encode(Attached("s", 7)))[:-1])
    assert messages.decode(shorter) == Attached("s", 7, "")


def test_a_message_that_is_not_known_is_ignored() -> None:
    assert messages.decode(msgspec.msgpack.encode(Later("s", 1))) is None
    assert messages.decode(msgspec.msgpack.encode(["Barrier", "s", "a term of another type"])) is None


async def test_a_request_that_is_not_known_is_refused_at_once(server: Nats, monkeypatch: pytest.MonkeyPatch) -> None:
    async def handle(message: Message) -> Message | None:
        return None

    async with ClusterBus(settings(server, "a"), handle).connect(), ClusterBus(settings(server, "b")).connect() as b:
        monkeypatch.setattr(messages, "encode", lambda message: msgspec.msgpack.encode(Later("s", 1)))
        asking = asyncio.create_task(b.request("a", Barrier("s", 1), 30.0))
        await asyncio.sleep(0)
        monkeypatch.undo()
        answer = await asking
    assert isinstance(answer, Failed)
    assert "instance a does not know this request" in answer.reason


@pytest.mark.parametrize(("protocol", "age_s", "starts"), [(PROTOCOL + 1, 0.0, False), (PROTOCOL, 0.0, True),
                                                           (PROTOCOL + 1, ABSENT_AFTER_S + 1, True)])  # fmt: skip
async def test_an_instance_does_not_start_beside_one_of_another_protocol(
    server: Nats, protocol: int, age_s: float, starts: bool
) -> None:
    clock = SystemClock()
    async with ClusterBus(settings(server, "observer")).connect() as bus:
        instances = await bus.records(INSTANCES)
        presence = Presence("gw2", "gw2/1", "9.0", 0.0, clock.wall() - age_s, protocol=protocol)
        await instances.put(key_of("gw2"), msgspec.json.encode(presence))
    joined = asyncio.Event()
    node = Node(settings(server, "gw1"), {}, "1.0", clock)
    running = asyncio.create_task(node.run(joined.set))
    await asyncio.wait({running, waiting := asyncio.create_task(joined.wait())}, return_when=asyncio.FIRST_COMPLETED)
    assert joined.is_set() is starts
    waiting.cancel()
    running.cancel()
    if not starts:
        with pytest.raises(ClusterError, match=r"gw2 of version .* has protocol 2, this one of version .* has 1"):
            await running


@pytest.mark.parametrize(("age_s", "refused"), [(0.0, True), (2 * ABSENT_AFTER_S, False)])
async def test_a_database_is_not_migrated_while_instances_run(server: Nats, age_s: float, refused: bool) -> None:
    """They could not take a site over any more: none reads the tables of another version."""
    name, now = f"migrated{refused}", SystemClock().wall()
    async with ClusterBus(ClusterSettings((server.url,), "gw1", name=name)).connect() as bus:
        presence = Presence("gw1", "run", "0.1.0", now, now - age_s)
        await (await bus.records(INSTANCES)).put(key_of("gw1"), msgspec.json.encode(presence))
    cluster = {"servers": [server.url], "instance": "gw2", "name": name}
    store = {"url": "postgresql://v2x@127.0.0.1/v2x"}
    config = from_table({"cluster": cluster, "store": store, "ocpp": {"security_profile": 0}})
    with pytest.raises(ToolError, match=r"^instances of the cluster run: gw1;") if refused else nullcontext():
        await verify_stopped(config)
