"""A station that keeps saying no is asked with patience, and said to be so once; a pause that is over costs nothing."""

from __future__ import annotations

from itertools import pairwise

import pytest

from gateway.control.setpoint_controller import SetpointController
from gateway.model.site import SitePolicy
from gateway.model.station import Answer, Outcome
from tests.gateway.commands.rig import house

pytestmark = pytest.mark.virtual_time


async def test_a_session_that_ends_in_a_pause_leaves_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 0
    step = SetpointController.step

    async def counted(self: SetpointController) -> float | None:
        nonlocal steps
        steps += 1
        return await step(self)

    monkeypatch.setattr(SetpointController, "step", counted)
    async with house("CP1-1", policy=SitePolicy("home", idle_power_w=1000)) as home:
        home.stations.evses["CP1-1"].answers = [Outcome(Answer.REFUSED, "NotNow")]
        home.service.board.places["CP1-1"].sent_w = None
        home.service.board.places["CP1-1"].wake.set()
        await home.wait(0.1)
        home.stations.unplug("CP1-1")
        await home.wait(1)
        steps = 0
        await home.wait(10)
        assert steps <= 10


async def test_a_station_that_refuses_everything_is_told_of_once_and_asked_less_and_less() -> None:
    async with house("CP1-1") as home:
        evse = home.stations.evses["CP1-1"]
        await home.wait(2)
        evse.answers = [Outcome(Answer.REFUSED, "NotSupported")] * 1000
        evse.orders.clear()
        lines = len(await home.service.entries(limit=100_000))
        home.service.board.places["CP1-1"].sent_w = None
        home.service.board.places["CP1-1"].wake.set()
        await home.wait(600)
        assert home.heard.kinds().count("fault") == 1
        assert len(await home.service.entries(limit=100_000)) - lines < 10
        asked = [at for at, _, _ in evse.orders]
        assert [round(b - a) for a, b in pairwise(asked)][:5] == [2, 4, 8, 16, 32]
        assert 600 / 60 <= len(asked) <= 20  # and never given up
        evse.answers.clear()
        result = await home.send("CP1-1", "discharge", "a", power_w=5000, lease_s=60)  # does not wait for it
        assert result.status == "accepted"
        await home.wait(3)
        assert home.power("CP1-1") == -5000


async def test_while_power_flows_a_refused_0_w_is_asked_for_again_and_again() -> None:
    async with house("CP1-1") as home:
        evse = home.stations.evses["CP1-1"]
        await home.send("CP1-1", "charge", "a", power_w=5000, lease_s=60)
        await home.wait(3)
        evse.until = float("inf")  # the station holds what it holds
        evse.answers = [Outcome(Answer.REFUSED, "NotSupported")] * 20
        evse.orders.clear()
        await home.send("CP1-1", "stop", "s")
        await home.wait(60)
        assert len([power_w for _, power_w, _ in evse.orders if power_w == 0]) >= 20
        assert home.power("CP1-1") == 0
