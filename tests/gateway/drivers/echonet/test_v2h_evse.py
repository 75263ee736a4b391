"""A V2H box as an EVSE: orders in their order and read back, events, what a box cannot do."""

from __future__ import annotations

import pytest

from gateway.model import event as model
from gateway.model.event import PlugState
from gateway.model.station import Answer
from protocols.echonet.frames import Esv
from tests.gateway.drivers.echonet.bench import bench

pytestmark = pytest.mark.virtual_time


async def test_a_discharge_is_method_power_and_mode_each_read_back() -> None:
    async with bench() as one:
        before = len(one.sent())
        assert (await one.evse.set_power("BAY", -2500.0, 15.0)).answer is Answer.APPLIED
        asked = [(frame.esv, [p.epc for p in frame.properties]) for _, frame in one.sent()[before:]]
        assert asked == [
            (Esv.SETC, [0xDD]),
            (Esv.SETC, [0xEC]),
            (Esv.GET, [0xDD, 0xEC]),
            (Esv.SETC, [0xDA]),
            (Esv.GET, [0xDA]),
        ]
        await one.clock.sleep(5)
        assert one.power_w == pytest.approx(-2500, abs=30)
        metered = one.of(model.Metered)[-1]
        assert metered.power_w == pytest.approx(-2500, abs=30)
        assert metered.soc_pct == 60
        assert (await one.evse.set_power("BAY", 0.0, 15.0)).answer is Answer.APPLIED
        assert one.mode == "standby"
        assert one.most_pending() == 1


async def test_the_session_is_that_of_the_vehicle() -> None:
    async with bench(plugged=False) as one:
        assert one.of(model.PlugChanged)[-1].state is PlugState.AVAILABLE
        assert not one.of(model.SessionStarted)
        one.box.connect(one.pack, one.clock.now())
        await one.until("a session", lambda: one.of(model.SessionStarted))
        assert one.of(model.NeedsStated)[-1].needs.bidirectional
        assert one.of(model.VehicleIdentified)[-1].vehicle == "EMULATED-1"
        one.box.disconnect(one.clock.now())
        await one.until("the end of the session", lambda: one.of(model.SessionEnded))
