"""`v2x demo`: one discharge, from an MQTT command to the vehicle battery, over real sockets in one process.

The parts are a broker, the gateway, a charging station with an SECC, a vehicle, and a facility that is an MQTT client
and follows `docs/mqtt.md`. This is a composition root: it connects and observes the parts.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

import aiomqtt
from rich.console import Console

from emulators.charger.hardware.meter import Meter, MeterSpec
from emulators.charger.hardware.power_stage import PowerStage
from emulators.charger.station import run as charger_run
from emulators.charger.station.run import Charger
from emulators.charger.station.secc_power_path import SeccPowerPath
from emulators.demo.observer import REQUESTED_W, SOC_PCT, Figures, Observer
from emulators.demo.timeline import Timeline, in_words, make_timeline
from emulators.ev.car import CCS_63, Car, CarSpec
from emulators.ev.session import EvSession
from emulators.runtime.clock import RealClock
from emulators.runtime.embedded_broker import EmbeddedBroker
from gateway.app import Gateway, gateway
from gateway.config import Config
from protocols.iso15118 import io as iso15118_io
from protocols.iso15118.iso20 import events

Body = dict[str, Any]  # JSON object of a message

SITE, STATION, EVSE = "demo", "CP1", "CP1-1"
ROOT = f"v2x/1/{SITE}"
LOOPBACK = "127.0.0.1"  # not every machine has IPv6
LINKS = {"iso15118": "ISO 15118-20", "ocpp": "OCPP 2.1", "mqtt": "MQTT"}
SUBSCRIBED = ("state", "telemetry", "result", "event")
MIN_LEASE_S, MAX_LEASE_S = 5.0, 3600.0
STEP_WITHIN_S = 30.0  # timeout of each step of the demo
NO_DELAY = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]  # otherwise Nagle's algorithm delays QoS 1 by 44 ms
ZERO_W = 50.0  # standby consumption of the station: counts as 0 W


class DemoError(Exception):
    """A step of the demo failed; the message names it."""


class Facility:
    """Facility: publishes commands and keeps the received messages."""

    def __init__(self, client: aiomqtt.Client, observer: Observer, evse: str = EVSE) -> None:
        self._client, self._observer, self._evse = client, observer, evse
        self.state: Body = {}
        self.telemetry: Body = {}
        self.results: list[Body] = []
        self.events: list[Body] = []

    async def listen(self) -> None:
        """Receive messages until cancelled."""
        for topic in SUBSCRIBED:
            await self._client.subscribe(f"{ROOT}/evse/{self._evse}/{topic}", qos=1)
        counts = self._observer.figures.messages
        async for message in self._client.messages:
            counts["mqtt"] += 1
            topic, body = message.topic.value.removeprefix(ROOT + "/"), json.loads(bytes(message.payload or b"null"))
            if topic == f"evse/{self._evse}/state":
                before, self.state = _state_in_words(self.state), body
                if (words := _state_in_words(body)) != before:
                    self._print(words)
            elif topic == f"evse/{self._evse}/telemetry":
                self.telemetry = body
            elif topic == f"evse/{self._evse}/result":
                self.results.append(body)
                self._print(f"result of {body['id']}: {body['status']}, {in_words(body['effective_w'])}")
            elif topic == f"evse/{self._evse}/event":
                self.events.append(body)
                words, text = body["event"].replace("_", " "), (body["reason"] or {}).get("text") or body["text"]
                self._print(f"{words}: {text}" if text else words)
            self._observer.changed.set()

    def _print(self, text: str) -> None:
        self._observer.line("gateway → facility", text)

    async def command(self, verb: str, **fields: Any) -> None:
        """Publish one command, never retained."""
        self._observer.figures.messages["mqtt"] += 1
        self._observer.line("facility → gateway", f"command {verb} {json.dumps(fields)}")
        await self._client.publish(f"{ROOT}/evse/{self._evse}/cmd/{verb}", json.dumps(fields), qos=1)

    async def until(self, what: str, reached: Any, within: float = STEP_WITHIN_S) -> Any:
        """Wait until `reached()` returns a true value; DemoError names `what` was missing."""
        try:
            async with asyncio.timeout(within):
                while not (found := reached()):
                    self._observer.changed.clear()
                    await self._observer.changed.wait()
                return found
        except TimeoutError:
            raise DemoError(f"timeout after {within:.0f} s: {what}; state: {self.state}") from None

    async def result(self, command: str, *statuses: str, within: float = STEP_WITHIN_S) -> Body:
        """Return the first result of a command with one of these statuses."""

        def found() -> Body | None:
            return next((one for one in self.results if one["id"] == command and one["status"] in statuses), None)

        answer: Body = await self.until(f"a result of {command} ({', '.join(statuses)})", found, within)
        return answer


def _state_in_words(state: Body) -> str:
    if not state:
        return ""
    session, granted = state["session_state"].replace("_", " "), in_words(state["effective_w"])
    return f"state: {session}, {granted} granted (limit: {state['binding']})"


def configuration(mqtt_url: str, commands_per_s: float = 5.0) -> Config:
    """Return the gateway configuration of the demo: one station, loopback only, no persistence."""
    return Config.model_validate(
        {
            "site": {"id": SITE, "import_limit_w": 50_000, "export_limit_w": 10_000, "min_soc_pct": 30},
            "mqtt": {"url": mqtt_url, "gateway_id": "demo"},
            "ocpp": {"listen": "127.0.0.1:0", "security_profile": 0, "unknown_stations": "reject"},
            "stations": [{"id": STATION}],
            "commands": {"evse_rate_per_s": commands_per_s, "source_rate_per_s": commands_per_s},
            "store": {"url": "memory:"},
            "web": {"listen": "127.0.0.1:0"},
        }
    )


@dataclass
class Parts:
    """Running parts of the demo."""

    gateway: Gateway
    charger: Charger
    facility: Facility
    session: EvSession
    driving: asyncio.Task[events.SessionEnded]
    observer: Observer

    @property
    def car(self) -> Car:
        return self.session.car

    @property
    def stage(self) -> PowerStage:
        """Power stage of the charger."""
        return _secc(self.charger).stage

    @property
    def metered_wh(self) -> float:
        """Discharge register of the charger's meter."""
        return self.stage.meter.discharged_wh


@asynccontextmanager
async def running_parts(
    observer: Observer, *, broker_url: str | None = None, car: CarSpec = CCS_63, commands_per_s: float = 5.0
) -> AsyncIterator[Parts]:
    """Run broker, gateway, charger, facility and vehicle while the context is entered."""
    if broker_url is None:
        async with (
            EmbeddedBroker() as broker,
            running_parts(observer, broker_url=broker.url, car=car, commands_per_s=commands_per_s) as parts,
        ):
            yield parts
        return
    address = urlsplit(broker_url)
    async with (
        gateway(configuration(broker_url, commands_per_s)) as running,
        aiomqtt.Client(
            address.hostname or "127.0.0.1", address.port or 1883, identifier="facility", socket_options=NO_DELAY
        ) as client,
    ):
        facility = Facility(client, observer)
        url = f"ws://127.0.0.1:{running.ocpp_port}/ocpp"
        options = charger_run.Options(url, STATION, secc=f"{LOOPBACK}:0", meter_interval_s=1.0)
        charger = await charger_run.make(options, on_ocpp=observer.ocpp)
        _secc(charger).stage.meter = Meter(MeterSpec(resolution_wh=0.01))  # the demo is short
        session = EvSession(Car(car, soc_pct=SOC_PCT), RealClock(), observer.car, trace=True)
        async with asyncio.TaskGroup() as tasks:
            background = [tasks.create_task(facility.listen()), tasks.create_task(charger.run())]
            await facility.until("charger online", lambda: facility.state.get("connection") == "connected")
            driving = tasks.create_task(_drive(session, charger.ports[0]))
            try:
                yield Parts(running, charger, facility, session, driving, observer)
            finally:
                await session.unplug()
                await charger.stop()
                for task in (driving, *background):
                    task.cancel()
                await asyncio.gather(driving, *background, return_exceptions=True)


def _secc(charger: Charger) -> SeccPowerPath:
    power_path = charger.power_paths[0]
    assert isinstance(power_path, SeccPowerPath)
    return power_path


async def _drive(session: EvSession, port: int) -> events.SessionEnded:
    return await session.run(await iso15118_io.connect(LOOPBACK, port))


async def run_steps(parts: Parts, seconds: float) -> None:
    """Negotiate, discharge, let the lease expire, stop, unplug."""
    facility, observer, figures = parts.facility, parts.observer, parts.observer.figures
    heading = observer.timeline.heading

    heading("1. The vehicle and the charger negotiate a session")
    await facility.until("session ready to discharge", lambda: ready(facility.state))
    figures.soc_start_pct = round(parts.car.soc_pct, 4)
    battery_wh, meter_wh = parts.car.pack.energy_out_wh, parts.metered_wh

    heading(f"2. The facility commands a discharge of {REQUESTED_W:.0f} W with a lease of {seconds:.0f} s")
    observer.commanded_at = time.perf_counter()
    await facility.command("discharge", id="demo-1", power_w=REQUESTED_W, lease_s=seconds, source="demo")
    first = await facility.result("demo-1", "accepted", "clamped", "refused")
    figures.accepted_ms = round((time.perf_counter() - observer.commanded_at) * 1000, 1)
    figures.effective_w, figures.binding = first["effective_w"], first["binding"]
    if first["status"] == "refused":
        raise DemoError(f"the gateway refused: {first['reason']['text']}")
    final = await facility.result("demo-1", "achieved", "failed", "lease_expired", within=seconds + STEP_WITHIN_S)
    figures.achieved = final["status"] == "achieved"

    heading("3. The battery discharges; the facility does not renew the lease")
    await facility.until(
        "end of the lease",
        lambda: any(one["event"] == "lease_ended" for one in facility.events),
        seconds + STEP_WITHIN_S,
    )
    await facility.until("0 W after the lease", lambda: _at_zero(facility), within=STEP_WITHIN_S)
    figures.lease_ended = facility.state["session_state"] == "in_session"
    figures.energy_from_battery_wh = round(parts.car.pack.energy_out_wh - battery_wh, 3)
    figures.energy_at_meter_wh = round(parts.metered_wh - meter_wh, 3)
    if figures.energy_from_battery_wh > 0:
        figures.efficiency = round(figures.energy_at_meter_wh / figures.energy_from_battery_wh, 4)
    figures.soc_end_pct = round(parts.car.soc_pct, 4)

    heading("4. The vehicle is at 0 W in its session, which ends in order")
    await facility.command("stop", id="demo-2", source="demo")
    await facility.result("demo-2", "accepted", "achieved")
    parts.session.stop()
    async with asyncio.timeout(STEP_WITHIN_S):
        ended = await parts.driving
    if not ended.ok:
        raise DemoError(f"the vehicle's session failed: {ended.reason}")
    await facility.until("end of the session", lambda: facility.state["session_state"] == "available")


def ready(state: Body) -> bool:
    """Return whether the state permits a discharge command now."""
    return state.get("session_state") == "in_session" and state["available"]["max_discharge_w"] > 0


def _at_zero(facility: Facility) -> bool:
    power = facility.telemetry.get("power_w")
    return facility.state["effective_w"] == 0 and power is not None and abs(power) <= ZERO_W


def causes(group: BaseExceptionGroup[BaseException]) -> str:
    """Return the texts of the errors in a group and in the groups within it."""
    return "; ".join(causes(one) if isinstance(one, BaseExceptionGroup) else str(one) for one in group.exceptions)


async def run(*, seconds: float = 10.0, json_output: bool = False, broker_url: str | None = None) -> int:
    """Run the demo once. Exit status 0 if the discharge was achieved, else 1."""
    timeline = make_timeline(json_output)
    seconds = min(max(seconds, MIN_LEASE_S), MAX_LEASE_S)
    problem: str | None = None
    observer = Observer(timeline)
    timeline.paragraph("One discharge over real sockets in one process: MQTT broker, gateway, charger and vehicle.", "")
    try:
        async with running_parts(observer, broker_url=broker_url) as parts:
            timeline.page(parts.gateway.web_port)
            await run_steps(parts, seconds)
    except* DemoError as group:
        problem = causes(group)
    figures = observer.figures
    if problem is not None:
        figures.achieved = False
        Console(stderr=True).print(f"v2x demo: {problem}", highlight=False, soft_wrap=True)
    if json_output:
        sys.stdout.write(json.dumps(asdict(figures)) + "\n")
    elif problem is None:
        _print_summary(timeline, figures, seconds)
    return 0 if figures.achieved else 1


def _print_summary(timeline: Timeline, figures: Figures, seconds: float) -> None:
    """Print what happened, and what to try next."""
    losses_wh = figures.energy_from_battery_wh - figures.energy_at_meter_wh
    timeline.heading("What happened")
    timeline.paragraph(
        f"The facility commanded {figures.requested_w:.0f} W out of the vehicle for {seconds:.0f} s. The gateway "
        f"granted {in_words(figures.effective_w)} (limit: {figures.binding}) and the meter "
        f"{'showed it' if figures.achieved else 'did NOT show it'}. When the lease ended the power went to 0 W"
        + (" and the session continued until the vehicle left." if figures.lease_ended else ".")
    )
    timeline.table(
        [
            ("out of the battery", f"{figures.energy_from_battery_wh:.2f} Wh"),
            ("at the meter", f"{figures.energy_at_meter_wh:.2f} Wh, {losses_wh:.2f} Wh were lost on the way"),
            ("state of charge", f"{figures.soc_start_pct:.3f} % before, {figures.soc_end_pct:.3f} % after"),
            ("command to result", f"{figures.accepted_ms} ms"),
            ("command to set-point", f"{figures.setpoint_ms} ms, accepted by the charger"),
            ("command to current", f"{figures.first_negative_current_ms} ms"),
            ("messages", ", ".join(f"{count} {LINKS[name]}" for name, count in figures.messages.items())),
        ]
    )
    timeline.heading("What to try next")
    timeline.commands(
        [
            ("v2x demo outage", "A shelter loses the grid at dusk and is supplied by vehicles, in about a minute."),
            ("v2x sim evening-at-home --report out", "Simulate a site; out/report.html shows powers and limits."),
            (
                "v2x gateway -c examples/first-light/gateway.toml",
                "Run the gateway alone; docs/start/facility-controller.md continues with broker, station and vehicle.",
            ),
        ]
    )
