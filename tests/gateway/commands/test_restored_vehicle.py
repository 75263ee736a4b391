"""Negotiated needs of a vehicle: reported once a session, restored after a restart, as the session continues."""

from __future__ import annotations

import copy
import logging
from pathlib import Path

import pytest

from gateway.control.negotiated_needs import KIND
from gateway.model.event import PlugChanged, PlugState, SessionEnded, SessionStarted
from gateway.model.journal import Kept
from gateway.store.sql import SqlStore
from gateway.store.store import MemoryStore, Store
from tests.gateway.commands.rig import ServiceRig, service_rig
from tests.rounds import rounds

pytestmark = pytest.mark.virtual_time


def continues(rig: ServiceRig, session: str) -> None:
    """The station reconnects and reports its running transaction, but not what the vehicle negotiated."""
    now = rig.clock.now()
    rig.stations.connect("CP1", "CP1-1")
    rig.stations.evses["CP1-1"].session = session
    rig.service.report(PlugChanged("CP1-1", now, PlugState.OCCUPIED))
    rig.service.report(SessionStarted("CP1-1", now, session, "CAR1"))


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_car_that_allowed_discharge_is_discharged_after_a_restart(kind: str, tmp_path: Path) -> None:
    memory = MemoryStore()

    def store() -> Store:
        return memory if kind == "memory" else SqlStore(f"sqlite:///{tmp_path}/v2x.db")

    async with service_rig("CP1-1", store=store()) as rig:
        await rig.wait(5)
    for life in ("second", "third"):
        async with service_rig(store=store()) as rig:
            continues(rig, "tx0")
            await rig.wait(1)
            state = rig.service.state("CP1-1")
            assert state is not None
            assert state.vehicle is not None
            assert state.vehicle.bidirectional
            answer = await rig.send("CP1-1", "discharge", life, power_w=5000, lease_s=30)
            assert (answer.status, answer.effective_w) == ("accepted", -5000)
            await rig.wait(5)
    async with service_rig(store=store()) as rig:
        continues(rig, "another session")
        await rig.wait(1)
        refused = await rig.send("CP1-1", "discharge", "unknown", power_w=5000)
        assert refused.reason.code == "charging_only"


async def kept(store: Store) -> list[str]:
    return [one.key for one in await store.kept(0) if one.kind == KIND]


async def test_after_thousands_of_renewals_and_a_kill_the_same_command_gets_the_same_answer() -> None:
    store = MemoryStore()
    async with service_rig("CP1-1", store=store) as rig:
        for number in range(rounds(1000, 3000)):
            before = await rig.send("CP1-1", "discharge", f"r{number}", power_w=1000, lease_s=30)
            assert before.status == "accepted"
            await rig.wait(1)
            rig.stations.evses["CP1-1"].soc_pct = 80.0
        await rig.journal.flush()
        killed = copy.deepcopy(store)  # as a kill leaves it: no lease has ended, no session either
    assert len(await store.entries(limit=10**6)) > rounds(3000, 10_000)
    async with service_rig(store=killed) as rig:
        continues(rig, "tx0")
        await rig.wait(1)
        answer = await rig.send("CP1-1", "discharge", "after", power_w=1000, lease_s=30)
        assert (answer.status, answer.effective_w, answer.binding) == (
            before.status,
            before.effective_w,
            before.binding,
        )
        state = rig.service.state("CP1-1")
        assert state is not None
        assert state.vehicle is not None
        assert state.vehicle.capacity_wh == 63_000


async def test_the_record_ends_with_the_session() -> None:
    store = MemoryStore()
    async with service_rig("CP1-1", "CP2-1", store=store) as rig:
        await rig.journal.flush()
        assert await kept(store) == ["CP1-1", "CP2-1"]
        rig.service.report(SessionEnded("CP1-1", rig.clock.now(), "tx0", "Local"))
        await rig.journal.flush()
        assert await kept(store) == ["CP2-1"]
    async with service_rig(store=store) as rig:
        rig.stations.connect("CP2", "CP2-1")
        rig.service.report(SessionStarted("CP2-1", rig.clock.now(), "another", "CAR2"))
        await rig.journal.flush()
        assert await kept(store) == []


async def test_a_record_that_cannot_be_read_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    await store.write([Kept(KIND, "CP1-1", '{"session": "tx0", "limits": {"max_charge_w": -1}}', 1.0)])
    with caplog.at_level(logging.WARNING):
        async with service_rig(store=store) as rig:
            continues(rig, "tx0")
            await rig.wait(1)
            refused = await rig.send("CP1-1", "discharge", "d", power_w=5000)
            assert refused.reason.code == "charging_only"
    assert "the vehicle at CP1-1 cannot be read" in caplog.text
