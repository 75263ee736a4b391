"""Stations of `v2x bench cluster`, in a process of their own: `python -m gateway.bench.cluster_load JSON`.

They are clients of `gateway.bench.ocpp_load`, at any gateway of the cluster, each with an address of its own. Those of
the first numbers have a vehicle in session, which follows set-points. Each line on standard input is a request; the
answer is one JSON object.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import random
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from gateway.bench.measuring import Figures, p50_p99, progress
from gateway.bench.ocpp_load import Client, Rejected, event
from protocols.ocpp.times import stamp

OPENING = 64  # connections that are opened at the same time
RETRY_SHARE = (0.5, 1.5)  # of Retry-After, or of 1 s, after a failed connection; drawn between
ANSWER_WITHIN_S = 20.0
METER_EVERY_S = 5.0  # of a vehicle in session
IDLE_EVERY_S = 60.0  # of a station without one
SERVED_WITHIN_S = 600.0  # all stations; those that are not served by then count as missing
PROGRESS_EVERY_S = 10.0
PACED_EVERY_S = 0.001
AFTER_S = 0.5  # after a load, for the last answers
NEEDS = {"requestedEnergyTransfer": "DC_BPT", "v2xChargingParameters": {"maxDischargePower": 10_000}}


class Station(Client):
    """One connection of a station."""

    subprotocol = "ocpp2.1"

    def __init__(self, number: int, on_text: Callable[[Client, bytes], None]) -> None:
        super().__init__(number, on_text)
        self.lost = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what waits."""
        for one in (self.upgraded, self.waiting):
            if one is not None and not one.done():
                one.set_exception(ConnectionError("the connection is lost"))
                one.exception()  # it may be that no task waits
        if not self.lost.done():
            self.lost.set_result(None)

    async def timed_call(self, action: str, payload: Figures) -> bytes:
        """Make one call; ConnectionError where no answer comes."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await self.call(action, payload)
        except TimeoutError:
            raise ConnectionError("no answer") from None


class Stations:
    """All stations of the process."""

    def __init__(self, first: int, number: int, sessions: int, ports: list[int]) -> None:
        self._numbers = range(first, first + number)
        self._sessions, self._ports = sessions, ports
        self._random = random.Random(first)
        self._opening = asyncio.Semaphore(OPENING)
        self.connected: dict[int, Station] = {}
        self._power_w: dict[int, float] = {}
        self._sent: dict[int, int] = {}
        self._measuring = False
        self._closed_loop = True
        self._sample: list[int] = []  # stations of the load
        self._latencies: list[float] = []
        self.failed = 0
        self._background: asyncio.Task[None] | None = None

    # connections

    async def connect(self) -> Figures:
        """Connect and boot all stations, and begin the sessions; return how long that took, in s."""
        began = time.perf_counter()
        await self._all_served([self._until_served(number, boots=True) for number in self._numbers])
        self._background = asyncio.create_task(self._idle())
        return {"connected": len(self.connected), "took_s": round(time.perf_counter() - began, 2)}

    async def close(self) -> None:
        """End all connections."""
        if self._background is not None:
            self._background.cancel()
        for station in self.connected.values():
            if station.transport is not None:
                station.transport.abort()
        await asyncio.gather(*(station.lost for station in self.connected.values()))

    async def storm(self) -> Figures:
        """End all connections without a session at once, and connect all of them again."""
        numbers = [one for one in self._numbers if one >= self._sessions]
        self.failed = 0
        for number in numbers:
            station = self.connected.pop(number, None)
            if station is not None and station.transport is not None:
                station.transport.abort()
        began = time.perf_counter()
        took: list[float] = []

        async def again(number: int) -> None:
            await asyncio.sleep(self._random.uniform(0, 1))
            await self._until_served(number, boots=False)
            took.append(time.perf_counter() - began)

        await self._all_served([again(number) for number in numbers])
        served = {
            "served": len(took),
            "missing": len(numbers) - len(took),
            "served_s": round(max(took, default=0.0), 2),
            "failed_attempts": self.failed,
        }
        return {**served, "half_served_s": round(sorted(took)[len(took) // 2], 2) if took else 0.0}

    async def _all_served(self, work: list[Coroutine[object, None, None]]) -> None:
        """Wait for all stations, within a time, and state how many are served meanwhile."""
        waiting = {asyncio.create_task(one) for one in work}
        until = time.perf_counter() + SERVED_WITHIN_S
        while waiting and (left := until - time.perf_counter()) > 0:
            done, waiting = await asyncio.wait(waiting, timeout=min(left, PROGRESS_EVERY_S))
            for one in done:
                one.result()
            if waiting:
                progress(f"{len(self.connected)} of {len(self._numbers)} stations of a process are served")
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    async def _until_served(self, number: int, boots: bool) -> None:
        while True:
            station = None
            try:
                async with self._opening:
                    station = await self._open(number)
                    if boots:
                        async with asyncio.timeout(60):
                            await station.boot()
                    if boots and number < self._sessions:
                        await self._begin(station)
                    await station.timed_call("Heartbeat", {})
                    self.connected[number] = station
                    return
            except (OSError, TimeoutError) as error:
                self.failed += 1
                if station is not None and station.transport is not None:
                    station.transport.abort()
                stated_s = error.retry_after_s if isinstance(error, Rejected) else None
                await asyncio.sleep((stated_s or 1.0) * self._random.uniform(*RETRY_SHARE))

    async def _open(self, number: int) -> Station:
        port = self._random.choice(self._ports)
        source = f"127.{1 + number // 16_000}.{number // 250 % 64}.{1 + number % 250}"
        async with asyncio.timeout(10):
            _, station = await asyncio.get_running_loop().create_connection(
                lambda: Station(number, self._text), "127.0.0.1", port, local_addr=(source, 0)
            )
            await station.upgraded
        return station

    async def _begin(self, station: Station) -> None:
        body = {"timestamp": stamp(time.time()), "connectorStatus": "Occupied", "evseId": 1, "connectorId": 1}
        await station.timed_call("StatusNotification", body)
        await station.timed_call("TransactionEvent", self._event(station.number, "Started"))
        needs = {"evseId": 1, "maxScheduleTuples": 1, "chargingNeeds": NEEDS}
        await station.timed_call("NotifyEVChargingNeeds", needs)

    def _event(self, number: int, kind: str = "Updated") -> Figures:
        now, count = stamp(time.time()), self._sent.get(number, 0)
        self._sent[number] = count + 1
        if number >= self._sessions:
            return event(number, count, 20 + count // 30 % 60, now)
        sampled = [
            {"value": self._power_w.get(number, 0.0), "measurand": "Power.Active.Import"},
            {"value": 80, "measurand": "SoC"},
        ]
        return {
            "eventType": kind,
            "timestamp": now,
            "triggerReason": "Authorized" if kind == "Started" else "MeterValuePeriodic",
            "seqNo": count,
            "transactionInfo": {"transactionId": f"t-{number}", "chargingState": "Charging"},
            "evse": {"id": 1, "connectorId": 1},
            "idToken": {"idToken": "A", "type": "Central"},
            "meterValue": [{"timestamp": now, "sampledValue": sampled}],
        }

    # messages

    def _text(self, client: Client, payload: bytes) -> None:
        if payload.startswith(b"[2"):
            call = json.loads(payload)
            client.send(self._answer(client.number, call))
        elif client.waiting is not None and not client.waiting.done():
            client.waiting.set_result(payload)
        elif self._measuring and client.sent_at:
            self._latencies.append((time.perf_counter() - client.sent_at) * 1000)
            client.sent_at = 0.0
            if self._closed_loop:
                self._next(client)

    def _answer(self, number: int, call: list[Any]) -> bytes:
        accepted = {"status": "Accepted"}
        match call[2]:
            case "SetChargingProfile":
                profile = call[3]["chargingProfile"]
                if profile["chargingProfilePurpose"] == "TxProfile":
                    period = profile["chargingSchedule"][0]["chargingSchedulePeriod"][0]
                    self._power_w[number] = period.get("setpoint", period.get("limit", 0.0))
            case "UpdateDynamicSchedule":
                update = call[3]["scheduleUpdate"]
                self._power_w[number] = update.get("setpoint", update.get("limit", 0.0))
            case "ClearChargingProfile":
                pass
            case "GetCompositeSchedule":
                accepted = {"status": "Rejected"}
            case _:
                return json.dumps([4, call[1], "NotSupported", "", {}]).encode()
        return json.dumps([3, call[1], accepted]).encode()

    def _next(self, client: Client) -> None:
        client.sent_at = time.perf_counter()
        self._send(client)

    def _send(self, client: Client) -> None:
        body = json.dumps(self._event(client.number), separators=(",", ":"))
        client.send(f'[2,"{client.number}-{self._sent[client.number]}","TransactionEvent",{body}]'.encode())

    async def _idle(self) -> None:
        """Send what stations send without a measurement, spread over time."""
        turn = 0
        while True:
            await asyncio.sleep(0.1)
            turn += 1
            for number, station in list(self.connected.items()):
                every = METER_EVERY_S if number < self._sessions else IDLE_EVERY_S
                if (turn + number) % int(every * 10) == 0 and not station.sent_at and not station.lost.done():
                    station.waiting = None
                    self._send(station)

    async def load(self, seconds: float, outstanding: int = 0, per_s: float = 0.0) -> Figures:
        """Keep one call of each station of a sample outstanding, or send so many calls a second, of them in turn.

        The sample is that of the first load, and its first calls begin sessions: only later loads are to be measured.
        Return the number of answers and their times, in ms.
        """
        if not self._sample:
            free = [number for number in self.connected if number >= self._sessions]
            self._sample = self._random.sample(free, min(outstanding, len(free)))
        found = (self.connected.get(number) for number in self._sample)
        stations = [one for one in found if one is not None and not one.lost.done()]
        self._latencies, self._measuring, self._closed_loop = [], True, not per_s
        began = time.perf_counter()
        if per_s:
            await self._paced(stations, began + seconds, per_s)
        else:
            for station in stations:
                station.waiting = None
                self._next(station)
            await asyncio.sleep(seconds)
        took, times = time.perf_counter() - began, self._latencies
        self._measuring = False
        await asyncio.sleep(AFTER_S)
        for station in stations:
            station.sent_at = 0.0
        return {"messages": len(times), "took_s": took, **p50_p99(times, 2)}

    async def _paced(self, stations: list[Station], until: float, per_s: float) -> None:
        """Send calls at a rate; a station that still waits for its response is passed over."""
        began, sent, turns = time.perf_counter(), 0, itertools.cycle(stations)
        while (now := time.perf_counter()) < until:
            for _ in range(int((now - began) * per_s) - sent):
                sent += 1
                station = next(turns)
                if not station.sent_at and not station.lost.done():
                    station.waiting = None
                    self._next(station)
            await asyncio.sleep(PACED_EVERY_S)


async def _serve(arguments: Figures) -> None:
    stations = Stations(arguments["first"], arguments["number"], arguments["sessions"], arguments["ports"])
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print("{}", flush=True)
    requests: dict[str, Callable[..., Awaitable[Figures]]] = {
        "connect": stations.connect, "storm": stations.storm, "load": stations.load
    }  # fmt: skip
    while line := await reader.readline():
        request = json.loads(line)
        print(json.dumps(await requests[request.pop("request")](**request)), flush=True)


def main() -> None:
    """Serve requests until the end of standard input."""
    logging.disable(logging.CRITICAL)
    asyncio.run(_serve(json.loads(sys.argv[1])))


if __name__ == "__main__":
    main()
