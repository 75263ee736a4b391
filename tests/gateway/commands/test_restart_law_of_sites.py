"""Law of the restart for a whole gateway with energy management: islands, and vehicles lent between sites.

After any history, kill and restart, and two minutes in which the site settles, the same command gets the same answer as
without the kill, the island has its source, and deployments and what is to be returned are the same.
"""

from __future__ import annotations

import asyncio
import copy
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from emulators.runtime.clock import VirtualClock
from emulators.runtime.memory_broker import MemoryBroker
from gateway.app import Gateway, Parts, gateway
from gateway.bench.plain_station import PlainEvse, PlainStations
from gateway.config import from_table
from gateway.energy.service import EnergyService
from gateway.model.command import Channel, Submission
from gateway.model.energy_state import Phase, SharedEnergyState, SiteNeedState
from gateway.model.event import Metered, PlugChanged, PlugState, Report, SessionStarted
from gateway.model.reason import Code, because
from gateway.model.result import Result
from gateway.service import GatewayService
from gateway.store.store import Store
from protocols.ports import Bus, BusMessage, Clock
from tests.gateway.energy.island_plant import IslandPlant
from tests.gateway.store.copies import Copies, MemoryCopies, PostgresCopies, SqliteCopies
from tests.gateway.store.postgres import Cluster
from tests.rounds import rounds
from tests.virtual_time import virtual_examples

EVSES = ("CP1-1", "CP2-1")
SETTLED_S = 120
TOLERANCE_W, TOLERANCE_WH = 60.0, 100.0
AGREEMENTS = """
[[place]]
name = "home"
latitude = 35.6
longitude = 139.6
[[place]]
name = "clinic"
latitude = 35.62
longitude = 139.6
[[place]]
name = "depot"
latitude = 35.61
longitude = 139.62
[[car]]
vehicle = "LENT1"
base = "depot"
capacity_wh = 40000
[[car]]
vehicle = "LENT2"
base = "depot"
capacity_wh = 40000
[[agreement]]
id = "A"
kind = "municipal"
lender = "the town"
cars = ["LENT1", "LENT2"]
floor_pct = 25
give_back = "as_arrived"
"""
CONFIGURATION: dict[str, Any] = {
    "site": {"id": "home", "min_soc_pct": 20, "ramp_w_per_s": 2500},
    "energy": {
        "island": True,
        "parallel_forming": True,
        "forming": list(EVSES),
        "off_grid_pct": 15,
        "reconnect_s": 20,
        "return_ramp_s": 30,
        "plan": False,
        "tiers": [{"name": "medical", "priority": 0, "expected_w": 1500, "critical": True}],
    },
}
Action = tuple[str, Any, Any]
EVSE = st.sampled_from(EVSES)
COMMANDS = st.sampled_from(
    [
        ("discharge", {"power_w": 3000, "lease_s": 60}),
        ("charge", {"power_w": 2000, "lease_s": 30}),
        ("stop", {}),
        ("release", {}),
        ("reserve", {"min_soc_pct": 60}),
    ]
)
OF_SITE = st.sampled_from(
    [
        ("discharge", {"power_w": 5000, "lease_s": 60}),
        ("release", {}),
        ("emergency_stop", {}),
        ("mode", {"mode": "self_consumption"}),
        ("mode", {"mode": "manual"}),
        ("backup", {"action": "enter"}),
        ("backup", {"action": "leave"}),
        ("peak_limit", {"import_w": 4000}),
    ]
)
ACTIONS: st.SearchStrategy[Action] = st.one_of(
    st.tuples(st.just("command"), EVSE, COMMANDS),
    st.tuples(st.just("command"), st.none(), OF_SITE),
    st.tuples(st.just("grid"), st.booleans(), st.none()),
    st.tuples(st.just("plug"), EVSE, st.sampled_from(["CAR1", "LENT1", "LENT2"])),
    st.tuples(st.just("unplug"), EVSE, st.none()),
    st.tuples(st.just("used"), EVSE, st.sampled_from([2.0, 15.0])),
    st.tuples(st.just("clinic"), st.booleans(), st.none()),
    st.tuples(st.just("position"), st.sampled_from(["LENT1", "LENT2"]), st.sampled_from(["depot", "clinic"])),
    st.tuples(st.just("payment"), st.sampled_from(["LENT1", "LENT2"]), st.sampled_from([500.0, 9000.0])),
    st.tuples(st.just("wait"), st.sampled_from([5, 45, 200]), st.none()),
)


@dataclass
class SiteRun:
    """A running gateway with its plant."""

    running: Gateway
    stations: PlainStations
    clock: VirtualClock

    def __post_init__(self) -> None:
        self.plant = IslandPlant(self, load_w=1500.0, steps=False)
        self.vehicles: dict[str, str] = {}
        self._number = 0

    @property
    def service(self) -> GatewayService:
        return self.running.service

    @property
    def energy_service(self) -> EnergyService:
        return self.running.energy_service

    async def wait(self, seconds: float) -> None:
        await self.clock.sleep(seconds)

    def power(self, evse: str) -> float:
        held = self.stations.evses[evse]
        return held.power_w if self.clock.now() < held.until else 0.0

    async def send(self, evse: str | None, verb: str, id: str, **body: Any) -> Result:
        payload = encoded({"id": id, **body})
        return await self.service.submit(Submission(evse, verb, payload, Channel.LOCAL))

    async def act(self, action: Action) -> None:
        what, one, two = action
        self._number += 1
        match what:
            case "command":
                await self.send(one, two[0], f"c{self._number}", **two[1])
            case "grid":
                self.plant.present = one
            case "plug" if self.stations.evses[one].session is None:
                self.plug(one, two, 70.0)
            case "unplug" if self.stations.evses[one].session is not None:
                self.stations.unplug(one)
            case "used" if (soc_pct := self.stations.evses[one].soc_pct) is not None:
                self.stations.evses[one].soc_pct = max(5.0, soc_pct - two)
                self.stations.evses[one].discharged_wh += two * 400
            case "clinic":
                self.report_clinic(one)
            case "position":
                self.input("lent", cars=[{"vehicle": one, "place": two, "soc_pct": 80.0, "available": True}])
            case "payment":
                self.input("repaid", payments=[{"id": f"p{self._number}", "vehicle": one, "energy_wh": two}])
            case "wait":
                await self.plant.live(one)
        await self.plant.live(2)

    def plug(self, evse: str, vehicle: str, soc_pct: float) -> None:
        self.vehicles[evse] = vehicle
        self.stations.plug(evse, f"tx{self._number}-{evse}", soc_pct=soc_pct, vehicle=vehicle)

    def report_clinic(self, in_need: bool) -> None:
        need = SiteNeedState(draw_w=1000.0, stored_wh=2000.0, bays=1) if in_need else None
        phase = Phase.ISLAND if in_need else Phase.ON_GRID
        assert self.running.lending_service is not None
        self.running.lending_service.receive_state("clinic", SharedEnergyState(phase=phase, need=need))

    def input(self, kind: str, **body: Any) -> None:
        reason = self.service.input(kind, encoded({"ts": self.clock.wall(), **body}))
        assert reason is None, reason

    def settled_state(self) -> list[Any]:
        """Return what must be the same after a restart, besides the answers."""
        lending, energy = self.running.lending_service, self.service.site_state().energy
        assert lending is not None
        assert energy is not None
        rows = [
            (row["vehicle"], row["site"], row["left_at"] is None, row["settled"], row["owed_wh"])
            for row in lending.deployments()
        ]
        return [energy.phase, energy.forming is not None, *sorted(rows)]

    async def answers(self) -> list[Result]:
        """Return what the same commands get now."""
        found = []
        asked = [*((evse, verb) for evse in EVSES for verb in ("discharge", "charge")), (None, "discharge")]
        for number, (evse, verb) in enumerate(asked):
            found.append(await self.send(evse, verb, f"probe{number}", power_w=1500, lease_s=30))
            await self.plant.live(1)
        return found

    async def reconnect(self, evses: dict[str, PlainEvse], vehicles: dict[str, str]) -> None:
        """Connect the stations again; they report plug, transaction and meter, but not what the vehicles negotiated."""
        now = self.clock.now()
        for name, before in evses.items():
            self.stations.connect(name.rpartition("-")[0], name)
            held = self.stations.evses[name] = copy.deepcopy(before)
            held.power_w, held.advanced, held.until = 0.0, now, 0.0
            if held.session is None:
                continue
            self.service.report(PlugChanged(name, now, PlugState.OCCUPIED))
            self.service.report(SessionStarted(name, now, held.session, vehicles[name]))
            registers = held.charged_wh, held.discharged_wh
            self.service.report(Metered(name, now, self.clock.wall(), 0.0, *registers, held.soc_pct))


@asynccontextmanager
async def site_run(store: Store, agreements: Path) -> AsyncIterator[SiteRun]:
    """Run a gateway over a store; its stations are not connected."""
    broker, clock, made = MemoryBroker(), VirtualClock(), []

    def stations(report: Report, at: Clock) -> PlainStations:
        made.append(PlainStations(at, report))
        return made[0]

    def connect(will: BusMessage) -> AbstractAsyncContextManager[Bus]:
        return broker.client("v2x-home-gw1", will=will, clean_start=False, session_expiry_s=60)

    config = from_table(CONFIGURATION | {"blue_switch": {"file": str(agreements), "place": "home"}})
    async with gateway(config, Parts(clock=clock, connect=connect, store=store, stations=stations, seed=1)) as running:
        metering = asyncio.create_task(made[0].run())
        try:
            yield SiteRun(running, made[0], clock)
        finally:
            metering.cancel()
            await asyncio.gather(metering, return_exceptions=True)


async def compare(copies: Copies, actions: list[Action]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        agreements = Path(folder) / "agreements.toml"
        agreements.write_text(AGREEMENTS)
        store = copies.new()
        async with site_run(store, agreements) as run:
            for evse in EVSES:
                run.stations.connect(evse.rpartition("-")[0], evse)
                run.plug(evse, f"OWN-{evse}", 80.0)
            await run.plant.live(5)
            for action in actions:
                await run.act(action)
            await run.plant.live(2)
            await run.running.journal.flush()
            killed = await copies.copy(store)
            evses, plant = copy.deepcopy(run.stations.evses), run.plant
            vehicles = dict(run.vehicles)
            was = plant.present, plant.open, plant.load_w
            run.service.end_leased(because(Code.GATEWAY_STOPPED, "Compared."))
            await plant.live(SETTLED_S)
            state, without = run.settled_state(), await run.answers()
        async with site_run(killed, agreements) as again:
            again.plant.present, again.plant.open, again.plant.load_w = was
            await again.reconnect(evses, vehicles)
            await again.plant.live(SETTLED_S)
            compare_states(again.settled_state(), state)
            for one, other in zip(await again.answers(), without, strict=True):
                compare_results(one, other)


def compare_states(one: list[Any], other: list[Any]) -> None:
    assert len(one) == len(other), (one, other)
    for mine, theirs in zip(one, other, strict=True):
        if isinstance(mine, tuple):
            assert mine[:-1] == theirs[:-1]
            assert mine[-1] == pytest.approx(theirs[-1], abs=TOLERANCE_WH)
        else:
            assert mine == theirs


def compare_results(one: Result, other: Result) -> None:
    assert (one.id, one.status, one.reason.code, one.binding) == (
        other.id,
        other.status,
        other.reason.code,
        other.binding,
    )
    assert (one.effective_w is None) == (other.effective_w is None)
    assert (one.effective_w or 0.0) == pytest.approx(other.effective_w or 0.0, abs=TOLERANCE_W)


def encoded(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()


OUTAGE: list[Action] = [("grid", False, None), ("wait", 200, None)]
EXAMPLES: list[list[Action]] = [
    OUTAGE,
    [*OUTAGE, ("unplug", "CP1-1", None), ("plug", "CP1-1", "LENT1"), ("wait", 45, None), ("used", "CP1-1", 15.0)],
    [*OUTAGE, ("unplug", "CP1-1", None), ("plug", "CP1-1", "LENT1"), ("wait", 45, None), ("used", "CP1-1", 15.0),
     ("unplug", "CP1-1", None), ("grid", True, None), ("wait", 200, None), ("payment", "LENT1", 500.0)],
    [*OUTAGE, ("command", None, ("emergency_stop", {})), ("command", None, ("release", {}))],
    [("command", None, ("backup", {"action": "enter"})), ("wait", 200, None)],
]  # fmt: skip


HISTORIES = st.one_of(st.sampled_from(EXAMPLES), st.lists(ACTIONS, max_size=10))


@pytest.mark.soak  # the same with a store on a disk below
@example(EXAMPLES[2])
@given(HISTORIES)
@settings(max_examples=rounds(1, 150), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@virtual_examples
async def test_a_site_goes_on_after_a_kill(actions: list[Action]) -> None:
    await compare(MemoryCopies(), actions)


@example(EXAMPLES[1])
@given(HISTORIES)
@settings(max_examples=rounds(1, 60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@virtual_examples
async def test_a_site_goes_on_after_a_kill_with_sqlite(actions: list[Action]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        await compare(SqliteCopies(Path(folder)), actions)


@pytest.mark.peer
@example(actions=EXAMPLES[1])
@given(actions=HISTORIES)
@settings(max_examples=rounds(1, 40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@virtual_examples
async def test_a_site_goes_on_after_a_kill_with_postgres(cluster: Cluster, actions: list[Action]) -> None:
    await compare(PostgresCopies(cluster), actions)
