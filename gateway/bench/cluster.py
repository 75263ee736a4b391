"""`v2x bench cluster`: commands, messages and a reconnect storm at 1, 2 and 4 gateways over NATS and Postgres.

One site for each gateway, and several gateways with one site for the smallest fleet: there messages of stations cross
NATS to its holder. Stations connect to any gateway, as a balancer distributes them. Commands come over Mosquitto;
`p99_ms` is from a command to its result `accepted`, one at a time. CPU is that of all gateways together: on a machine
with few cores its growth per message from one gateway to several shows what the cluster costs, the rates do not show
what several machines reach. Stations are light ones in processes of their own, without TLS and passwords. These have a
lower priority (`STATIONS_NICE`), because in reality they are other machines that take no time of the gateways; a
station whose handshake is rejected comes back after `Retry-After`.

Messages are measured in two ways. As many as the machine processes: the more gateways share its cores, the fewer
messages wait for each when it runs and the more often it wakes for one alone, so that the growth contains what sharing
costs. And at loads below saturation (`paced`): `LOAD_PER_S` in all, as one site needs it, and `GATEWAY_LOAD_PER_S` for
each gateway, as a fleet that grows has it. The same stations send in every load of a row, and have begun their sessions
before. `fixed_cpu_ms_per_s` is what the gateways take meanwhile without these messages, and part of all figures.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiomqtt

from gateway.bench.cluster_parts import Gateways, gateways, nats, postgres, site_files, site_of, usage
from gateway.bench.measuring import Figures, JsonProcess, PeerAbsent, p50_p99, progress
from gateway.bench.mqtt import mosquitto
from gateway.bench.mqtt_peers import evse, make_client

GATEWAYS = (1, 2, 4)
STATIONS = (1000, 10_000)
SESSIONS = 200  # stations with a vehicle, which are commanded
SECONDS = 5.0  # of messages, under each load
WARM_UP_S = 1.25  # of messages before each of them; the first ones of a station begin a session
COMMANDS_S = 8.0  # of commands one at a time, and again with `IN_PROGRESS`
IN_PROGRESS = 32
OUTSTANDING = 200  # messages of stations that wait for their response
LOAD_PER_S, GATEWAY_LOAD_PER_S = 600.0, 300.0  # messages below saturation: of all, and of each gateway
STORM_COMMANDS_PER_S = 20.0
PER_PROCESS = 5000  # stations of one process
STATIONS_NICE = 10  # of these processes
ROW_WITHIN_S = 1800.0  # all of one row; what takes longer is given up, with the reason
SETTLE_S = 3.0
BELOW = {
    "same_load": f"at {LOAD_PER_S:g}/s",
    "same_load_per_gateway": f"at {GATEWAY_LOAD_PER_S:g}/s of each gateway",
}
AIM_STORM_P99_MS, AIM_CPU_GROWTH = 1000.0, 1.2


async def figures(gateways: Sequence[int] = GATEWAYS, stations: Sequence[int] = STATIONS) -> Figures:
    """Return the figures of each number of gateways and stations; without a server, the reason (`absent`)."""
    logging.getLogger("mqtt").setLevel(logging.ERROR)
    found: Figures = {"benchmark": "cluster", "ok": True, "rows": []}
    try:
        for fleet in stations:
            for number in gateways:
                storms = fleet == max(stations) and number == max(gateways)
                found["rows"].append(await _row(number, number, fleet, storms))
                if fleet == min(stations) and number > 1:
                    found["rows"].append(await _row(number, 1, fleet, storms=False))
    except (PeerAbsent, FileNotFoundError) as error:
        return {"benchmark": "cluster", "ok": False, "absent": str(error)}
    rows = found["rows"]
    found["cpu_growth"] = growth(rows)
    found["ok"] = all("failed" not in row and row["accepted"] == row["commands"] > 0 for row in rows)
    return found


async def _row(number: int, sites: int, stations: int, storms: bool) -> Figures:
    """Return the figures of one row; one that cannot be measured has the reason (`failed`), and the next one begins."""
    row: Figures = {"gateways": number, "sites": sites, "stations": stations}
    began = time.perf_counter()
    try:
        async with asyncio.timeout(ROW_WITHIN_S):
            await _measure(row, storms)
    except TimeoutError:
        row["failed"] = f"not measured within {ROW_WITHIN_S:.0f} s"
    except RuntimeError as error:
        row["failed"] = str(error)
    row["took_s"] = round(time.perf_counter() - began)
    progress(f"{stations} stations at {number} gateways with {sites} sites: {row.get('failed', 'done')}")
    return row


def growth(rows: Sequence[Figures]) -> list[Figures]:
    """Return the CPU per message of several gateways over that of one, by stations, gateways and sites.

    `ratio`: with as many messages as the machine processes; `same_load` and `same_load_per_gateway`: below that.
    """
    rows = [row for row in rows if "cpu_us_per_message" in row]
    alone = {row["stations"]: _costs(row) for row in rows if row["gateways"] == 1}
    return [
        {"stations": row["stations"], "gateways": row["gateways"], "sites": row["sites"]}
        | {name: round(cost / of_one[name], 2) for name, cost in _costs(row).items() if name in of_one}
        for row in rows
        if row["gateways"] > 1 and (of_one := alone.get(row["stations"]))
    ]


def _costs(row: Figures) -> Figures:
    """Return the CPU per message of a row under each load, by the name of its growth."""
    paced = {one["per_s"]: one["cpu_us_per_message"] for one in row.get("paced", ())}
    loads = {"same_load": LOAD_PER_S, "same_load_per_gateway": GATEWAY_LOAD_PER_S * row["gateways"]}
    found = {name: paced[per_s] for name, per_s in loads.items() if per_s in paced}
    return {"ratio": row["cpu_us_per_message"], **found}


def text(found: Figures) -> Iterator[str]:
    """Yield the figures as a table."""
    if "absent" in found:
        yield found["absent"]
        return
    yield (
        f"{'gateways':>8}{'sites':>6}{'stations':>9}{'commands/s':>11}{'p50 ms':>8}{'p99 ms':>8}{'messages/s':>11}"
        f"{'p99 ms':>8}{'CPU us':>8}{'NATS us':>8}{'kB idle':>8}{'connect s':>10}"
    )
    for row in found["rows"]:
        if "failed" in row:
            yield f"{row['gateways']:8}{row['sites']:6}{row['stations']:9}  {row['failed']}"
            continue
        yield (
            f"{row['gateways']:8}{row['sites']:6}{row['stations']:9}{row['commands_per_s']:11}{row['p50_ms']:8}{row['p99_ms']:8}"
            f"{row['messages_per_s']:11}{row['message_p99_ms']:8}{row['cpu_us_per_message']:8}"
            f"{row['nats_us_per_message']:8}{row['idle_kb_per_station']:8}{row['connect_s']:10}"
        )
    for one in found["cpu_growth"]:
        what = f"{one['stations']} stations, {one['gateways']} gateways, {one['sites']} sites"
        below = "".join(f", {one[name]} {of}" for name, of in BELOW.items() if name in one)
        yield f"CPU per message, {what}, over one gateway: {one['ratio']} saturated{below} (aim {AIM_CPU_GROWTH})"
    for row in found["rows"]:
        if "storm" in row:
            storm = row["storm"]
            yield (
                f"reconnect storm of {storm['stations']} stations at {row['gateways']} gateways: half served after "
                f"{storm['half_served_s']} s, all after {storm['served_s']} s; a discharge command meanwhile p50 "
                f"{storm['p50_ms']} ms, p99 {storm['p99_ms']} ms (aim {AIM_STORM_P99_MS:g})"
            )


def sessions_of(stations: int) -> int:
    """Return how many stations have a vehicle."""
    return min(SESSIONS, stations // 2)


@dataclass
class _Rig:
    """Parts that run during the measurement of one row."""

    gateways: Gateways
    nats: int  # process id
    load: list[JsonProcess]
    facility: Facility

    async def all(self, request: str, **arguments: object) -> list[Figures]:
        """Return the answers of all processes of stations to one request."""
        asking = (asyncio.to_thread(one.request, request=request, **arguments) for one in self.load)
        return list(await asyncio.gather(*asking))


async def _measure(row: Figures, storms: bool) -> None:
    """Add the figures to a row; those that were measured before an error stay."""
    number, sites, stations = row["gateways"], row["sites"], row["stations"]
    async with _rig(number, sites, stations) as rig:
        progress(f"{stations} stations at {number} gateways: connections")
        before = rig.gateways.usage()
        connected = await rig.all("connect")
        row["connect_s"] = max(one["took_s"] for one in connected)
        row["connected"] = sum(one["connected"] for one in connected)
        if row["connected"] < stations:
            raise RuntimeError(f"{row['connected']} of {stations} stations were served within {row['connect_s']:.0f} s")
        await asyncio.sleep(SETTLE_S)
        idle = rig.gateways.usage()
        row["idle_kb_per_station"] = round((idle["rss_kb"] - before["rss_kb"]) / stations, 1)
        row["connect_cpu_ms_per_station"] = round(1000 * (idle["cpu_s"] - before["cpu_s"]) / stations, 2)
        progress(f"{stations} stations at {number} gateways: messages")
        row |= await _messages(rig)
        progress(f"{stations} stations at {number} gateways: commands")
        row |= await _commands(rig, sessions_of(stations))
        if storms:
            progress(f"{stations} stations at {number} gateways: reconnect storm")
            row["storm"] = await _storm(rig, sessions_of(stations))


async def _messages(rig: _Rig) -> Figures:
    outstanding, number = OUTSTANDING // len(rig.load), len(rig.gateways.pids)
    await rig.all("load", seconds=WARM_UP_S, outstanding=outstanding)
    await asyncio.sleep(SETTLE_S)
    before, began = rig.gateways.usage(), time.perf_counter()
    await asyncio.sleep(SECONDS)
    fixed = _difference(before, rig.gateways.usage())["cpu_s"] / (time.perf_counter() - began)
    paced = []
    for per_s in sorted({LOAD_PER_S, number * GATEWAY_LOAD_PER_S}):
        await rig.all("load", seconds=WARM_UP_S, per_s=per_s / len(rig.load))
        paced.append({"per_s": per_s} | await _load(rig, per_s=per_s / len(rig.load)))
    await rig.all("load", seconds=WARM_UP_S, outstanding=outstanding)
    most = await _load(rig, outstanding=outstanding)
    return {"fixed_cpu_ms_per_s": round(1000 * fixed, 1), "paced": paced} | most


async def _load(rig: _Rig, **load: float) -> Figures:
    """Return what messages cost under a load, by process too."""
    pids = {"nats": [rig.nats], "stations": [one.pid for one in rig.load]}
    pids |= {f"gateway {number}": [pid] for number, pid in enumerate(rig.gateways.pids, 1)}

    def usages() -> dict[str, list[Figures]]:
        return {name: [usage(pid) for pid in found] for name, found in pids.items()}

    before, all_before = usages(), rig.gateways.usage()
    found = await rig.all("load", seconds=SECONDS, **load)
    after, gateways = usages(), _difference(all_before, rig.gateways.usage())
    count = max(1, sum(one["messages"] for one in found))
    spent = {name: [_difference(*pair) for pair in zip(before[name], after[name], strict=True)] for name in pids}

    def us(name: str, kind: str) -> float:
        return float(round(1e6 * sum(one[kind] for one in spent[name]) / count, 1))

    return {
        "messages_per_s": round(sum(one["messages"] / one["took_s"] for one in found)),
        "message_p50_ms": max(one["p50"] or 0.0 for one in found),
        "message_p99_ms": max(one["p99"] or 0.0 for one in found),
        "cpu_us_per_message": round(1e6 * gateways["cpu_s"] / count, 1),
        "nats_us_per_message": us("nats", "cpu_s"),
        "waits_per_message": round(gateways["waits"] / count, 2),  # of the gateways: few where turns are full
        "us_per_message": {name: {"user": us(name, "user_s"), "system": us(name, "system_s")} for name in pids},
    }


def _difference(before: Figures, after: Figures) -> Figures:
    return {name: after[name] - value for name, value in before.items()}


async def _commands(rig: _Rig, sessions: int) -> Figures:
    facility = rig.facility
    turn = itertools.count()

    async def command(until: float) -> list[float]:
        """Send commands one at a time; return how long each took."""
        took = []
        while time.perf_counter() < until:
            took.append(await facility.discharge(next(turn) % sessions))
        return took

    async def together(seconds: float) -> int:
        until = time.perf_counter() + seconds
        return sum(len(took) for took in await asyncio.gather(*(command(until) for _ in range(IN_PROGRESS))))

    await together(COMMANDS_S / 4)  # the first command of a session takes longer
    facility.statuses.clear()
    facility.refused.clear()
    times = await command(time.perf_counter() + COMMANDS_S)
    began, before = time.perf_counter(), rig.gateways.usage()
    count = await together(COMMANDS_S)
    took, after = time.perf_counter() - began, rig.gateways.usage()
    latency = p50_p99(times, 2)
    return {
        "commands": len(times) + count,
        "accepted": facility.accepted,
        "refused": dict(facility.refused),
        "commands_per_s": round(count / took, 1),
        "p50_ms": latency["p50"],
        "p99_ms": latency["p99"],
        "cpu_us_per_command": round(1e6 * (after["cpu_s"] - before["cpu_s"]) / max(1, count)),
    }


async def _storm(rig: _Rig, sessions: int) -> Figures:
    """Measure commands to stations that stay connected, while all others connect again."""
    storm = asyncio.create_task(rig.all("storm"))
    times: list[float] = []
    sending: set[asyncio.Task[float]] = set()
    before, number = rig.gateways.usage(), 0
    rig.facility.statuses.clear()
    rig.facility.refused.clear()
    while not storm.done():
        sending.add(asyncio.create_task(rig.facility.discharge(number % sessions)))
        number += 1
        await asyncio.sleep(1 / STORM_COMMANDS_PER_S)
    times = await asyncio.gather(*sending)
    after, found = rig.gateways.usage(), storm.result()
    served = sum(one["served"] for one in found)
    latency = p50_p99(times, 1)
    return {
        "stations": served,
        "missing": sum(one["missing"] for one in found),
        "served_s": max(one["served_s"] for one in found),
        "half_served_s": max(one["half_served_s"] for one in found),
        "failed_attempts": sum(one["failed_attempts"] for one in found),
        "commands": number,
        "accepted": rig.facility.accepted,
        "refused": dict(rig.facility.refused),
        "p50_ms": latency["p50"],
        "p99_ms": latency["p99"],
        "cpu_ms_per_station": round(1000 * (after["cpu_s"] - before["cpu_s"]) / max(served, 1), 2),
    }


class Facility:
    """Sends commands, and waits for their first results."""

    WITHIN_S = 30.0

    def __init__(self, client: aiomqtt.Client, sites: int) -> None:
        self._client, self._sites = client, sites
        self._waiting: dict[str, asyncio.Future[str]] = {}
        self._count = 0
        self.statuses: Counter[str] = Counter()  # of first results
        self.refused: Counter[str] = Counter()  # by reason code

    @property
    def accepted(self) -> int:
        """Return the number of commands that were accepted."""
        return self.statuses["accepted"] + self.statuses["clamped"]

    async def listen(self) -> None:
        """Receive results until cancelled."""
        async for message in self._client.messages:
            body = json.loads(message.payload if isinstance(message.payload, bytes) else b"{}")
            waiting = self._waiting.pop(body.get("id", ""), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(body["status"])
                if body["status"] == "refused":
                    self.refused[body["reason"]["code"]] += 1

    async def discharge(self, station: int) -> float:
        """Command the EVSE of a station; return how long its first result took, in ms."""
        self._count += 1
        command = f"c{self._count}"
        body = {"id": command, "power_w": 1000 + self._count % 3000, "lease_s": 600, "source": "bench"}
        answered = self._waiting[command] = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        topic = f"v2x/1/{site_of(station, self._sites)}/evse/{evse(station)}/cmd/discharge"
        await self._client.publish(topic, json.dumps(body), qos=1)
        try:
            async with asyncio.timeout(self.WITHIN_S):
                self.statuses[await answered] += 1
        except TimeoutError:
            self.statuses["no result"] += 1
        return (time.perf_counter() - began) * 1000


@asynccontextmanager
async def _rig(number: int, sites: int, stations: int) -> AsyncIterator[_Rig]:
    """Run all parts for one row."""
    progress(f"{stations} stations at {number} gateways: start")
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        nats_url, nats_pid = stack.enter_context(nats(folder))
        database = stack.enter_context(postgres(folder))
        broker = await stack.enter_async_context(mosquitto())
        site_files(folder, stations, sites)
        running = await stack.enter_async_context(gateways(folder, number, nats_url, database, broker))
        load = []
        for first in range(0, stations, PER_PROCESS):
            most = min(PER_PROCESS, stations - first)
            arguments = {"first": first, "number": most, "sessions": sessions_of(stations), "ports": running.ports}
            command = [sys.executable, "-m", "gateway.bench.cluster_load", json.dumps(arguments)]
            load.append(await asyncio.to_thread(JsonProcess, command, reports=True, nice=STATIONS_NICE))
            stack.callback(load[-1].close)
        client = await stack.enter_async_context(make_client(broker, five=True))
        await client.subscribe("v2x/1/+/evse/+/result", qos=1)
        facility = Facility(client, sites)
        listening = asyncio.create_task(facility.listen())
        try:
            yield _Rig(running, nats_pid, load, facility)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
