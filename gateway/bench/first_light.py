"""`v2x bench first-light`: time of a discharge command: MQTT command -> OCPP set-point accepted -> first current out.

All of `v2x demo` over real sockets in one process, with an EV whose charge loop takes 50 ms. No peer does the same end
to end; the reference in the same run is an MQTT echo through the same broker.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import replace

import aiomqtt
from rich.console import Console

from emulators.demo import discharge
from emulators.demo.observer import NEGATIVE_A, Observer
from emulators.demo.timeline import Timeline
from emulators.ev.car import CCS_63
from gateway.bench.measuring import Figures, p50_p99, progress

COMMANDS = 200
POWER_W = 1_000.0
LOOP_S = 0.05
LEASE_S = 60.0


async def figures(commands: int = COMMANDS) -> Figures:
    """Return p50 and p99 in ms over `commands` discharges, each from 0 W."""
    observer = Observer(Timeline(Console(quiet=True)))
    car = replace(CCS_63, loop_s=LOOP_S)
    accepted, set_point, current = [], [], []
    progress(f"{commands} discharges")
    async with discharge.running_parts(observer, car=car, commands_per_s=1000.0) as parts:
        facility, observed = parts.facility, observer.figures
        await facility.until("a session that can discharge", lambda: discharge.ready(facility.state))
        for number in range(commands):
            observed.setpoint_ms = observed.first_negative_current_ms = None
            name = f"bench-{number}"
            observer.commanded_at = time.perf_counter()
            await facility.command("discharge", id=name, power_w=POWER_W, lease_s=LEASE_S)
            await facility.result(name, "accepted", "clamped")
            accepted.append((time.perf_counter() - observer.commanded_at) * 1000)
            await facility.until("current out of the car", lambda: observed.first_negative_current_ms)
            set_point.append(observed.setpoint_ms or 0.0)
            current.append(observed.first_negative_current_ms or 0.0)
            await facility.command("stop", id=f"{name}-stop")
            await facility.until("no current", lambda: observer.current_a > NEGATIVE_A)
        progress("the echo of the broker")
        echo = await _echo(parts.gateway.config.mqtt.url, commands)
    return {
        "commands": commands,
        "command_to_accepted_ms": p50_p99(accepted, 2),
        "command_to_setpoint_ms": p50_p99(set_point, 2),
        "command_to_first_current_ms": p50_p99(current, 2),
        "mqtt_echo_ms": p50_p99(echo, 2),
        "charge_loop_s": LOOP_S,
        "setpoint_to_echo_ratio": round(statistics.median(set_point) / statistics.median(echo), 2),
    }


def text(found: Figures) -> Iterator[str]:
    """Yield one line for each figure."""
    return (f"{name:>32}  {row}" for name, row in found.items())


async def _echo(url: str, times: int) -> list[float]:
    """Return the times of the echo: one client publishes at QoS 1 and waits for its own message."""
    host, _, port = url.removeprefix("mqtt://").partition(":")
    found = []
    async with aiomqtt.Client(host, int(port), identifier="echo", socket_options=discharge.NO_DELAY) as client:
        await client.subscribe("echo", qos=1)
        messages = client.messages
        for _ in range(times):
            began = time.perf_counter()
            await client.publish("echo", b"x", qos=1)
            await anext(messages)
            found.append((time.perf_counter() - began) * 1000)
    return found
