"""Commands that wait for the journal while another one acts: which one is in force afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from gateway.model.journal import Record, StoredCommand
from gateway.store.store import MemoryStore
from protocols.ports import Clock
from tests.gateway.commands.rig import ServiceRig, service_rig

pytestmark = pytest.mark.virtual_time


class SlowStore(MemoryStore):
    """Takes its time over every write."""

    clock: Clock | None = None
    delay_s = 0.2

    async def write(self, records: Sequence[Record]) -> None:
        if self.clock is not None:
            await self.clock.sleep(self.delay_s)
        await super().write(records)


class SilentStore(MemoryStore):
    """Answers no question about a command, once it is to be silent."""

    silent = False

    async def find_command(self, command_id: str) -> StoredCommand | None:
        if self.silent:
            await asyncio.get_running_loop().create_future()
        return await super().find_command(command_id)


@pytest.mark.parametrize(("evse", "verb"), [("CP1-1", "stop"), (None, "stop"), (None, "emergency_stop")])
async def test_a_stop_acts_though_the_store_does_not_answer(evse: str | None, verb: str) -> None:
    store = SilentStore()
    async with service_rig("CP1-1", store=store, known_ids=2) as rig:
        for number in range(3):
            await rig.send("CP1-1", "discharge", f"d{number}", power_w=5000, lease_s=60)
            await rig.wait(1)
        assert rig.power("CP1-1") == -5000
        store.silent = True
        began = rig.clock.now()
        assert (await rig.send(evse, verb, "s")).status == "accepted"
        assert rig.clock.now() - began < 1
        await rig.wait(1)
        assert rig.power("CP1-1") == 0


def slow(rig: ServiceRig, delay_s: float | None = None) -> SlowStore:
    """Let the store take its time from now on; return it."""
    store = rig.store
    assert isinstance(store, SlowStore)
    store.clock = rig.clock
    if delay_s is not None:
        store.delay_s = delay_s
    return store


@pytest.mark.parametrize("stop_at", ["CP1-1", None])
@pytest.mark.parametrize("power_at", ["CP1-1", None])
@pytest.mark.parametrize("gap_s", [0.0, 0.01, 0.19])
async def test_a_stop_is_not_undone_by_what_was_sent_before_it(
    power_at: str | None, stop_at: str | None, gap_s: float
) -> None:
    async with service_rig("CP1-1", store=SlowStore()) as rig:
        slow(rig)
        earlier = asyncio.create_task(rig.send(power_at, "discharge", "a", power_w=5000, lease_s=60))
        await rig.wait(gap_s)
        assert (await rig.send(stop_at, "stop", "s")).status == "accepted"
        assert (await earlier).status == "accepted"
        for _ in range(10):
            await rig.wait(1)
            assert rig.power("CP1-1") == 0
        assert (rig.published.final("a").status, rig.published.final("a").reason.code) == ("superseded", "superseded")
        assert rig.published.final("s").status == "achieved"
        assert not [one.id for one in await rig.store.in_force() if one.id == "a"]


@pytest.mark.parametrize(("verb", "body"), [("mode", {"mode": "price"}), ("backup", {"action": "enter"})])
async def test_a_mode_that_an_emergency_stop_overtakes_is_not_in_force(verb: str, body: dict[str, str]) -> None:
    async with service_rig("CP1-1", store=SlowStore()) as rig:
        slow(rig)
        earlier = asyncio.create_task(rig.send(None, verb, "m", **body))
        await rig.wait(0.01)
        assert (await rig.send(None, "emergency_stop", "e")).status == "accepted"
        assert (await earlier).status == "accepted"
        await rig.wait(1)
        assert (rig.published.final("m").status, rig.published.final("m").reason.code) == (
            "superseded",
            "emergency_stop",
        )
        assert not [one.id for one in await rig.store.in_force() if one.id == "m"]


@pytest.mark.parametrize("low_at", ["CP1-1", None])
@pytest.mark.parametrize("high_at", ["CP1-1", None])
async def test_a_lower_priority_in_the_same_moment_does_not_replace_a_higher_one(
    high_at: str | None, low_at: str | None
) -> None:
    async with service_rig("CP1-1", store=SlowStore()) as rig:
        slow(rig)
        await asyncio.gather(
            rig.send(high_at, "discharge", "high", power_w=5000, lease_s=60, priority=90),
            rig.send(low_at, "charge", "low", power_w=3000, lease_s=60, priority=10),
        )
        await rig.wait(5)
        assert rig.power("CP1-1") == -5000
        assert rig.published.final("low").status == "superseded"
        assert rig.published.final("high").status == "achieved"


async def test_a_command_to_the_site_keeps_the_evses_that_nothing_overtook() -> None:
    async with service_rig("CP1-1", "CP2-1", store=SlowStore()) as rig:
        slow(rig)
        site = asyncio.create_task(rig.send(None, "discharge", "a", power_w=8000, lease_s=60))
        await rig.wait(0.05)
        await rig.send("CP2-1", "stop", "s")
        await site
        await rig.wait(5)
        assert (rig.power("CP1-1"), rig.power("CP2-1")) == (-8000, 0)
        assert rig.published.final("a").status == "achieved"


async def test_a_release_ends_only_emergency_stops_that_were_active_when_it_was_sent() -> None:
    async with service_rig("CP1-1", store=SlowStore()) as rig:
        slow(rig)
        await rig.send(None, "emergency_stop", "e1")
        release = asyncio.create_task(rig.send(None, "release", "r"))
        await rig.wait(0.05)
        await rig.send(None, "emergency_stop", "e2")
        await release
        await rig.wait(1)
        assert rig.control.site.emergency_stop == "e2"
        await rig.send(None, "release", "r2")
        assert rig.control.site.emergency_stop is None


async def test_a_gateway_that_is_stopping_accepts_no_more_power() -> None:
    async with service_rig("CP1-1", store=SlowStore()) as rig:
        await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=60)
        await rig.wait(3)
        slow(rig)
        under_way = asyncio.create_task(rig.send("CP1-1", "discharge", "b", power_w=5000, lease_s=3600))
        await rig.wait(0.05)
        stopping = asyncio.create_task(rig.service.stop())
        await rig.wait(0.05)
        late = await rig.send("CP1-1", "discharge", "c", power_w=5000, lease_s=3600)
        assert (late.status, late.reason.code) == ("refused", "gateway_stopped")
        assert (await rig.send("CP1-1", "stop", "s")).status == "accepted"
        assert (await under_way).status == "accepted"
        await stopping
        assert rig.published.final("b").reason.code == "gateway_stopped"
        assert rig.power("CP1-1") == 0
        assert not [one.id for one in await rig.store.in_force() if one.id in "abc"]


async def test_the_lease_ends_at_the_time_in_the_result() -> None:
    async with service_rig("CP1-1", store=SlowStore()) as rig:
        slow(rig)
        begun, wall = rig.clock.now(), rig.clock.wall()
        result = await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=10)
        assert result.lease_until == pytest.approx(wall + 10)
        holding = rig.evse("CP1-1").command
        assert holding is not None
        assert holding.lease_until == pytest.approx(begun + 10)


async def test_a_write_that_ends_after_the_refusal_ends_the_command() -> None:
    async with service_rig("CP1-1", store=SlowStore()) as rig:
        store = slow(rig, 4.0)
        begun = rig.clock.now()
        result = await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=10)
        assert (result.status, result.reason.code) == ("refused", "journal_unavailable")
        assert rig.clock.now() - begun < 1.0
        store.delay_s = 0.0
        await rig.wait(10)
        assert rig.power("CP1-1") == 0
        assert (rig.published.final("a").status, rig.published.final("a").reason.code) == (
            "failed",
            "journal_unavailable",
        )
        assert await rig.store.in_force() == []
        again = await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=10)
        assert again.status == "failed"


async def test_copies_of_a_command_get_the_refusal_while_its_write_is_under_way() -> None:
    async with service_rig("CP1-1", store=SlowStore(), evse_rate_per_s=1000.0) as rig:
        slow(rig, 4.0)
        found = []
        for _ in range(40):  # the command is written after 4 s, its end after 8 s
            result = await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=60)
            found.append((result.status.value, result.reason.code.value))
            await rig.wait(0.3)
        assert set(found) == {("refused", "journal_unavailable"), ("failed", "journal_unavailable")}
        assert found == sorted(found, reverse=True)  # the final result comes last, and stays
        assert rig.power("CP1-1") == 0


async def test_a_stop_with_the_id_of_a_command_whose_write_is_under_way_acts() -> None:
    async with service_rig("CP1-1", store=SlowStore()) as rig:
        await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=60)
        await rig.wait(3)
        store = slow(rig, 4.0)
        assert (await rig.send("CP1-1", "discharge", "b", power_w=3000, lease_s=60)).status == "refused"
        assert (await rig.send("CP1-1", "stop", "b")).status == "accepted"
        await rig.wait(3)
        assert rig.power("CP1-1") == 0
        store.delay_s = 0.0
        await rig.wait(15)
        assert rig.power("CP1-1") == 0
        assert [one.verb for one in await rig.store.in_force()] == ["stop"]


async def test_a_stop_whose_write_takes_long_is_written_once() -> None:
    async with service_rig("CP1-1", store=SlowStore()) as rig:
        await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=60)
        await rig.wait(3)
        store = slow(rig, 4.0)
        begun = rig.clock.now()
        assert (await rig.send("CP1-1", "stop", "s")).status == "accepted"
        assert rig.clock.now() - begun < 1.0
        store.delay_s = 0.0
        await rig.wait(15)
        assert rig.power("CP1-1") == 0
        assert rig.published.statuses("s") == ["accepted", "achieved"]
        steps = [entry.step.value for entry in await rig.service.entries(command="s")]
        assert steps.count("journalled") == 1
        assert rig.journal.dropped == 0
        assert [one.id for one in await rig.store.in_force()] == ["s"]


async def test_a_duplicate_of_a_command_rejected_before_storage_is_answered() -> None:
    async with service_rig("CP1-1", store=SlowStore()) as rig:
        store = slow(rig, 30)
        both = [asyncio.create_task(rig.send("CP1-1", "discharge", "a", power_w=5000)) for _ in range(2)]
        assert {(await one).reason.code for one in both} == {"journal_unavailable"}
        assert [result.id for result, _ in rig.published.results] == ["a", "a"]
        store.delay_s = 0
