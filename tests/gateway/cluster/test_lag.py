"""Lag of a cluster over real NATS: ages of beats and leases, and messages that wait, as instance and CLI show them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
from typer.testing import CliRunner

from emulators.runtime.transports import text_wire_pair
from gateway.cli.main import app
from gateway.clock import SystemClock
from gateway.cluster import metrics, node, status
from gateway.cluster.control import LeaseView, SiteControl
from gateway.cluster.node import ABSENT_AFTER_S, Node
from gateway.cluster.settings import ClusterSettings
from gateway.cluster.status import ClusterStatus
from tests.gateway.cluster.rig import Nats, nats

LEASE_S = 5.0
LATER_S = 3600.0


class Clock(SystemClock):
    """The system's clock, which a test sets forward."""

    ahead_s = 0.0

    def now(self) -> float:
        return super().now() + self.ahead_s


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    with nats(tmp_path_factory.mktemp("nats")) as servers:
        yield servers[0]


class Starting:
    """A control that starts until it is given up: messages of stations wait for it."""

    def __init__(self) -> None:
        self.given_up = asyncio.Event()

    @asynccontextmanager
    async def __call__(self, lease: LeaseView) -> AsyncIterator[SiteControl]:
        await self.given_up.wait()
        if self.given_up.is_set():
            raise RuntimeError("given up")
        yield cast("SiteControl", None)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError


@asynccontextmanager
async def instance(server: Nats, clock: Clock) -> AsyncIterator[Node]:
    """Run an instance that holds the lease of one site, with a station whose message waits."""
    starting, joined = Starting(), asyncio.Event()
    one = Node(ClusterSettings((server.url,), "gw1", lease_s=LEASE_S), {"north": starting}, "1.0", clock)
    running = asyncio.create_task(one.run(joined.set))
    await joined.wait()
    ours, theirs = text_wire_pair("CP1", "gateway", subprotocol="ocpp2.1")
    serving = asyncio.create_task(one.sites["north"].connections.serve(theirs, "CP1", 0))
    await ours.send("a message")
    try:
        await until(lambda: any(known.waiting and known.stations for known, _ in one.known()))
        await until(lambda: one.sites["north"].holder == "gw1")
        yield one
    finally:
        await ours.close()
        await asyncio.wait({serving})
        starting.given_up.set()
        await until(lambda: one.sites["north"].failure == "given up")
        running.cancel()
        await asyncio.wait({running})


async def test_lag_as_an_instance_and_the_command_show_it(
    server: Nats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node, "PRESENCE_EVERY_S", 0.1)
    clock = Clock()
    async with instance(server, clock) as one:
        shown = status.seen_by(one)
        assert (shown.seen_by, shown.stations, shown.in_order) == ("gw1", 1, True)
        (row,), (site,) = shown.instances, shown.sites
        assert (row.instance, row.present, row.connections, row.waiting) == ("gw1", True, 1, 1)
        assert row.seen_s < ABSENT_AFTER_S
        assert (site.site, site.holder, site.stations, site.term > 0) == ("north", "gw1", 1, True)
        assert site.lease_age_s is not None
        assert site.lease_age_s < LEASE_S
        figures = metrics.text(one)
        assert '\nv2x_cluster_lease_age_seconds{site="north"} ' in figures
        assert '\nv2x_cluster_beat_age_seconds{instance="gw1"} ' in figures

        config = tmp_path / "gateway.toml"
        config.write_text(
            f'[site]\nid = "north"\n[store]\nurl = "postgresql://v2x@db/v2x"\n[mqtt]\nurl = "mqtt://127.0.0.1:9"\n'
            f'[cluster]\nservers = ["{server.url}"]\ninstance = "observer"\n'
        )
        command = ["cluster", "status", "-c", str(config)]
        done = await asyncio.to_thread(CliRunner().invoke, app, [*command, "--json"])
        assert done.exit_code == 0, done.output
        found = json.loads(done.stdout)
        assert found["seen_by"] == ""
        assert [one["waiting"] for one in found["instances"]] == [1]
        assert [0 <= one["lease_age_s"] < LEASE_S for one in found["sites"]] == [True]
        text = (await asyncio.to_thread(CliRunner().invoke, app, command)).stdout
        assert ", messages waiting: 1 (oldest " in text
        assert ", lease renewed " in text

        clock.ahead_s = LATER_S  # nothing has been seen meanwhile
        later: ClusterStatus = status.seen_by(one)
        assert (later.in_order, later.stations) == (False, 0)
        assert [(one.present, one.seen_s >= LATER_S) for one in later.instances] == [(False, True)]
        assert [(one.present, (one.lease_age_s or 0.0) >= LATER_S) for one in later.sites] == [(False, True)]
