"""`v2x bench first-light`: time of a discharge command: MQTT command -> OCPP set-point accepted -> first current out.

All of `v2x demo` over real sockets in one process, with an EV whose charge loop takes 50 ms. No peer does the same end
to end; the reference in the same run is an MQTT echo through the same broker.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from dataclasses import replace
from typing import Any

import aiomqtt
from rich.console import Console

from emulators.demo import discharge
from emulators.demo.view import DemoView
from emulators.ev.car import CCS_63

COMMANDS = 200
POWER_W = 1_000.0
LOOP_S = 0.05
LEASE_S = 60.0


def main(json_output: bool, commands: int = COMMANDS) -> int:
    """Measure and print; return exit status 0."""
    figures = asyncio.run(measure(commands))
    if json_output:
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        for name, row in figures.items():
            print(f"{name:>32}  {row}")
    return 0


async def measure(commands: int = COMMANDS) -> dict[str, Any]:
    """Return p50 and p99 in ms over `commands` discharges, each from 0 W."""
    view = DemoView(Console(quiet=True))
    observer = discharge.Observer(view)
    car = replace(CCS_63, loop_s=LOOP_S)
    accepted, set_point, current = [], [], []
    async with discharge.running_parts(observer, car=car, commands_per_s=1000.0) as parts:
        facility, figures = parts.facility, observer.figures
        await facility.until("a session that can discharge", lambda: discharge.ready(facility.state))
        for number in range(commands):
            figures.setpoint_ms = figures.first_negative_current_ms = None
            name = f"bench-{number}"
            observer.commanded_at = time.perf_counter()
            await facility.command("discharge", id=name, power_w=POWER_W, lease_s=LEASE_S)
            await facility.result(name, "accepted", "clamped")
            accepted.append((time.perf_counter() - observer.commanded_at) * 1000)
            await facility.until("current out of the car", lambda: figures.first_negative_current_ms)
            set_point.append(figures.setpoint_ms or 0.0)
            current.append(figures.first_negative_current_ms or 0.0)
            await facility.command("stop", id=f"{name}-stop")
            await facility.until("no current", lambda: view.values.current_a > discharge.NEGATIVE_A)
        echo = await _echo(parts.gateway.config.mqtt.url, commands)
    return {
        "commands": commands,
        "command_to_accepted_ms": _quantiles(accepted),
        "command_to_setpoint_ms": _quantiles(set_point),
        "command_to_first_current_ms": _quantiles(current),
        "mqtt_echo_ms": _quantiles(echo),
        "charge_loop_s": LOOP_S,
        "setpoint_to_echo_ratio": round(statistics.median(set_point) / statistics.median(echo), 2),
    }


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


def _quantiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    last = len(ordered) - 1
    return {"p50": round(ordered[round(last * 0.5)], 2), "p99": round(ordered[round(last * 0.99)], 2)}
