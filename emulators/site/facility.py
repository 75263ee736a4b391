"""Facility: publishes the measurements of the site and sends commands to the gateway, as an MQTT client.

It follows the MQTT contract and uses no code of the gateway. Measurements are published on change and again before they
become stale.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from emulators.site.balance import Balance, State
from emulators.site.site import Site
from protocols.ports import Bus, BusMessage, Clock

Body = dict[str, Any]  # JSON object of an MQTT message

LEASED = ("discharge", "charge", "setpoint")
ANSWER_WITHIN = 10.0  # s, for the first result
SUBSCRIBED = (
    *("evse/+/state", "evse/+/result", "evse/+/event", "evse/+/telemetry"),
    *("site/state", "site/result", "site/event", "gateway/+/status"),
)
REPUBLISH_AFTER_S = {"grid": 8.0, "switch": 8.0, "load": 12.0, "pv": 45.0, "storage": 45.0, "meter": 60.0}
MAX_KEPT = 50_000  # events and results; the oldest are dropped first
CHANGE_W = 150.0  # change of a measurement that is published at once


Connect = Callable[[], AbstractAsyncContextManager[Bus]]  # returns a connection to the broker


def timestamp(wall: float) -> str:
    """Return a Unix time as RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_ENCODER = json.JSONEncoder(separators=(",", ":"))


def _payload(body: Body) -> bytes:
    return _ENCODER.encode(body).encode()


@dataclass(slots=True)
class CommandResults:
    """Results of one command, in order."""

    results: list[Body] = field(default_factory=list)
    first: asyncio.Event = field(default_factory=asyncio.Event)
    last: asyncio.Event = field(default_factory=asyncio.Event)


FIRST_STATUSES = ("accepted", "clamped", "refused")


@dataclass(slots=True)
class Facility:
    """Controller of one site. `run` keeps the connection; commands may be sent from any task."""

    site_id: str
    connect: Connect
    clock: Clock
    site: Site | None = None
    name: str = "facility"
    sense_every_s: float = 1.0
    muted_inputs: set[str] = field(default_factory=set)  # kinds that are not published
    pv_by_gateway: bool = False  # the gateway itself measures and limits the photovoltaics
    states: dict[str, Body] = field(default_factory=dict)  # last retained state by EVSE, and "site"
    telemetry: dict[str, Body] = field(default_factory=dict)
    events: deque[Body] = field(default_factory=lambda: deque(maxlen=MAX_KEPT))
    results: deque[Body] = field(default_factory=lambda: deque(maxlen=MAX_KEPT))
    online: bool | None = None  # status of the gateway
    live: bool = False  # it has published since this connection began: what is retained may be from before a failure
    lost_connections: int = 0
    _bus: Bus | None = None
    _connected: asyncio.Event = field(default_factory=asyncio.Event)
    _results_by_command: dict[str, CommandResults] = field(default_factory=dict)
    _count: int = 0
    _published: dict[str, tuple[float, float, object]] = field(default_factory=dict)  # by input: time, power, state

    @property
    def root(self) -> str:
        """Root of the topics of the site."""
        return f"v2x/1/{self.site_id}"

    async def run(self) -> None:
        """Stay connected to the broker and receive messages, until cancelled."""
        wait = 1.0
        while True:
            try:
                async with self.connect() as bus:
                    wait, self.live = 1.0, False
                    for part in SUBSCRIBED:
                        await bus.subscribe(f"{self.root}/{part}")
                    self._bus = bus
                    self._published.clear()
                    self._connected.set()
                    async for message in bus.messages():
                        self._receive(message)
            except OSError:
                self.lost_connections += 1
            finally:
                self._clear_switch_order()
                self._bus = None
                self._connected.clear()
            await self.clock.sleep(wait)
            wait = min(wait * 2, 30.0)

    # Commands

    async def command(self, target: str, verb: str, **fields: object) -> Body:
        """Send a command to an EVSE or to "site"; return its first result. TimeoutError without one."""
        identifier = str(fields.pop("id", ""))
        if not identifier:
            self._count += 1
            identifier = f"{self.name}-{self._count:06d}"
        await self._send(target, verb, {"id": identifier, "source": self.name, **fields})
        results = self._results_by_command.setdefault(identifier, CommandResults())
        async with self.clock.timeout_at(self.clock.now() + ANSWER_WITHIN):
            await results.first.wait()
        return results.results[0]

    async def outcome(self, identifier: str, within_s: float = 120.0) -> Body:
        """Return the final result of a command sent before."""
        results = self._results_by_command.setdefault(identifier, CommandResults())
        async with self.clock.timeout_at(self.clock.now() + within_s):
            await results.last.wait()
        return results.results[-1]

    async def hold(self, target: str, verb: str, seconds: float, **fields: Any) -> list[Body]:
        """Renew a leased command for `seconds`; return the first results. Goes on while the broker is unreachable."""
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

    async def _send(self, target: str, verb: str, body: Body) -> None:
        place = "site" if target == "site" else f"evse/{target}"
        bus = await self._open_bus()
        await bus.publish(BusMessage(f"{self.root}/{place}/cmd/{verb}", _payload(body), qos=1))

    async def _open_bus(self) -> Bus:
        """Return the connection; wait for it, but not for ever."""
        async with self.clock.timeout_at(self.clock.now() + ANSWER_WITHIN):
            await self._connected.wait()
        if self._bus is None:
            raise ConnectionResetError("no connection to the broker")
        return self._bus

    # Inputs

    async def sense(self, balance: Balance, wall: float) -> None:
        """Publish the measurements that have changed or would become stale."""
        if self.site is None:
            return
        site, now = self.site, self.clock.now()
        present = balance.state is State.GRID or site.grid.at(now).present
        grid: Body = {"present": present, "power_w": round(balance.grid_w)}
        if present:
            supply = site.grid.at(now)
            grid |= {"frequency_hz": round(supply.frequency_hz, 3), "voltage_v": round(supply.voltage_v, 1)}
        await self._publish_measurement("grid", grid, balance.grid_w, present, now, wall)
        switch_open = site.switch.confirmed_open
        await self._publish_measurement("switch", {"open": switch_open}, 0.0, switch_open, now, wall)
        await self._publish_measurement("load", {"power_w": round(balance.load_w)}, balance.load_w, None, now, wall)
        if site.pv and not self.pv_by_gateway:
            await self._publish_measurement("pv", {"power_w": round(balance.pv_w)}, balance.pv_w, None, now, wall)
        if site.storage:
            first = site.storage[0]
            body: Body = {"power_w": round(balance.storage_w), "soc_pct": round(first.soc_pct, 1)}
            body |= {"max_charge_w": first.stage.spec.max_charge_w, "max_discharge_w": first.stage.spec.max_discharge_w}
            await self._publish_measurement("storage", body, balance.storage_w, None, now, wall)
        meter = site.meter
        if meter.window_start is not None:
            body = {"energy_wh": round(meter.window_wh, 1), "window_start": timestamp(meter.window_start)}
            body |= {"power_w": round(meter.power_w)}
            await self._publish_measurement("meter", body, meter.power_w, meter.window_start, now, wall)

    async def publish_input(self, kind: str, body: Body, wall: float) -> None:
        """Publish an input that no sensor measures, such as prices or a storm warning; retained."""
        payload = _payload({"ts": timestamp(wall), **body})
        bus = await self._open_bus()
        await bus.publish(BusMessage(f"{self.root}/site/input/{kind}", payload, qos=1, retain=True))

    async def _publish_measurement(
        self, kind: str, body: Body, watts: float, state: object, now: float, wall: float
    ) -> None:
        if kind in self.muted_inputs or self._bus is None:
            return
        published = self._published.get(kind)
        if published is not None:
            at, before, previous = published
            unchanged = abs(watts - before) < max(CHANGE_W, 0.05 * abs(before)) and previous == state
            if unchanged and now - at < REPUBLISH_AFTER_S[kind] - self.sense_every_s + 0.5:
                return
        self._published[kind] = (now, watts, state)
        payload = _payload({"ts": timestamp(wall), **body})
        try:
            await self._bus.publish(BusMessage(f"{self.root}/site/input/{kind}", payload, qos=1))
        except OSError:
            self._published.pop(kind, None)

    # Messages of the gateway

    def _apply_energy_state(self, energy: object) -> None:
        """Apply the published orders for load tiers, PV, main switch and storage; without one the site decides."""
        if self.site is None or not isinstance(energy, dict):
            return
        tiers = energy.get("tiers")
        names = {tier.spec.name for tier in self.site.loads.tiers}
        if isinstance(tiers, dict) and tiers and set(tiers) <= names:
            self.site.load_shedding.commanded_off = frozenset(name for name, on in tiers.items() if not on)
        limit = energy.get("pv_limit_w")
        for array in () if self.pv_by_gateway else self.site.pv:
            array.limit_w = float(limit) / len(self.site.pv) if isinstance(limit, (int, float)) else None
        position, obeyed = energy.get("main_switch"), self.live and self.online is not False
        self.site.switch_order = position if position in ("open", "closed") and obeyed else None
        forming = energy.get("forming")
        self.site.forming_order = forming if isinstance(forming, str) else None
        watts = energy.get("storage_w")
        rests = energy.get("phase") == "dark" and watts == 0
        for storage in self.site.storage:  # at its floor it does not start the island by itself
            storage.stage.grid_forming_ordered = False if rests else None
        if isinstance(watts, (int, float)) and self.site.storage:
            each = float(watts) / len(self.site.storage)
            for storage in self.site.storage:
                storage.command(each, self.clock.now())
        elif "storage_w" in energy:  # no order any more: end the previous one
            for storage in self.site.storage:
                if storage.policy == "idle":
                    storage.command(0.0, self.clock.now())

    def _clear_switch_order(self) -> None:
        """Leave the main switch to the site: the gateway is offline."""
        if self.site is not None:
            self.site.switch_order = None

    def _receive(self, message: BusMessage) -> None:
        levels = message.topic[len(self.root) + 1 :].split("/")
        try:
            body = json.loads(message.payload)
        except ValueError:
            return
        if not isinstance(body, dict):
            return
        kind, self.live = levels[-1], self.live or not message.retain
        name = "site" if levels[0] == "site" else levels[1] if len(levels) > 1 else ""
        if levels[0] == "gateway":
            self.online = body.get("state") == "online"
            if self.online:
                self._apply_energy_state(self.states.get("site", {}).get("energy"))
            else:
                self._clear_switch_order()
        elif kind == "state":
            self.states[name] = body
            if name == "site":
                self._apply_energy_state(body.get("energy"))
        elif kind == "telemetry":
            self.telemetry[name] = body
        elif kind == "event":
            self.events.append({"evse": name, **body})
        elif kind == "result":
            self.results.append({"evse": name, **body})
            results = self._results_by_command.setdefault(str(body.get("id")), CommandResults())
            results.results.append(body)
            results.first.set()
            if body.get("status") not in FIRST_STATUSES or body.get("status") == "refused":
                results.last.set()
