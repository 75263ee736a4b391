"""What needs a person's next command: discharge in manual mode, and everything after an emergency stop."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.energy.settings import EnergySection
from gateway.model.command import SiteMode
from gateway.model.moment import rfc3339
from gateway.model.site import SitePolicy
from gateway.store.store import MemoryStore
from tests.gateway.commands.rig import ServiceRig, service_rig

pytestmark = pytest.mark.virtual_time

SECTION = EnergySection(contract_w=100_000)
MODES = ("peak_shaving", "self_consumption", "price", "grid_service")


async def live(rig: ServiceRig, seconds: int, load_w: float) -> None:
    for _ in range(seconds):
        body: dict[str, Any] = {"present": True, "power_w": load_w + rig.power("CP1-1")}
        payload = json.dumps({"ts": rfc3339(rig.clock.wall()), **body}).encode()
        assert rig.service.input("grid", payload) is None
        rig.energy_service.step()
        await rig.wait(1.0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("limit", ["import", "peak"])
async def test_manual_mode_does_not_discharge_for_a_limit_that_binds(mode: str, limit: str) -> None:
    policy = SitePolicy("home", import_limit_w=5000.0 if limit == "import" else None)
    async with service_rig("CP1-1", energy=SECTION, policy=policy) as rig:
        if limit == "peak":
            await rig.send(None, "peak_limit", "p", import_w=5000)
        await rig.send(None, "mode", "m", mode=mode)
        await live(rig, 30, 9000.0)
        assert rig.power("CP1-1") <= -3500
        await rig.send(None, "mode", "n", mode="manual")
        await live(rig, 30, 9000.0)
        assert rig.power("CP1-1") == 0
        told = [event.text for event in rig.published.events if event.code == f"bound_by_{limit}_limit"]
        assert "without a command" in told[-1]
        await live(rig, 60, 9000.0)
        assert rig.power("CP1-1") == 0
        await rig.send("CP1-1", "discharge", "d", power_w=2000, lease_s=30)
        await live(rig, 5, 9000.0)
        assert rig.power("CP1-1") == -2000


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("configured", [False, True])
async def test_the_release_of_an_emergency_stop_resumes_nothing(mode: str, restarts: bool, configured: bool) -> None:
    """Whether the mode was commanded or configured, and also after a restart: the next command is a person's."""
    policy = SitePolicy("home", import_limit_w=5000.0, mode=SiteMode(mode) if configured else SiteMode.MANUAL)
    store = MemoryStore()
    async with service_rig("CP1-1", energy=SECTION, policy=policy, store=store) as rig:
        if not configured:
            await rig.send(None, "mode", "m", mode=mode)
        await live(rig, 20, 9000.0)
        assert rig.power("CP1-1") <= -3500
        await rig.send(None, "emergency_stop", "e")
        await live(rig, 5, 9000.0)
        await rig.send(None, "release", "r")
        await live(rig, 30, 9000.0)
        assert rig.power("CP1-1") == 0
        assert rig.service.site_state().mode == "manual"
        [text] = [event.text for event in rig.published.events if "emergency stop is over" in event.text]
        assert "next command" in text
        if not restarts:
            await rig.send(None, "mode", "n", mode=mode)
            await live(rig, 30, 9000.0)
            assert rig.power("CP1-1") <= -3500
        await rig.journal.flush()
    async with service_rig("CP1-1", energy=SECTION, policy=policy, store=store) as rig:
        await live(rig, 30, 9000.0)
        assert (rig.power("CP1-1") == 0) is restarts


async def test_a_clamped_command_gets_more_when_the_limit_leaves_more() -> None:
    policy = SitePolicy("home", import_limit_w=10_000.0)
    async with service_rig("CP1-1", policy=policy) as rig:
        await live(rig, 3, 8000.0)
        result = await rig.send("CP1-1", "charge", "c", power_w=6000, lease_s=120)
        assert (result.status, result.effective_w) == ("clamped", 2000.0)
        await live(rig, 10, 8000.0)
        await live(rig, 10, 1000.0)
        assert rig.power("CP1-1") == 6000
