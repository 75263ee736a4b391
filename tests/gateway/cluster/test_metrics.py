"""Metrics of one instance: every definition has its line, and messages that wait have an age."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.clock import SystemClock
from gateway.cluster import metrics
from gateway.cluster.metric_definitions import DEFINITIONS
from gateway.cluster.node import Node
from gateway.cluster.settings import ClusterSettings
from gateway.web.guard import Access, Guard
from tests.gateway.cluster.rig import Nats, nats
from tests.gateway.cluster.test_connections import Site


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    with nats(tmp_path_factory.mktemp("nats")) as servers:
        yield servers[0]


async def test_every_definition_has_a_value(server: Nats) -> None:
    node, joined = Node(ClusterSettings((server.url,), "gw1"), {}, "1", SystemClock()), asyncio.Event()
    running = asyncio.create_task(node.run(joined.set))
    await joined.wait()
    found = metrics.text(node)
    running.cancel()
    await asyncio.wait({running})
    assert [line.split()[2] for line in found.splitlines() if line.startswith("# TYPE")] == [
        one.name for one in DEFINITIONS
    ]
    assert "\nv2x_cluster_nats_connected 1\n" in found
    assert "\nv2x_cluster_instances 1\n" in found


async def test_the_metrics_need_the_token_of_the_admin_api() -> None:
    node = Node(ClusterSettings(("nats://127.0.0.1:1",), "gw1"), {}, "1", SystemClock())

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError

    def protect(app: ASGIApp) -> ASGIApp:
        return Guard(app, Access("secret", frozenset({"gw"})), lambda text: None, lambda: 0.0)

    transport = httpx.ASGITransport(app=metrics.ClusterRoute(inner, node, protect))
    async with httpx.AsyncClient(transport=transport, base_url="http://gw") as client:
        assert (await client.get("/health/cluster")).status_code == 401
        answer = await client.get("/health/cluster", headers={"Authorization": "Bearer secret"})
        assert "v2x_cluster_draining" in answer.text


async def test_messages_without_a_holder_wait_and_are_counted() -> None:
    site = Site()
    async with site.connected() as station:
        await station.send("one")
        await asyncio.sleep(2)
        await station.send("two")
        await asyncio.sleep(3)
        number, oldest_s = site.connections.waiting()
        assert (number, round(oldest_s)) == (2, 5)
        assert site.connections.opened == 1
        site.connections.held_by("gw2", 7)
        await asyncio.sleep(2)
        assert site.connections.waiting() == (0, 0.0)
