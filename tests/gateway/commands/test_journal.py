"""The journal: what stands in it, what happens when it cannot be written, and what a second life makes of it."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path

import pytest

from gateway.model.journal import CommandOpened, Record, StoredCommand
from gateway.model.site import SitePolicy
from gateway.store.memory import MemoryStore
from gateway.store.ports import StoreError
from gateway.store.sql import SqlStore
from tests.gateway.commands.rig import house

pytestmark = pytest.mark.virtual_time


class BreakingStore(MemoryStore):
    """Fails while it is told to."""

    trouble = ""

    async def write(self, records: Sequence[Record]) -> None:
        if self.trouble:
            raise StoreError(self.trouble)
        await super().write(records)


async def test_a_journal_that_cannot_be_written_refuses_power_and_still_takes_a_stop() -> None:
    store = BreakingStore()
    async with house("CP1-1", store=store) as home:
        await home.send("CP1-1", "discharge", "a", power_w=5000, lease_s=60)
        await home.wait(2)
        store.trouble = "the disk is full"
        refused = await home.send("CP1-1", "charge", "b", power_w=5000)
        assert (refused.status, refused.reason.code) == ("refused", "journal_unavailable")
        assert "the disk is full" in refused.reason.text
        assert home.power("CP1-1") == -5000
        assert "journal" in home.heard.kinds()
        assert (await home.send("CP1-1", "stop", "s")).status == "accepted"
        await home.wait(3)
        assert home.power("CP1-1") == 0
        assert home.heard.statuses("s") == ["accepted", "achieved"]
        store.trouble = ""
        await home.wait(10)
        assert (await home.send("CP1-1", "charge", "b", power_w=5000)).status == "accepted"  # the id was left free
        await home.service.journal.flush()
        steps = [entry.step.value for entry in await home.service.entries(command="s")]
        assert steps.count("journalled") == 1  # written when it could be
        assert [entry.cause for entry in await home.service.entries(command="a")][-1] == "superseded"


async def test_a_locked_database_is_answered_within_a_second(tmp_path: Path) -> None:
    path = tmp_path / "v2x.db"
    async with house("CP1-1", store=SqlStore(f"sqlite:///{path}")) as home:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        begun = home.clock.now()
        refused = await home.send("CP1-1", "discharge", "a", power_w=5000)
        assert refused.reason.code == "journal_unavailable"
        assert home.clock.now() - begun < 1.0
        assert home.power("CP1-1") == 0
        other.execute("ROLLBACK")
        other.close()
        await home.wait(10)
        assert (await home.send("CP1-1", "discharge", "a", power_w=5000)).status == "accepted"


@contextmanager
def disk_full(path: Path) -> Iterator[None]:
    """No file of this process may grow beyond what the database's log has now: SQLite sees a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = max(one.stat().st_size for one in path.parent.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_refuses_commands_and_loses_none_that_was_accepted(tmp_path: Path) -> None:
    path = tmp_path / "store" / "v2x.db"
    path.parent.mkdir()
    store = SqlStore(f"sqlite:///{path}")
    async with house("CP1-1", store=store, evse_rate_per_s=1000.0) as home:
        assert (await home.send("CP1-1", "discharge", "a", power_w=5000, lease_s=10)).status == "accepted"
        await home.service.journal.flush()
        with disk_full(path):
            codes = {(await home.send("CP1-1", "discharge", f"b{n}", power_w=5000)).reason.code.value for n in range(5)}
            assert codes == {"journal_unavailable"}
            await home.wait(20)
            assert home.power("CP1-1") == 0
            assert home.heard.statuses("a") == ["accepted", "achieved"]
        await home.wait(10)
        await home.service.journal.flush()
        stored = await store.find_command("a")
        assert stored is not None
        assert stored.final is not None
        assert not stored.in_force


async def test_a_second_life_ends_what_was_leased_and_keeps_what_lasts() -> None:
    store = MemoryStore()
    async with house("CP1-1", "CP2-1", "CP3-1", store=store) as home:
        await home.send("CP1-1", "discharge", "leased", power_w=5000, lease_s=3600)
        await home.send(None, "emergency_stop", "halt")
        await home.send(None, "release", "free")
        await home.send("CP2-1", "reserve", "kept", min_soc_pct=90)
        await home.send("CP2-1", "stop", "stopped")
        await home.send(None, "peak_limit", "peak", import_w=4000)
        await home.send("CP1-1", "discharge", "leased2", power_w=5000, lease_s=3600)
        begin = home.clock.wall() + 600
        periods = [{"start": begin, "duration_s": 600, "power_w": 2000}]
        await home.send("CP3-1", "schedule", "plan", periods=periods)
    async with house("CP1-1", "CP2-1", "CP3-1", store=store, policy=SitePolicy("home")) as home:
        final = home.heard.final("leased2")
        assert (final.status, final.reason.code) == ("failed", "gateway_restarted")
        assert home.power("CP1-1") == 0
        again = await home.send("CP1-1", "discharge", "leased2", power_w=5000, lease_s=3600)
        assert again == final
        assert (await home.send("CP2-1", "discharge", "x", power_w=5000)).reason.code == "below_floor"
        state = home.service.state("CP2-1")
        assert state is not None
        assert state.command is not None
        assert state.command.verb == "stop"
        assert home.service.site_state().peak_limit_w == 4000
        assert not home.service.site_state().emergency_stop
        await home.wait(700)
        assert home.power("CP3-1") == 2000
        await home.send("CP2-1", "reserve", "kept2", min_soc_pct=0)
    async with house("CP2-1", store=store) as home:
        assert (await home.send("CP2-1", "discharge", "y", power_w=5000)).status == "accepted"


async def test_an_emergency_stop_outlives_the_gateway() -> None:
    store = MemoryStore()
    async with house("CP1-1", store=store) as home:
        await home.send(None, "emergency_stop", "stop")
    async with house("CP1-1", store=store) as home:
        assert (await home.send("CP1-1", "charge", "a", power_w=1000)).reason.code == "emergency_stop"
        assert home.service.site_state().emergency_stop


async def test_a_result_nobody_acknowledged_is_told_again() -> None:
    store = MemoryStore()
    async with house("CP1-1", store=store) as home:
        await home.send("CP1-1", "reserve", "a", min_soc_pct=50)
        await home.wait(1)
    async with house("CP1-1", store=store) as home:
        assert home.heard.statuses("a") == ["achieved"]
        for _, phase in home.heard.results:
            assert phase is not None
            home.service.delivered("a", phase)
        await home.wait(1)
    async with house("CP1-1", store=store) as home:
        assert home.heard.statuses("a") == []


async def test_an_orderly_stop_walks_to_0_w_and_gives_every_command_its_result() -> None:
    async with house("CP1-1") as home:
        await home.send("CP1-1", "discharge", "a", power_w=5000, lease_s=3600)
        await home.wait(0.1)
        await home.service.stop()
        assert home.power("CP1-1") == 0
        assert home.heard.final("a").reason.code in ("gateway_stopped", "seen_on_meter")


async def test_many_commands_share_transactions(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path / 'v2x.db'}")
    writes: list[int] = []
    write = store.write

    async def counted(records: Sequence[Record]) -> None:
        writes.append(len(records))
        await write(records)

    store.write = counted  # type: ignore[method-assign]
    async with house("CP1-1", store=store, evse_rate_per_s=1e6) as home:
        before = len(writes)
        await asyncio.gather(*(home.send("CP1-1", "discharge", f"c{n}", power_w=5000) for n in range(200)))
        assert len(writes) - before < 40  # and not 200 and more
        stored = await store.recent_commands(1000)
        assert len(stored) == 200


async def test_telemetry_is_kept_in_batches_and_only_where_something_was_measured(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path / 'v2x.db'}")
    async with house("CP1-1", store=store, telemetry_every_s=5.0) as home:
        home.stations.connect("CP2", "CP2-1")
        begun = home.clock.wall()
        await home.send("CP1-1", "discharge", "a", power_w=5000, lease_s=60)
        await home.wait(120)
        samples = await store.samples("CP1-1", begun, begun + 120)
        assert 15 <= len(samples) <= 24
        assert {sample.power_w for sample in samples} == {-5000.0, 0.0}
        assert await store.samples("CP2-1", 0, 1e12) == []


@pytest.mark.parametrize("evse", [None, "CP1-1"])
async def test_an_accepted_release_outlives_a_crash(evse: str | None) -> None:
    left: dict[str, StoredCommand] = {}

    class CrashingStore(MemoryStore):
        async def write(self, records: Sequence[Record]) -> None:
            await super().write(records)
            if any(isinstance(one, CommandOpened) and one.id == "r" for one in records):
                left.update(
                    {one.id: copy(one) for one in reversed(await self.recent_commands(10))}
                )  # the power goes here

    async with house("CP1-1", store=CrashingStore()) as home:
        await home.send(evse, "stop" if evse else "emergency_stop", "s")
        await home.wait(1)
        assert (await home.send(evse, "release", "r")).status == "accepted"
    store = MemoryStore()
    store._commands = left
    async with house("CP1-1", store=store) as home:
        await home.wait(1)
        assert home.service.board.site.emergency_stop is None
        assert home.service.board.places["CP1-1"].holding is None
        assert home.heard.final("r").status == "achieved"
        assert await store.in_force() == []
