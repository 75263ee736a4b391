"""`v2x bench mqtt`: from a command to its result `accepted`, journal on, beside an aiomqtt echo over the same broker.

Latency with one command at a time; throughput with many in progress over many EVSEs. Gateway, echo and brokers are
separate processes, as at a site.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import shutil
import socket
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import aiomqtt

from gateway.bench.measuring import Figures, p50_p99, progress, timed_ms
from gateway.bench.mqtt_peers import SITE, evse, make_client

EVSES = 50
IN_PROGRESS = 64
START_WITHIN_S = 20.0


def text(found: Figures) -> Iterator[str]:
    """Yield the figures of each broker as lines."""
    for name in ("mosquitto", "amqtt"):
        one = found[name]
        if "absent" in one:
            yield f"{name}: {one['absent']}"
            continue
        accepted, echo = one["accepted_ms"], one["echo_ms"]
        yield f"{name} (MQTT {one['protocol']}), journal in SQLite:"
        yield f"  command -> accepted  p50 {accepted['p50']:.2f} ms, p99 {accepted['p99']:.2f} ms"
        yield f"  bare aiomqtt echo    p50 {echo['p50']:.2f} ms, p99 {echo['p99']:.2f} ms; ratio {one['ratio_p50']}"
        yield f"  bare SQLite commit   p50 {one['bare_sqlite_commit_ms']['p50']:.2f} ms: the disk's share"
        yield f"  sustained            {one['commands_per_s']:.0f} commands/s, echo {one['echo_per_s']:.0f}/s"


async def figures(commands: int = 1000) -> Figures:
    """Return the figures for each broker, in ms and 1/s; an absent broker is null with the reason."""
    logging.getLogger("mqtt").setLevel(logging.ERROR)
    found: Figures = {"benchmark": "mqtt", "commands": commands}
    for name, broker, five in (("mosquitto", mosquitto, True), ("amqtt", _amqtt, False)):
        progress(f"{commands} commands over {name}")
        try:
            async with broker() as port:
                found[name] = await _measure(port, five, commands)
        except FileNotFoundError as error:
            found[name] = {"absent": str(error)}
    return found


async def _measure(port: int, five: bool, commands: int) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            _peer("echo", port, "5" if five else "3"),
            _peer("gateway", port, EVSES, f"sqlite:///{folder}/bench.db"),
            _client(port, five) as (client, waiting),
        ):
            request = partial(_request, client, waiting)
            echo = await _latency(lambda n: request("echo/request", _command(f"e{n}")), commands)
            accepted = await _latency(lambda n: request(_topic(n), _command(f"a{n}")), commands)
            echo_rate = await _rate(lambda n: request("echo/request", _command(f"f{n}")), 2 * commands)
            rate = await _rate(lambda n: request(_topic(n), _command(f"b{n}")), 2 * commands)
        floor = await asyncio.to_thread(_commit_floor, f"{folder}/floor.db")
    return {
        "protocol": "5" if five else "3.1.1",
        "echo_ms": echo,
        "accepted_ms": accepted,
        "bare_sqlite_commit_ms": floor,
        "over_echo_p50_ms": round(accepted["p50"] - echo["p50"], 3),
        "ratio_p50": round(accepted["p50"] / echo["p50"], 2),
        "commands_per_s": rate,
        "echo_per_s": echo_rate,
    }


def _commit_floor(path: str) -> dict[str, float]:
    """Return the time of one durable row in SQLite: what the disk takes of every command."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE floor (value TEXT)")
        row = ("x" * 1000,)
        return p50_p99([timed_ms(connection.execute, "INSERT INTO floor VALUES (?)", row)[1] for _ in range(200)])


def _topic(number: int) -> str:
    return f"v2x/1/{SITE}/evse/{evse(number % EVSES)}/cmd/discharge"


def _command(name: str) -> Figures:
    return {"id": name, "power_w": 3000, "lease_s": 600, "source": "bench"}


async def _request(client: aiomqtt.Client, waiting: dict[str, asyncio.Future[None]], topic: str, body: Figures) -> None:
    answered = waiting[body["id"]] = asyncio.get_running_loop().create_future()
    await client.publish(topic, json.dumps(body), qos=1)
    async with asyncio.timeout(10):
        await answered


async def _latency(request: Callable[[int], Awaitable[None]], times: int) -> dict[str, float]:
    for number in range(20):  # warm up
        await request(-1 - number)
    took = []
    for number in range(times):
        began = time.perf_counter()
        await request(number)
        took.append((time.perf_counter() - began) * 1000)
    return p50_p99(took)


async def _rate(request: Callable[[int], Awaitable[None]], times: int) -> float:
    gate = asyncio.Semaphore(IN_PROGRESS)

    async def one(number: int) -> None:
        async with gate:
            await request(number)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(times):
            tasks.create_task(one(number))
    return round(times / (time.perf_counter() - began), 1)


@asynccontextmanager
async def _client(port: int, five: bool) -> AsyncIterator[tuple[aiomqtt.Client, dict[str, asyncio.Future[None]]]]:
    """A facility: receives results and echoes, and resolves the futures that wait for them."""
    waiting: dict[str, asyncio.Future[None]] = {}
    async with make_client(port, five) as client:
        await client.subscribe(f"v2x/1/{SITE}/evse/+/result", qos=1)
        await client.subscribe("echo/answer", qos=1)

        async def receive() -> None:
            async for message in client.messages:
                body = json.loads(message.payload if isinstance(message.payload, bytes) else b"{}")
                answered = waiting.pop(body.get("id", ""), None)  # amqtt sends retained messages of others, too
                if answered is not None and not answered.done():
                    answered.set_result(None)

        receiving = asyncio.create_task(receive())
        try:
            yield client, waiting
        finally:
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)


@asynccontextmanager
async def _peer(*arguments: object) -> AsyncIterator[None]:
    """One of `mqtt_peers` as a process."""
    command = [sys.executable, "-m", "gateway.bench.mqtt_peers", *map(str, arguments)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(START_WITHIN_S):
            line = await process.stdout.readline()
        if line != b"ready\n":
            raise RuntimeError(f"the {arguments[0]} of the benchmark did not start")
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def mosquitto() -> AsyncIterator[int]:
    path = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if path is None:
        raise FileNotFoundError("mosquitto is not installed; install it with: apt-get install mosquitto")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "mosquitto.conf"
        config.write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nmax_queued_messages 10000\n"
        )
        silent = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(path, "-c", str(config), stdout=silent, stderr=silent)
        try:
            await _listening(port)
            yield port
        finally:
            process.kill()
            await process.wait()


@asynccontextmanager
async def _amqtt() -> AsyncIterator[int]:
    from emulators.runtime.embedded_broker import EmbeddedBroker

    async with EmbeddedBroker() as broker:
        yield broker.port


async def _listening(port: int) -> None:
    async with asyncio.timeout(START_WITHIN_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            await writer.wait_closed()
            return
