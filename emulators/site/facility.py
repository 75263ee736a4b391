"""The facility's controller: tells the gateway what its sensors see and orders power, over MQTT and nothing else.

It knows topics and payloads of the MQTT contract as a customer reads them, not the gateway's code. Values are told on
change and again before they go stale.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from emulators.site.site import Balance, Site, State
from protocols.ports import Bus, BusMessage, Clock

LEASED = ("discharge", "charge", "setpoint")
ANSWER_WITHIN = 10.0  # s, for the first result
AGAIN_AFTER_S = {"grid": 8.0, "switch": 8.0, "load": 12.0, "pv": 45.0, "storage": 45.0, "meter": 60.0}
KEPT = 50_000  # events and results remembered, the oldest go first
CHANGE_W = 150.0  # W that make a value worth telling at once


class Connect(Protocol):
    """Makes a link to the broker, to enter with `async with`."""

    def __call__(self) -> AbstractAsyncContextManager[Bus]: ...


def timestamp(wall: float) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(slots=True)
class Heard:
    """Results, in order, of one command."""

    results: list[dict[str, Any]] = field(default_factory=list)
    first: asyncio.Event = field(default_factory=asyncio.Event)
    last: asyncio.Event = field(default_factory=asyncio.Event)


FIRST = ("accepted", "clamped", "refused")


@dataclass(slots=True)
class Facility:
    """One controller of one site. `run` while the world lasts; `command` and `hold` from anywhere."""

    site_id: str
    connect: Connect
    clock: Clock
    site: Site | None = None
    name: str = "facility"
    told: Callable[[str, dict[str, Any]], None] = lambda topic, body: None  # what came from the gateway
    sense_every_s: float = 1.0
    mute: set[str] = field(default_factory=set)  # inputs that are no longer told
    states: dict[str, dict[str, Any]] = field(default_factory=dict)  # last retained state by EVSE, and "site"
    telemetry: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=KEPT))
    results: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=KEPT))
    online: bool | None = None  # what the gateway's status says
    lost: int = 0  # links to the broker that ended
    _bus: Bus | None = None
    _linked: asyncio.Event = field(default_factory=asyncio.Event)
    _heard: dict[str, Heard] = field(default_factory=dict)
    _count: int = 0
    _said: dict[str, tuple[float, float, object]] = field(default_factory=dict)

    @property
    def root(self) -> str:
        return f"v2x/1/{self.site_id}"

    async def run(self) -> None:
        """Keep a link to the broker and listen, until cancelled."""
        wait = 1.0
        while True:
            try:
                async with self.connect() as bus:
                    wait = 1.0
                    for part in ("evse/+/state", "evse/+/result", "evse/+/event", "evse/+/telemetry"):
                        await bus.subscribe(f"{self.root}/{part}")
                    for part in ("site/state", "site/result", "site/event", "gateway/+/status"):
                        await bus.subscribe(f"{self.root}/{part}")
                    self._bus = bus
                    self._said.clear()
                    self._linked.set()
                    async for message in bus.messages():
                        self._take(message)
            except OSError:
                self.lost += 1
            finally:
                self._let_go()
                self._bus = None
                self._linked.clear()
            await self.clock.sleep(wait)
            wait = min(wait * 2, 30.0)

    # Orders

    async def command(self, target: str, verb: str, **fields: Any) -> dict[str, Any]:
        """Send a command to an EVSE or to "site"; the first result. TimeoutError when none comes."""
        identifier = str(fields.pop("id", "")) or self._next_id()
        await self._send(target, verb, {"id": identifier, "source": self.name, **fields})
        heard = self._heard.setdefault(identifier, Heard())
        async with self.clock.timeout_at(self.clock.now() + ANSWER_WITHIN):
            await heard.first.wait()
        return heard.results[0]

    async def outcome(self, identifier: str, within_s: float = 120.0) -> dict[str, Any]:
        """The final result of a command sent before."""
        heard = self._heard.setdefault(identifier, Heard())
        async with self.clock.timeout_at(self.clock.now() + within_s):
            await heard.last.wait()
        return heard.results[-1]

    async def hold(self, target: str, verb: str, seconds: float, **fields: Any) -> list[dict[str, Any]]:
        """Renew a leased command until `seconds` have passed; the first results. A lost broker does not end it."""
        lease = float(fields.setdefault("lease_s", 30.0))
        ends = self.clock.now() + seconds
        answers = []
        while self.clock.now() < ends:
            left = ends - self.clock.now()
            fields["lease_s"] = max(5.0, min(lease, left))
            try:
                answers.append(await self.command(target, verb, **fields))
            except (OSError, TimeoutError):
                answers.append({"status": "no answer"})
            await self.clock.sleep(min(lease * 0.5, max(0.5, left)))
        return answers

    def _next_id(self) -> str:
        self._count += 1
        return f"{self.name}-{self._count:06d}"

    async def _send(self, target: str, verb: str, body: dict[str, Any]) -> None:
        place = "site" if target == "site" else f"evse/{target}"
        async with self.clock.timeout_at(self.clock.now() + ANSWER_WITHIN):
            await self._linked.wait()
        if self._bus is None:
            raise ConnectionResetError("no link to the broker")
        payload = json.dumps(body, separators=(",", ":")).encode()
        await self._bus.publish(BusMessage(f"{self.root}/{place}/cmd/{verb}", payload, qos=1))

    # Sensors

    async def sense(self, balance: Balance, wall: float) -> None:
        """Tell what has changed or would go stale. Lost links lose nothing but the moment."""
        if self.site is None:
            return
        site, now = self.site, self.clock.now()
        present = balance.state is State.GRID or site.grid.at(now).present
        grid: dict[str, Any] = {"present": present, "power_w": round(balance.grid_w)}
        if present:
            supply = site.grid.at(now)
            grid |= {"frequency_hz": round(supply.frequency_hz, 3), "voltage_v": round(supply.voltage_v, 1)}
        await self._tell("grid", grid, balance.grid_w, present, now, wall)
        opened = site.switch.proven_open
        await self._tell("switch", {"open": opened}, 0.0, opened, now, wall)
        await self._tell("load", {"power_w": round(balance.load_w)}, balance.load_w, None, now, wall)
        if site.pv:
            await self._tell("pv", {"power_w": round(balance.pv_w)}, balance.pv_w, None, now, wall)
        if site.storage:
            first = site.storage[0]
            body: dict[str, Any] = {"power_w": round(balance.storage_w), "soc_pct": round(first.soc_pct, 1)}
            body |= {"max_charge_w": first.stage.spec.max_charge_w, "max_discharge_w": first.stage.spec.max_discharge_w}
            await self._tell("storage", body, balance.storage_w, None, now, wall)
        meter = site.meter
        if meter.window_start is not None:
            body = {"energy_wh": round(meter.window_wh, 1), "window_start": timestamp(meter.window_start)}
            body |= {"power_w": round(meter.power_w)}
            await self._tell("meter", body, meter.power_w, meter.window_start, now, wall)

    async def tell(self, kind: str, body: dict[str, Any], wall: float) -> None:
        """Tell an input that no sensor shows, such as prices or a storm; retained, as a facility keeps them."""
        async with self.clock.timeout_at(self.clock.now() + ANSWER_WITHIN):
            await self._linked.wait()
        if self._bus is None:
            raise ConnectionResetError("no link to the broker")
        payload = json.dumps({"ts": timestamp(wall), **body}, separators=(",", ":")).encode()
        await self._bus.publish(BusMessage(f"{self.root}/site/input/{kind}", payload, qos=1, retain=True))

    async def _tell(self, kind: str, body: dict[str, Any], watts: float, key: object, now: float, wall: float) -> None:
        if kind in self.mute or self._bus is None:
            return
        said = self._said.get(kind)
        if said is not None:
            at, before, mark = said
            quiet = abs(watts - before) < max(CHANGE_W, 0.05 * abs(before)) and mark == key
            if quiet and now - at < AGAIN_AFTER_S[kind] - self.sense_every_s + 0.5:
                return
        self._said[kind] = (now, watts, key)
        payload = json.dumps({"ts": timestamp(wall), **body}, separators=(",", ":")).encode()
        try:
            await self._bus.publish(BusMessage(f"{self.root}/site/input/{kind}", payload, qos=1))
        except OSError:
            self._said.pop(kind, None)

    # What comes back

    def _obey(self, energy: object) -> None:
        """Carry out what the gateway wants of load tiers and storage; what it leaves open stays with the site."""
        if self.site is None or not isinstance(energy, dict):
            return
        tiers = energy.get("tiers")
        specs = {tier.spec.name: tier.spec.priority for tier in self.site.loads.tiers}
        if isinstance(tiers, dict) and tiers and set(tiers) <= set(specs):
            off = [specs[name] for name, on in tiers.items() if not on]
            # the contactors are ordered by priority: up to the last tier before the first that is off
            self.site.keep_priority = min(off) - 1 if off else None
        order = energy.get("main_switch")
        self.site.switch_order = order if order in ("open", "closed") and self.online is not False else None
        watts = energy.get("storage_w")
        if isinstance(watts, (int, float)) and self.site.storage:
            each = float(watts) / len(self.site.storage)
            for storage in self.site.storage:
                storage.order(each, self.clock.now())
        elif "storage_w" in energy:  # left to itself again: an old order does not go on for ever
            for storage in self.site.storage:
                if storage.policy == "idle":
                    storage.order(0.0, self.clock.now())

    def _let_go(self) -> None:
        """Nobody orders any more: the switchgear goes by its own rules."""
        if self.site is not None:
            self.site.switch_order = None

    def _take(self, message: BusMessage) -> None:
        levels = message.topic[len(self.root) + 1 :].split("/")
        try:
            body = json.loads(message.payload)
        except ValueError:
            return
        if not isinstance(body, dict):
            return
        self.told(message.topic, body)
        kind = levels[-1]
        name = "site" if levels[0] == "site" else levels[1] if len(levels) > 1 else ""
        if levels[0] == "gateway":
            self.online = body.get("state") == "online"
            if self.online:
                self._obey(self.states.get("site", {}).get("energy"))
            else:
                self._let_go()
        elif kind == "state":
            self.states[name] = body
            if name == "site":
                self._obey(body.get("energy"))
        elif kind == "telemetry":
            self.telemetry[name] = body
        elif kind == "event":
            self.events.append({"evse": name, **body})
        elif kind == "result":
            self.results.append({"evse": name, **body})
            heard = self._heard.setdefault(str(body.get("id")), Heard())
            heard.results.append(body)
            heard.first.set()
            if body.get("status") not in FIRST or body.get("status") == "refused":
                heard.last.set()
