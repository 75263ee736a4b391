"""`v2x demo outage`: the scenario `shelter-dusk` in about a minute, and what the gateway reports meanwhile.

The gateway, the stations and the vehicles are those of `v2x sim`, connected in memory, with limited virtual time. Every
printed line is a message of the gateway, which a client of the broker receives as `docs/mqtt.md` describes.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from emulators.demo.timeline import Timeline, address, in_words, make_timeline
from emulators.runtime.clock import VirtualLoop
from emulators.runtime.memory_broker import MemoryBroker
from emulators.scenario.loading import load
from emulators.scenario.scenario import Scenario
from emulators.world import World
from emulators.world.network import ConnectionSettings, MemoryNetwork
from protocols.ports import BusMessage

Body = dict[str, Any]  # JSON object of a message

SCENARIO = "shelter-dusk"
DURATION_S = 60.0  # of the demo, in real time
STAY_SPEED = 1.0  # virtual seconds per second after the outage
STATUS_EVERY_S = 180.0  # of the scenario, between two lines with the present powers
EVENTS = frozenset({"plugged", "unplugged", "negotiated", "fault", "fault_cleared", "emergency_stop", "released"})
DETAILS = ("mode_", "bound_by_", "main_switch_", "opening_", "closing_", "switch_proof_")  # codes of decisions left out


@dataclass
class Figures:
    """Result of the demo: the object of `v2x demo outage --json`. Energies are those of the whole scenario."""

    passed: bool = False
    served_critical_wh: float = 0.0
    unserved_critical_wh: float = 0.0
    dark_s: float = 0.0
    shed: list[str] = field(default_factory=list)  # load tiers, in the order in which they were shed
    restored: list[str] = field(default_factory=list)
    cars: dict[str, dict[str, float]] = field(default_factory=dict)  # by name
    page: str | None = None


class ListeningNetwork(MemoryNetwork):
    """Connections in memory, beside which the gateway listens on loopback: for its page."""

    listens = True

    def settings(self) -> ConnectionSettings:
        return {**super().settings(), "ocpp": {"listen": "127.0.0.1:0"}, "web": {"listen": "127.0.0.1:0"}}


class Reporter:
    """Prints the messages of the gateway, at the times of the scenario."""

    def __init__(self, timeline: Timeline, scenario: Scenario, figures: Figures) -> None:
        self._timeline, self._scenario, self._figures = timeline, scenario, figures
        self._root = f"v2x/1/{scenario.gateway.site}/"
        self._evses: dict[str, Body] = {}
        self._site: Body = {}
        self._status_at = 0.0

    async def run(self, broker: MemoryBroker) -> None:
        """Receive the messages of the gateway until cancelled."""
        async with broker.client("demo") as bus:
            for leaf in ("site/event", "site/state", "evse/+/event", "evse/+/state"):
                await bus.subscribe(self._root + leaf, qos=1)
            async for message in bus.messages():
                self.receive(message)

    def receive(self, message: BusMessage) -> None:
        """Process a message."""
        levels, body = message.topic.removeprefix(self._root).split("/"), json.loads(message.payload)
        if levels[-1] == "event":
            self._event(levels[1] if levels[0] == "evse" else "site", body)
        elif levels[0] == "evse":
            self._evses[levels[1]] = body
        else:
            self._site = body
            self._status(datetime.fromisoformat(body["ts"]).timestamp())

    def _event(self, name: str, body: Body) -> None:
        kind, code = body["event"], body.get("code") or ""
        if kind == "decided":
            tiers = {"tier_shed": self._figures.shed, "tier_restored": self._figures.restored}.get(code)
            if tiers is not None:
                tiers.append(body["subject"])
        if kind not in EVENTS and (kind != "decided" or code.startswith(DETAILS)):
            return
        text = (body.get("reason") or {}).get("text") or body["text"] or kind.replace("_", " ")
        self._print(datetime.fromisoformat(body["ts"]).timestamp(), name, text)

    def _status(self, at: float) -> None:
        """Print the present powers from time to time."""
        if at - self._status_at < STATUS_EVERY_S:
            return
        self._status_at = at
        cars = [
            f"{evse} {in_words(body['power_w'])} ({body['soc_pct']:.0f} %)"
            for evse, body in sorted(self._evses.items())
            if body["plugged"] and body["power_w"] is not None and body["soc_pct"] is not None
        ]
        if cars:
            self._print(at, "vehicles", ", ".join(cars))

    def _print(self, at: float, source: str, text: str) -> None:
        self._timeline.line(f"{datetime.fromtimestamp(at, self._scenario.start.tzinfo):%H:%M:%S}", source, text)


async def run(*, stay: bool = False, json_output: bool = False) -> int:
    """Run the demo on a virtual loop. Exit status 0 if the expectations of the scenario are met.

    With `stay` the site continues in real time until the coroutine is cancelled.
    """
    figures = Figures()
    timeline = make_timeline(json_output)
    async with play(timeline, figures):
        if json_output:
            sys.stdout.write(json.dumps(asdict(figures)) + "\n")
            sys.stdout.flush()
        if stay:
            timeline.heading("The shelter stays, in real time: its page is open and takes commands. Ctrl-C ends it.")
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualLoop)
            loop.speed = STAY_SPEED
            await loop.create_future()
    return 0 if figures.passed else 1


@asynccontextmanager
async def play(timeline: Timeline, figures: Figures) -> AsyncIterator[World]:
    """Play the scenario, and keep the site running while the context is entered."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    scenario = load(SCENARIO)
    world = World(scenario, keep_transcript=False, fast_forward=True, network=ListeningNetwork(MemoryBroker()))
    timeline.heading(scenario.name)
    timeline.paragraph(
        f"{scenario.duration / 60:.0f} minutes from {scenario.start:%H:%M} pass "
        f"{'as fast as possible' if loop.speed is None else f'{loop.speed:.0f} times as fast as in reality'}. The "
        "gateway is the product; grid, charging stations and vehicles are emulated. All lines are its messages."
    )
    async with world.running(), asyncio.TaskGroup() as tasks:
        assert world.gateway is not None
        figures.page = address(world.gateway.web_port)
        timeline.page(world.gateway.web_port)
        reporting = tasks.create_task(Reporter(timeline, scenario, figures).run(world.broker))
        timeline.heading("Events")
        await world.clock.sleep(scenario.duration)
        _print_summary(timeline, figures, _finish(world, figures))
        yield world
        reporting.cancel()


def default_speed() -> float:
    """Return the speed at which the demo takes about a minute."""
    return load(SCENARIO).duration / DURATION_S


def use_local_time() -> None:
    """Set the time zone of this process to that of the scenario, so that page and console show the same times."""
    offset = load(SCENARIO).start.utcoffset()
    assert offset is not None
    hours, minutes = divmod(round(offset.total_seconds() / 60), 60)
    os.environ["TZ"] = f"<{hours:+03d}{minutes:02d}>{-hours}:{minutes:02d}"
    time.tzset()


def _finish(world: World, figures: Figures) -> list[str]:
    """Fill the figures at the end of the scenario; return the expectations that are not met."""
    world.recording.close(world.clock.now())
    result, tiers = world.recording.figures(), world.site.loads.tiers
    violations = world.recording.violations(world.scenario.expect)
    figures.passed = not violations
    figures.served_critical_wh = round(sum(tier.served_wh for tier in tiers if tier.spec.critical), 1)
    figures.unserved_critical_wh = result["unserved_critical_wh"]
    figures.dark_s = result["dark_s"]
    figures.cars = {
        name: {what: result[f"car.{name}.{what}"] for what in ("soc_pct", "discharged_wh", "charged_wh")}
        for name in world.cars
    }
    return violations


def _print_summary(timeline: Timeline, figures: Figures, violations: list[str]) -> None:
    """Print what happened, and what to try next."""
    timeline.heading("What happened")
    timeline.paragraph(
        f"The shelter was dark for {figures.dark_s:.0f} s, until a vehicle supplied it. Its critical loads used "
        f"{figures.served_critical_wh / 1000:.2f} kWh, and lacked {figures.unserved_critical_wh / 1000:.2f} kWh."
    )
    shed, restored = (", ".join(dict.fromkeys(names)) or "nothing" for names in (figures.shed, figures.restored))
    timeline.table(
        [
            ("shed", shed),
            ("restored", restored),
            *(
                (name, f"{car['discharged_wh'] / 1000:.2f} kWh discharged, now at {car['soc_pct']:.0f} %")
                for name, car in figures.cars.items()
            ),
        ]
    )
    for violation in violations:
        timeline.paragraph(f"NOT as expected: {violation}")
    timeline.heading("What to try next")
    timeline.commands(
        [
            ("v2x demo outage --stay", "The same; afterwards the shelter stays, to be explored by hand."),
            (f"v2x sim {SCENARIO} --report out", "The same as a simulation; out/report.html shows powers and limits."),
            ("v2x sim typhoon-evacuation --report out", "Eight hours without the grid."),
        ]
    )
