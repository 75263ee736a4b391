"""`v2x bench hostile`: a command to one station while others, strangers or guessers attack the same gateway.

A gateway process with an emulated station and a car gets discharge commands over its admin API, first without an
attack, then during each one. The attackers are a process of their own at another address (127.0.0.2). Read the ratios
and the growth of memory; the aim for p99 is below one second. The last row is no attack: a thousand stations with
passwords, of which the gateway has the hashes, connect at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.bench.hostile_attacks import ATTACKERS, ATTACKS, BOOT_STORM, PASSWORD, STORM, TLS
from gateway.bench.measuring import Figures, p50_p99, progress, resident_kib
from protocols.iso15118 import pki

SECONDS, PAUSE_S = 8.0, 0.05
AIM_P99_MS = 1000.0
STORM_STATIONS = 1000
PATH = "/admin/v1/evses/CP1-1/commands"
CONFIG = """
[mqtt]
url = "mqtt://127.0.0.1:9"
[store]
url = "memory:"
[ocpp]
listen = "127.0.0.1:0"
tls_listen = "127.0.0.1:{tls}"
tls_cert = "secc.pem"
tls_key = "secc.key"
unknown_tokens = "accept"
inventory = false
[admin]
listen = "127.0.0.1:0"
token = false
[commands]
evse_rate_per_s = 100
source_rate_per_s = 100
"""
STATION = '[[stations]]\nid = "{0}"\npassword_file = "password"\nmax_discharge_w = 10000\n'


async def figures(
    seconds: float = SECONDS, attacks: tuple[str, ...] = (*ATTACKS, BOOT_STORM), stations: int = STORM_STATIONS
) -> Figures:
    """Return one row for each attack; `ok`: every command was accepted, p99 below the aim; every station was served."""
    with tempfile.TemporaryDirectory() as folder:
        async with _gateway(Path(folder)) as (pid, ocpp, tls, admin), _station(ocpp):
            if BOOT_STORM in attacks:
                await asyncio.to_thread(_register, admin, stations)
            await asyncio.to_thread(_command_until_accepted, admin)
            progress("without an attack")
            calm = await asyncio.to_thread(_commands, admin, seconds)
            rows = []
            for name in attacks:
                progress(name)
                before = resident_kib(pid) or 0
                row = await _attacked(name, tls if name == TLS else ocpp, admin, seconds, stations)
                grown_mb = ((resident_kib(pid) or 0) - before) / 1024
                ratio = round(row["p99"] / calm["p99"], 1) if calm["p99"] else None
                rows.append({"attack": name, **row, "p99_ratio": ratio, "memory_growth_mb": round(grown_mb, 1)})
                await asyncio.sleep(1.0)
    ok = all(row["accepted"] == row["commands"] > 0 and row["p99"] < AIM_P99_MS for row in rows)
    ok = ok and all(row["served"] == stations for row in rows if row["attack"] == BOOT_STORM)
    return {"benchmark": "hostile", "ok": ok, "seconds": seconds, "without_attack": calm, "attacks": rows}


def text(found: Figures) -> Iterator[str]:
    """Yield the figures as a table."""
    yield f"{'attack':20}{'commands':>9}{'accepted':>9}{'p50 ms':>9}{'p99 ms':>9}{'ratio':>7}{'memory MB':>11}  sent"
    calm = {"attack": "none", "p99_ratio": 1.0, "memory_growth_mb": 0.0, "sent_mb": 0, "requests": 0}
    for row in (calm | found["without_attack"], *found["attacks"]):
        yield (
            f"{row['attack']:20}{row['commands']:9}{row['accepted']:9}{row['p50']:9}{row['p99']:9}{row['p99_ratio']:7}"
            f"{row['memory_growth_mb']:11}  {row['sent_mb']} MB, {row['requests']} requests"
        )


def _register(port: int, stations: int) -> None:
    """Register stations of the storm with a password, which is hashed."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        for number in range(stations):
            body, headers = json.dumps({"basic_auth_password": PASSWORD}), {"Content-Type": "application/json"}
            connection.request("PUT", f"/admin/v1/stations/{STORM}{number}", body, headers)
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                raise RuntimeError(f"a station was not registered: {response.status}")


async def _attacked(name: str, port: int, admin: int, seconds: float, stations: int) -> Figures:
    """Return the figures of commands during an attack, and what the attackers sent."""
    command = ("-m", "gateway.bench.hostile_attacks", name, str(port), str(seconds + 1.0), str(stations))
    attackers = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=subprocess.PIPE)
    try:
        if name != BOOT_STORM:  # else its beginning counts
            await asyncio.sleep(1.0)
        row = await asyncio.to_thread(_commands, admin, seconds)
        out, _ = await attackers.communicate()
        return {**row, **json.loads(out)}
    finally:
        if attackers.returncode is None:
            attackers.kill()
            await attackers.wait()


@asynccontextmanager
async def _gateway(folder: Path) -> AsyncIterator[tuple[int, int, int, int]]:
    """Run a gateway process; yield its process id and its ports for stations, with TLS too, and for the admin API."""
    pki.create_set(folder, "p256")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        tls = free.getsockname()[1]
    (folder / "password").write_text(PASSWORD)
    names = ("CP1", *(f"{ATTACKERS}{number}" for number in range(8)))
    (folder / "gateway.toml").write_text(CONFIG.format(tls=tls) + "".join(STATION.format(name) for name in names))
    command = ("-m", "gateway.cli", "gateway", "-c", "gateway.toml")
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(sys.executable, *command, cwd=folder, stderr=log)
        try:
            async with asyncio.timeout(60):
                while not (ready := _ready(folder / "log")):
                    if process.returncode is not None:
                        raise RuntimeError((folder / "log").read_text()[-2000:])
                    await asyncio.sleep(0.1)
            yield process.pid, ready["ocpp_port"], tls, ready["admin_port"]
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


def _ready(log: Path) -> Figures:
    lines = log.read_text().splitlines()
    found: Figures = next((json.loads(line) for line in lines if line.startswith('{"event": "ready"')), {})
    return found


@asynccontextmanager
async def _station(port: int) -> AsyncIterator[None]:
    """Run the emulated station that is commanded, with a car."""
    from emulators.charger.station.run import Options, make, plug_in_cars
    from emulators.ev import profile

    options = Options(f"ws://127.0.0.1:{port}/ocpp", "CP1", password=PASSWORD, car="ccs-63", meter_interval_s=2.0)
    charger = await make(options)
    plug_in_cars(charger, profile.load("ccs-63"), 80.0)
    running = asyncio.create_task(charger.run())
    try:
        yield
    finally:
        await charger.stop()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _command_until_accepted(port: int) -> None:
    """Wait for the session of the car."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if _commands(port, 0.2)["accepted"]:
            return
        time.sleep(0.5)
    raise RuntimeError("no discharge was accepted without an attack")


def _commands(port: int, seconds: float) -> Figures:
    """Send discharge commands one after the other; return their number and how long their answers took, in ms."""
    times, accepted = [], 0
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    until = time.monotonic() + seconds
    with contextlib.closing(connection):
        while time.monotonic() < until:
            number = time.time_ns()
            body = {"verb": "discharge", "id": f"h{number}", "power_w": 2000 + number % 3000, "lease_s": 60}
            began = time.perf_counter()
            connection.request("POST", PATH, json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read())
            times.append((time.perf_counter() - began) * 1000)
            accepted += answer.get("status") in ("accepted", "clamped")
            time.sleep(PAUSE_S)
    return {"commands": len(times), "accepted": accepted, **p50_p99(times, 1)}
