"""Law of the restart: after any history, kill and restart, the same command gets the same answer as without the kill.

In each kind of store. The history is of vehicles, commands, renewals, standing commands, the grid and the clock, which
jumps back and forth. Leased commands do not survive a restart; in the run without the kill they are ended before the
answers are compared. Islands and lending are in `test_restart_law_of_sites.py`.
"""

from __future__ import annotations

import copy
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from emulators.runtime.clock import START
from gateway.bench.plain_station import PlainEvse
from gateway.model.event import Metered, PlugChanged, PlugState, PowerLimits, SessionStarted, VehicleNeeds
from gateway.model.reason import Code, because
from gateway.model.site import SitePolicy
from tests.gateway.commands.rig import ServiceRig, service_rig
from tests.gateway.store.copies import Copies, MemoryCopies, PostgresCopies, SqliteCopies
from tests.gateway.store.postgres import Cluster
from tests.rounds import rounds
from tests.virtual_time import virtual_examples

EVSES = ("CP1-1", "CP2-1")
EVSE = st.sampled_from(EVSES)
EVSE_OR_SITE = st.one_of(EVSE, st.none())
POLICY = SitePolicy("home", min_soc_pct=30, floor_hysteresis_pct=2)
STANDING = st.sampled_from(
    [
        ("stop", {}),
        ("release", {}),
        ("reserve", {"min_soc_pct": 50}),
        ("reserve", {"min_soc_pct": 0}),
    ]
)
OF_SITE = st.sampled_from(
    [
        ("emergency_stop", {}),
        ("mode", {"mode": "charge_only"}),
        ("mode", {"mode": "manual"}),
        ("peak_limit", {"import_w": 4000}),
        ("peak_limit", {"import_w": 0}),
    ]
)
JUMPS = st.sampled_from([-400 * 86_400.0, -3600.0, -1.0, 1.0, 3600.0, 400 * 86_400.0])
Action = tuple[str, Any, Any]
ACTIONS: st.SearchStrategy[Action] = st.one_of(
    st.tuples(st.just("renew"), EVSE_OR_SITE, st.sampled_from([1, 5, 40])),
    st.tuples(st.just("standing"), EVSE_OR_SITE, STANDING),
    st.tuples(st.just("standing"), st.none(), OF_SITE),
    st.tuples(st.just("schedule"), EVSE, st.sampled_from([-10, 30, 4000])),
    st.tuples(st.just("plug"), EVSE, st.sampled_from([0, 2000, 12_000])),
    st.tuples(st.just("needs"), EVSE, st.sampled_from([0, 3000])),
    st.tuples(st.just("unplug"), EVSE, st.none()),
    st.tuples(st.just("soc"), EVSE, st.sampled_from([29.0, 30.5, 31.0, 33.0, 49.0, 51.0, 80.0])),
    st.tuples(st.just("grid"), st.booleans(), st.none()),
    st.tuples(st.just("clock"), JUMPS, st.none()),
    st.tuples(st.just("wait"), st.sampled_from([0.3, 3.0, 40.0, 300.0]), st.none()),
)


class History:
    """Sends the actions to one run of a gateway."""

    def __init__(self, rig: ServiceRig) -> None:
        self.rig, self.number, self.jumped_s = rig, 0, 0.0
        self.needs: dict[str, VehicleNeeds] = {}
        self.grid: bool | None = None

    def next_id(self) -> str:
        self.number += 1
        return f"c{self.number}"

    async def act(self, action: Action) -> None:
        what, one, two = action
        rig = self.rig
        match what:
            case "renew":
                for _ in range(two):
                    await rig.send(one, "discharge", self.next_id(), power_w=1000, lease_s=30)
                    await rig.wait(0.5)
            case "standing":
                await rig.send(one, two[0], self.next_id(), **two[1])
            case "schedule":
                periods = [{"start": rig.clock.wall() + two, "duration_s": 600, "power_w": 2000}]
                await rig.send(one, "schedule", self.next_id(), periods=periods)
            case "plug" if rig.stations.evses[one].session is None:
                rig.stations.plug(one, f"tx{self.next_id()}", _needs(two), soc_pct=60.0)
            case "needs" if (session := rig.stations.evses[one].session) is not None:
                rig.stations.plug(one, session, _needs(two), rig.stations.evses[one].soc_pct)
            case "unplug" if rig.stations.evses[one].session is not None:
                rig.stations.unplug(one)
            case "soc" if rig.stations.evses[one].session is not None:
                held = rig.stations.evses[one]
                held.soc_pct = min(two, (held.soc_pct or 0.0) + 1.5)  # a sudden rise counts only after minutes
                await rig.wait(20.0)
            case "grid":
                self.grid = one
                self.report_grid(rig)
            case "clock":
                self.jumped_s += one
                set_clock(rig, self.jumped_s)
            case "wait":
                await rig.wait(one)
            case _:
                pass

    def report_grid(self, rig: ServiceRig) -> None:
        if self.grid is not None:
            rig.service.input("grid", json.dumps({"ts": rig.clock.wall(), "present": self.grid}).encode())


def _needs(max_discharge_w: float) -> VehicleNeeds:
    limits = PowerLimits(11_000.0, max_discharge_w)
    return VehicleNeeds(limits, max_discharge_w > 0, "DC_BPT", "dynamic", soc_pct=60.0, battery_capacity_wh=40_000.0)


def set_clock(rig: ServiceRig, by_s: float) -> None:
    rig.clock.wall = lambda: START + by_s + rig.clock.now()  # type: ignore[method-assign]


async def answers(rig: ServiceRig, wait_s: float) -> list[tuple[object, ...]]:
    """Return what the same commands get now."""
    found: list[tuple[object, ...]] = []
    for number, (evse, verb) in enumerate([*((one, verb) for one in EVSES for verb in VERBS), (None, "discharge")]):
        result = await rig.send(evse, verb, f"probe{number}", power_w=1500, lease_s=30)
        found.append((evse, verb, result.status, result.reason.code, result.effective_w, result.binding))
        await rig.wait(wait_s)
    return found


VERBS = ("discharge", "charge")


async def reconnect(rig: ServiceRig, evses: dict[str, PlainEvse]) -> None:
    """Connect the stations again; they report plug, transaction and meter, but not what the vehicles negotiated."""
    now = rig.clock.now()
    for name, before in evses.items():
        rig.stations.connect(name.rpartition("-")[0], name)
        held = rig.stations.evses[name]
        held.session, held.soc_pct = before.session, before.soc_pct
        if held.session is not None:
            rig.service.report(PlugChanged(name, now, PlugState.OCCUPIED))
            rig.service.report(SessionStarted(name, now, held.session, "CAR1"))
    await rig.wait(0.3)
    for name, held in rig.stations.evses.items():
        if held.session is not None:
            rig.service.report(Metered(name, now, rig.clock.wall(), 0.0, 0.0, 0.0, held.soc_pct))


async def compare(copies: Copies, actions: list[Action], down_s: float, jump_s: float) -> None:
    store = copies.new()
    async with service_rig(*EVSES, store=store, policy=POLICY, evse_rate_per_s=1000.0, source_rate_per_s=1000.0) as rig:
        history = History(rig)
        for action in actions:
            await history.act(action)
        await rig.wait(1.0)
        await rig.journal.flush()
        killed = await copies.copy(store)
        evses = copy.deepcopy(rig.stations.evses)
        rig.service.end_leased(because(Code.GATEWAY_STOPPED, "Compared."))
        history.report_grid(rig)
        await rig.wait(3.0)
        without = await answers(rig, 1.0)
    async with service_rig(
        store=killed,
        policy=POLICY,
        start=START + history.jumped_s + jump_s,
        evse_rate_per_s=1000.0,
        source_rate_per_s=1000.0,
    ) as again:
        await again.wait(down_s)
        await reconnect(again, evses)
        history.report_grid(again)
        await again.wait(3.0)
        assert await answers(again, 1.0) == without


HISTORIES = st.lists(ACTIONS, max_size=12)
JUMP = st.sampled_from([-86_400.0, 0.0])


@example([("soc", "CP1-1", 29.0), ("soc", "CP1-1", 30.5)], 0.0, 0.0)
@example([("clock", -3600.0, None), ("standing", "CP1-1", ("stop", {})), ("standing", None, ("stop", {}))], 0.0, 0.0)
@given(HISTORIES, st.just(0.0), JUMP)
@settings(
    max_examples=int(os.environ.get("V2X_LAW", "40")), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
@virtual_examples
async def test_the_same_command_gets_the_same_answer_after_a_kill(
    actions: list[Action], down_s: float, jump_s: float
) -> None:
    await compare(MemoryCopies(), actions, down_s, jump_s)


@given(HISTORIES, JUMP)
@settings(max_examples=rounds(5, 100), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@virtual_examples
async def test_the_same_command_gets_the_same_answer_with_sqlite(actions: list[Action], jump_s: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        await compare(SqliteCopies(Path(folder)), actions, 0.0, jump_s)


@pytest.mark.peer
@given(actions=HISTORIES, jump_s=JUMP)
@settings(max_examples=rounds(3, 60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@virtual_examples
async def test_the_same_command_gets_the_same_answer_with_postgres(
    cluster: Cluster, actions: list[Action], jump_s: float
) -> None:
    await compare(PostgresCopies(cluster), actions, 0.0, jump_s)
