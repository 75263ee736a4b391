"""A station tells what a car can do once a session; the session outlives the gateway, and so must the knowledge."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.model.event import PlugChanged, PlugState, SessionStarted
from gateway.store.memory import MemoryStore
from gateway.store.ports import Store
from gateway.store.sql import SqlStore
from tests.gateway.commands.rig import House, house

pytestmark = pytest.mark.virtual_time


def goes_on(home: House, session: str) -> None:
    """The station is back and reports its running transaction, but not again what the car said."""
    now = home.clock.now()
    home.stations.connect("CP1", "CP1-1")
    home.stations.evses["CP1-1"].session = session
    home.service.report(PlugChanged("CP1-1", now, PlugState.OCCUPIED))
    home.service.report(SessionStarted("CP1-1", now, session, "CAR1"))


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_car_that_could_discharge_still_can_after_a_restart(kind: str, tmp_path: Path) -> None:
    memory = MemoryStore()

    def store() -> Store:
        return memory if kind == "memory" else SqlStore(f"sqlite:///{tmp_path}/v2x.db")

    async with house("CP1-1", store=store()) as home:
        await home.wait(5)
    for life in ("second", "third"):
        async with house(store=store()) as home:
            goes_on(home, "tx0")
            await home.wait(1)
            state = home.service.state("CP1-1")
            assert state is not None
            assert state.vehicle is not None
            assert state.vehicle.bidirectional
            answer = await home.send("CP1-1", "discharge", life, power_w=5000, lease_s=30)
            assert (answer.status, answer.effective_w) == ("accepted", -5000)
            await home.wait(5)
    async with house(store=store()) as home:
        goes_on(home, "another session")
        await home.wait(1)
        refused = await home.send("CP1-1", "discharge", "stranger", power_w=5000)
        assert refused.reason.code == "charging_only"
