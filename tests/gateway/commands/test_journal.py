"""The journal: its entries, a store that cannot be written, and recovery after a restart."""

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
from gateway.store.sql import SqlStore
from gateway.store.store import MemoryStore, StoreError
from tests.gateway.commands.rig import service_rig

pytestmark = pytest.mark.virtual_time


class BreakingStore(MemoryStore):
    """Journal that fails on request."""

    trouble = ""

    async def write(self, records: Sequence[Record]) -> None:
        if self.trouble:
            raise StoreError(self.trouble)
        await super().write(records)


async def test_a_journal_that_cannot_be_written_refuses_power_and_still_takes_a_stop() -> None:
    store = BreakingStore()
    async with service_rig("CP1-1", store=store) as rig:
        await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=60)
        await rig.wait(2)
        store.trouble = "the disk is full"
        refused = await rig.send("CP1-1", "charge", "b", power_w=5000)
        assert (refused.status, refused.reason.code) == ("refused", "journal_unavailable")
        assert "the disk is full" in refused.reason.text
        assert rig.power("CP1-1") == -5000
        assert "journal" in rig.published.kinds()
        assert (await rig.send("CP1-1", "stop", "s")).status == "accepted"
        await rig.wait(3)
        assert rig.power("CP1-1") == 0
        assert rig.published.statuses("s") == ["accepted", "achieved"]
        store.trouble = ""
        await rig.wait(10)
        assert (await rig.send("CP1-1", "charge", "b", power_w=5000)).status == "accepted"  # the id was left free
        await rig.journal.flush()
        steps = [entry.step.value for entry in await rig.service.entries(command="s")]
        assert steps.count("journalled") == 1  # written when it could be
        assert [entry.cause for entry in await rig.service.entries(command="a")][-1] == "superseded"


async def test_a_locked_database_is_answered_within_a_second(tmp_path: Path) -> None:
    path = tmp_path / "v2x.db"
    async with service_rig("CP1-1", store=SqlStore(f"sqlite:///{path}")) as rig:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        begun = rig.clock.now()
        refused = await rig.send("CP1-1", "discharge", "a", power_w=5000)
        assert refused.reason.code == "journal_unavailable"
        assert rig.clock.now() - begun < 1.0
        assert rig.power("CP1-1") == 0
        other.execute("ROLLBACK")
        other.close()
        await rig.wait(10)
        assert (await rig.send("CP1-1", "discharge", "a", power_w=5000)).status == "accepted"


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


async def test_a_full_disk_rejects_commands_and_loses_no_accepted_one(tmp_path: Path) -> None:
    path = tmp_path / "store" / "v2x.db"
    path.parent.mkdir()
    store = SqlStore(f"sqlite:///{path}")
    async with service_rig("CP1-1", store=store, evse_rate_per_s=1000.0) as rig:
        assert (await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=10)).status == "accepted"
        await rig.journal.flush()
        with disk_full(path):
            codes = {(await rig.send("CP1-1", "discharge", f"b{n}", power_w=5000)).reason.code.value for n in range(5)}
            assert codes == {"journal_unavailable"}
            await rig.wait(20)
            assert rig.power("CP1-1") == 0
            assert rig.published.statuses("a") == ["accepted"]  # a final result is durable before it is published
            killed = await store.find_command("a")
            assert killed is not None
            assert killed.final is None  # after a kill here it would be `failed` with `gateway_restarted`
        await rig.wait(10)
        await rig.journal.flush()
        assert rig.published.statuses("a") == ["accepted", "achieved"]
        stored = await store.find_command("a")
        assert stored is not None
        assert stored.final is not None
        assert not stored.in_force


async def test_a_restart_ends_leased_commands_and_restores_lasting_ones() -> None:
    store = MemoryStore()
    async with service_rig("CP1-1", "CP2-1", "CP3-1", store=store) as rig:
        await rig.send("CP1-1", "discharge", "leased", power_w=5000, lease_s=3600)
        await rig.send(None, "emergency_stop", "halt")
        await rig.send(None, "release", "free")
        await rig.send("CP2-1", "reserve", "kept", min_soc_pct=90)
        await rig.send("CP2-1", "stop", "stopped")
        await rig.send(None, "peak_limit", "peak", import_w=4000)
        await rig.send("CP1-1", "discharge", "leased2", power_w=5000, lease_s=3600)
        begin = rig.clock.wall() + 600
        periods = [{"start": begin, "duration_s": 600, "power_w": 2000}]
        await rig.send("CP3-1", "schedule", "plan", periods=periods)
    async with service_rig("CP1-1", "CP2-1", "CP3-1", store=store, policy=SitePolicy("home")) as rig:
        final = rig.published.final("leased2")
        assert (final.status, final.reason.code) == ("failed", "gateway_restarted")
        assert rig.power("CP1-1") == 0
        again = await rig.send("CP1-1", "discharge", "leased2", power_w=5000, lease_s=3600)
        assert again == final
        assert (await rig.send("CP2-1", "discharge", "x", power_w=5000)).reason.code == "below_floor"
        state = rig.service.state("CP2-1")
        assert state is not None
        assert state.command is not None
        assert state.command.verb == "stop"
        assert rig.service.site_state().peak_limit_w == 4000
        assert not rig.service.site_state().emergency_stop
        await rig.wait(700)
        assert rig.power("CP3-1") == 2000
        await rig.send("CP2-1", "reserve", "kept2", min_soc_pct=0)
    async with service_rig("CP2-1", store=store) as rig:
        assert (await rig.send("CP2-1", "discharge", "y", power_w=5000)).status == "accepted"


async def test_an_emergency_stop_is_in_force_after_a_restart() -> None:
    store = MemoryStore()
    async with service_rig("CP1-1", store=store) as rig:
        await rig.send(None, "emergency_stop", "stop")
    async with service_rig("CP1-1", store=store) as rig:
        assert (await rig.send("CP1-1", "charge", "a", power_w=1000)).reason.code == "emergency_stop"
        assert rig.service.site_state().emergency_stop


async def test_a_result_that_was_not_acknowledged_is_published_again() -> None:
    store = MemoryStore()
    async with service_rig("CP1-1", store=store) as rig:
        await rig.send("CP1-1", "reserve", "a", min_soc_pct=50)
        await rig.wait(1)
    async with service_rig("CP1-1", store=store) as rig:
        assert rig.published.statuses("a") == ["accepted", "achieved"]
        for _, phase in rig.published.results:
            assert phase is not None
            rig.service.delivered("a", phase)
        await rig.wait(1)
    async with service_rig("CP1-1", store=store) as rig:
        assert rig.published.statuses("a") == []


async def test_an_orderly_stop_ramps_to_0_w_and_gives_every_command_its_result() -> None:
    async with service_rig("CP1-1") as rig:
        await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=3600)
        await rig.wait(0.1)
        await rig.service.stop()
        assert rig.power("CP1-1") == 0
        assert rig.published.final("a").reason.code in ("gateway_stopped", "seen_on_meter")


async def test_many_commands_share_transactions(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path / 'v2x.db'}")
    writes: list[int] = []
    write = store.write

    async def counted(records: Sequence[Record]) -> None:
        writes.append(len(records))
        await write(records)

    store.write = counted  # type: ignore[method-assign]
    async with service_rig("CP1-1", store=store, evse_rate_per_s=1e6) as rig:
        before = len(writes)
        await asyncio.gather(*(rig.send("CP1-1", "discharge", f"c{n}", power_w=5000) for n in range(200)))
        assert len(writes) - before < 40  # and not 200 and more
        stored = await store.recent_commands(1000)
        assert len(stored) == 200


async def test_telemetry_is_kept_in_batches_and_only_where_something_was_measured(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path / 'v2x.db'}")
    async with service_rig("CP1-1", store=store, telemetry_every_s=5.0) as rig:
        rig.stations.connect("CP2", "CP2-1")
        begun = rig.clock.wall()
        await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=60)
        await rig.wait(120)
        samples = await store.samples("CP1-1", begun, begun + 120)
        assert 15 <= len(samples) <= 24
        assert {sample.power_w for sample in samples} == {-5000.0, 0.0}
        assert await store.samples("CP2-1", 0, 1e12) == []


@pytest.mark.parametrize("evse", [None, "CP1-1"])
async def test_an_accepted_release_is_carried_out_after_a_crash(evse: str | None) -> None:
    left: dict[str, StoredCommand] = {}

    class CrashingStore(MemoryStore):
        async def write(self, records: Sequence[Record]) -> None:
            await super().write(records)
            if any(isinstance(one, CommandOpened) and one.id == "r" for one in records):
                left.update(
                    {one.id: copy(one) for one in reversed(await self.recent_commands(10))}
                )  # the power goes here

    async with service_rig("CP1-1", store=CrashingStore()) as rig:
        await rig.send(evse, "stop" if evse else "emergency_stop", "s")
        await rig.wait(1)
        assert (await rig.send(evse, "release", "r")).status == "accepted"
    store = MemoryStore()
    store._commands = left
    async with service_rig("CP1-1", store=store) as rig:
        await rig.wait(1)
        assert rig.control.site.emergency_stop is None
        assert rig.evse("CP1-1").command is None
        assert rig.published.final("r").status == "achieved"
        assert await store.in_force() == []


async def test_a_command_taken_over_waits_for_its_station() -> None:
    store = MemoryStore()
    async with service_rig("CP1-1", store=store) as rig:
        assert (await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=300)).status == "accepted"
    async with service_rig(store=store, takes_over=True) as rig:
        await rig.wait(20)
        assert rig.published.statuses("a") == ["accepted"]
        rig.stations.connect("CP1", "CP1-1")
        rig.stations.plug("CP1-1", "tx0")
        await rig.wait(10)
        assert rig.power("CP1-1") == -5000
