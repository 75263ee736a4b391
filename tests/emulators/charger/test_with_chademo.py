"""From gateway to battery in virtual time: OCPP 2.1 to the station, CHAdeMO on a CAN bus from there to a LEAF."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from emulators.charger.hardware.power_stage import PowerStage
from emulators.charger.station.chademo_post import StationPost
from emulators.charger.station.chademo_power_path import ChademoPowerPath
from emulators.charger.station.run import Options, make
from emulators.ev.car import Car
from emulators.ev.chademo import ChademoEv
from emulators.ev.profile import load
from emulators.runtime import candump
from emulators.runtime.clock import VirtualClock
from emulators.runtime.memory_can import MemoryCan
from emulators.runtime.recorded_can import FrameTools
from gateway.cli.chademo_report import observed
from gateway.csms.settings import CsmsSettings, StationSettings, UnknownTokens
from gateway.model.event import (
    NeedsStated,
    PlugChanged,
    PlugState,
    SessionEnded,
    SessionStarted,
    VehicleDescribed,
)
from gateway.model.station import Answer
from protocols.chademo.states import ChargerState
from tests.emulators.charger.station_rig import Rig

pytestmark = pytest.mark.virtual_time


class Leaf:
    """A station with its plug, and a LEAF that can be plugged in."""

    def __init__(self, rig: Rig, path: ChademoPowerPath, bus: MemoryCan, soc_pct: float) -> None:
        self.rig, self.path, self._bus = rig, path, bus
        self.car = Car(load("leaf-40"), soc_pct)
        self._running: asyncio.Future[None] | None = None

    def plug(self) -> ChademoEv:
        ev = ChademoEv(self.car, self._bus.port(), self.rig.clock)
        self._running = asyncio.ensure_future(ev.run())
        return ev

    async def unplug(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)


@asynccontextmanager
async def rig_with_leaf(soc_pct: float = 60.0, log: Path | None = None) -> AsyncIterator[Leaf]:
    clock, bus = VirtualClock(), MemoryCan()
    path = ChademoPowerPath(PowerStage())
    known = StationSettings("CP1", max_charge_w=10_000.0, max_discharge_w=10_000.0)
    rig = Rig(settings=CsmsSettings(stations=(known,), unknown_tokens=UnknownTokens.ACCEPT), power_paths=[path])
    tools = FrameTools(log, None)
    async with rig:
        running = asyncio.ensure_future(StationPost(path, tools.wrap(bus.port(), clock.wall), clock).run())
        leaf = Leaf(rig, path, bus, soc_pct)
        try:
            yield leaf
        finally:
            await leaf.unplug()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            tools.close()


async def in_power(leaf: Leaf) -> None:
    await leaf.rig.until(lambda: leaf.path.engine.state is ChargerState.POWER)
    await leaf.rig.until(lambda: leaf.rig.csms.context.transactions.active_at("CP1", 1) is not None)
    await leaf.rig.sleep(2)


async def test_a_discharge_from_the_gateway_to_the_leaf(tmp_path: Path) -> None:
    log = tmp_path / "session.log"
    async with rig_with_leaf(log=log) as leaf:
        rig, car = leaf.rig, leaf.car
        ev = leaf.plug()
        await in_power(leaf)
        assert len(rig.of(SessionStarted)) == 1
        needs = rig.of(NeedsStated)[-1].needs
        assert (needs.energy_transfer, needs.control_mode, needs.bidirectional) == ("DC_BPT", "dynamic", True)
        assert (needs.target_energy_wh, needs.departure) == (None, None)
        assert (await rig.csms.set_power("CP1-1", -5000.0, 60.0)).answer is Answer.APPLIED
        await rig.sleep(30)
        assert rig.evse().reading.power_w == pytest.approx(-5000, rel=0.02)
        assert rig.evse().reading.soc_pct == 60
        meter = leaf.path.stage.meter
        assert car.energy_out_wh == pytest.approx(meter.true_discharged_wh + leaf.path.stage.loss_wh, rel=0.02)
        assert (await rig.csms.set_power("CP1-1", 4000.0, 60.0)).answer is Answer.APPLIED
        await rig.sleep(20)
        assert rig.evse().reading.power_w == pytest.approx(4000, rel=0.02)
        await rig.sleep(50)  # not refreshed
        assert rig.evse().reading.power_w == 0.0
        assert (await rig.csms.end_session("CP1-1")).answer is Answer.APPLIED
        await rig.sleep(10)
        assert ev.ended is not None
        assert ev.ended.text == "the charger stopped"
        assert rig.of(SessionEnded)[-1].reason == "Remote"
        await leaf.unplug()
        await rig.until(lambda: rig.of(PlugChanged)[-1].state is PlugState.AVAILABLE)
        assert rig.errors() == []
    (session,) = observed(candump.read(log)).sessions
    assert session.ended
    assert session.energy_out_wh > 35


async def test_connected_ev_states_the_vehicle_and_the_gateway_reads_it() -> None:
    async with rig_with_leaf() as leaf:
        rig = leaf.rig
        leaf.plug()
        await in_power(leaf)
        await rig.sleep(10)
        (described,) = rig.of(VehicleDescribed)
        assert (described.link, described.capacity_wh) == ("chademo", 38_800)
        assert await connected_ev(leaf) == {
            ("Available", "Actual"): "true",
            ("ProtocolAgreed", "Actual"): "CHAdeMO,2",
            ("VehicleId", "Actual"): "",
            ("DCVoltage", "Target"): "410",
            ("DCVoltage", "MaxSet"): "435",
            ("DCCurrent", "MinSet"): "6",
            ("EnergyImport", "MaxSet"): "38800",
            ("StateOfCharge", "MaxSet"): "100",
            ("StateOfCharge", "Actual"): "60",
        }
        await leaf.unplug()
        await rig.until(lambda: rig.of(PlugChanged)[-1].state is PlugState.AVAILABLE)
        after = await connected_ev(leaf)
        assert (after["Available", "Actual"], after["ProtocolAgreed", "Actual"]) == ("false", "")
        assert after["EnergyImport", "MaxSet"] is None


async def connected_ev(leaf: Leaf) -> dict[tuple[str, str], str | None]:
    """Return variables of ConnectedEV by name and attribute, None where the station refuses them."""
    wanted = [
        *(("Available", "Actual"), ("ProtocolAgreed", "Actual"), ("VehicleId", "Actual"), ("DCVoltage", "Target")),
        *(("DCVoltage", "MaxSet"), ("DCCurrent", "MinSet"), ("EnergyImport", "MaxSet")),
        *(("StateOfCharge", "MaxSet"), ("StateOfCharge", "Actual")),
    ]
    component = {"name": "ConnectedEV", "evse": {"id": 1}}
    data = [{"component": component, "variable": {"name": name}, "attributeType": kind} for name, kind in wanted]
    answer = await leaf.rig.request("GetVariables", {"getVariableData": data})
    return {
        (one["variable"]["name"], one["attributeType"]): one.get("attributeValue")
        for one in answer["getVariableResult"]
    }


async def test_a_leaf_that_leaves_ends_the_transaction_and_the_next_one_begins() -> None:
    async with rig_with_leaf() as leaf:
        leaf.plug()
        await in_power(leaf)
        await leaf.rig.csms.set_power("CP1-1", 3000.0, 60.0)
        await leaf.rig.sleep(5)
        await leaf.unplug()
        await leaf.rig.until(lambda: bool(leaf.rig.of(SessionEnded)))
        assert leaf.path.stage.current_a == 0
        await leaf.rig.until(lambda: leaf.rig.of(PlugChanged)[-1].state is PlugState.AVAILABLE)
        await leaf.rig.sleep(5)
        leaf.plug()
        await in_power(leaf)
        assert len(leaf.rig.of(SessionStarted)) == 2


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"chademo": "memory:x", "evses": 2}, "--chademo is for one EVSE"),
        ({"chademo": "memory:x", "car": "ccs-63"}, "--chademo is for one EVSE"),
        ({"candump": Path("x.log")}, "--candump needs --chademo"),
    ],
)
async def test_options_that_contradict_each_other(options: dict[str, object], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        await make(Options("ws://127.0.0.1:1/ocpp", **options))  # type: ignore[arg-type]
