"""A station that keeps refusing is retried with a back-off and reported once."""

from __future__ import annotations

from itertools import pairwise

import pytest

from gateway.control.setpoint_controller import SetpointController
from gateway.model.site import SitePolicy
from gateway.model.station import Answer, Outcome
from tests.gateway.commands.rig import service_rig

pytestmark = pytest.mark.virtual_time


async def test_a_session_that_ends_in_a_pause_leaves_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 0
    step = SetpointController.step

    async def counted(self: SetpointController) -> float | None:
        nonlocal steps
        steps += 1
        return await step(self)

    monkeypatch.setattr(SetpointController, "step", counted)
    async with service_rig("CP1-1", policy=SitePolicy("home", idle_power_w=1000)) as rig:
        rig.stations.evses["CP1-1"].answers = [Outcome(Answer.REFUSED, "NotNow")]
        rig.evse("CP1-1").setpoint.sent_w = None
        rig.evse("CP1-1").wake.set()
        await rig.wait(0.1)
        rig.stations.unplug("CP1-1")
        await rig.wait(1)
        steps = 0
        await rig.wait(10)
        assert steps <= 10


async def test_a_station_that_refuses_everything_is_reported_once_and_retried_less_and_less_often() -> None:
    async with service_rig("CP1-1") as rig:
        evse = rig.stations.evses["CP1-1"]
        await rig.wait(2)
        evse.answers = [Outcome(Answer.REFUSED, "NotSupported")] * 1000
        evse.orders.clear()
        lines = len(await rig.service.entries(limit=100_000))
        rig.evse("CP1-1").setpoint.sent_w = None
        rig.evse("CP1-1").wake.set()
        await rig.wait(600)
        assert rig.published.kinds().count("fault") == 1
        assert len(await rig.service.entries(limit=100_000)) - lines < 10
        sent_at = [at for at, _, _ in evse.orders]
        assert [round(b - a) for a, b in pairwise(sent_at)][:5] == [2, 4, 8, 16, 32]
        assert 600 / 60 <= len(sent_at) <= 20  # and never given up
        evse.answers.clear()
        result = await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=60)  # does not wait for it
        assert result.status == "accepted"
        await rig.wait(3)
        assert rig.power("CP1-1") == -5000


async def test_while_power_flows_a_refused_0_w_is_repeated_without_back_off() -> None:
    async with service_rig("CP1-1") as rig:
        evse = rig.stations.evses["CP1-1"]
        await rig.send("CP1-1", "charge", "a", power_w=5000, lease_s=60)
        await rig.wait(3)
        evse.until = float("inf")  # the station holds what it holds
        evse.answers = [Outcome(Answer.REFUSED, "NotSupported")] * 20
        evse.orders.clear()
        await rig.send("CP1-1", "stop", "s")
        await rig.wait(60)
        assert len([power_w for _, power_w, _ in evse.orders if power_w == 0]) >= 20
        assert rig.power("CP1-1") == 0
