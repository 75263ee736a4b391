"""Runs inside the network namespace of the benchmark: our pair of processes and Josev's, observed from outside.

Prints JSON objects: `progress` before each pair, its figures after it, under the name of the session. CPU and memory
are those of a process and all its descendants (Josev's codec is a Java process).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from gateway.bench.measuring import Figures, quantile

EV, SE = "v2xev", "v2xse"
SHORT = 5  # loops
LONG = {"ours": 405, "josev": 35}
TRIES = 2
UNCOUNTED = 3  # loops that its car omits in ISO 15118-2
READY_WITHIN = 45.0  # s
SEARCHED, REQUESTED, RESPONDED = "searched", "requested", "responded"
PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20


@dataclass(frozen=True)
class Kind:
    """A kind of session: our options, those of the peer, and how the charge loop is found in the logs."""

    title: str
    service: str
    protocol: str
    power_w: float
    theirs: dict[str, object]  # its configuration of the EV
    loop: str  # name of the loop's messages


SESSIONS = {
    "iso20_dc_bpt": Kind(
        "ISO 15118-20 DC_BPT",
        "dc_bpt",
        "iso20",
        -3000,
        {"supportedProtocols": ["ISO_15118_20_DC"], "supportedEnergyServices": ["DC_BPT"]},
        "DC_ChargeLoop",
    ),
    "iso2_dc": Kind(
        "ISO 15118-2 DC",
        "dc",
        "iso2",
        3000,
        {"supportedProtocols": ["ISO_15118_2"], "energyTransferMode": "DC_extended"},
        "CurrentDemand",
    ),
}


@dataclass
class Program:
    """A process, its log, and its usage at the last sample."""

    process: subprocess.Popen[bytes]
    log: Path
    cpu: dict[int, float] = field(default_factory=dict)  # s, by process
    peak_mib: float = 0.0

    def sample(self) -> None:
        memory = 0.0
        for pid in _tree(self.process.pid):
            try:
                stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                cpu = _cpu(pid)
            except OSError:
                continue
            self.cpu[pid] = max(cpu, self.cpu.get(pid, 0.0))
            memory += int(stat[21]) * PAGE_MIB
        self.peak_mib = max(self.peak_mib, memory)

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start(argv: list[str], directory: Path, name: str, env: dict[str, str] | None = None) -> Program:
    log = directory / f"{name}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            argv, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})}
        )
    return Program(process, log)


def watch(programs: Iterable[Program], until: Program, expected: str | None = None) -> None:
    """Sample the processes until one has ended or has printed `expected`."""
    give_up = time.monotonic() + READY_WITHIN
    while until.process.poll() is None and (expected is None or expected not in until.text()):
        for program in programs:
            program.sample()
        if time.monotonic() > give_up:
            raise TimeoutError(f"{until.log.name}: {until.text()[-500:]}")
        time.sleep(0.05)


def session(kind: Kind, pair: str, loops: int, python: str, directory: Path) -> Figures:
    """Run one session of a pair; return the figures and the EV's log."""
    if pair == "ours":
        options = {"interface": SE, "power_w": kind.power_w, "sessions": 1, "cable_check_s": 0.0, "json": True}
        charger = start(_ours("charger.secc.run", options, "run(RunOptions(**{}))"), directory, f"secc{loops}")
        ready = "Listening"
    else:
        env = {
            "NETWORK_INTERFACE": SE,
            "PROTOCOLS": ",".join(map(str, kind.theirs["supportedProtocols"])),  # type: ignore[call-overload]
            "AUTH_MODES": "EIM",
            "MESSAGE_LOG_JSON": "False",
        }
        charger = start([python, "-m", "iso15118.secc.main"], directory, f"josev_secc{loops}", env)
        ready = "UDP server started"
    car: Program | None = None
    try:
        watch([charger], charger, ready)
        if pair == "ours":
            options = {"interface": EV, "loops": loops, "loop_interval_s": 0.0, "poll_interval_s": 0.01, "trace": True}
            options |= {"protocols": kind.protocol, "service": kind.service}
            car = start(_ours("ev.run", options | {"json": True}, "run(EvOptions(**{}))"), directory, f"ev{loops}")
        else:
            config = directory / "ev.json"
            config.write_text(json.dumps(kind.theirs | {"useTls": False, "chargeLoopCycle": loops}))
            env = {"NETWORK_INTERFACE": EV, "MESSAGE_LOG_JSON": "False"}
            car = start([python, "-m", "iso15118.evcc.main", str(config)], directory, f"josev_ev{loops}", env)
        watch([charger, car], car, None if pair == "ours" else "TCP connection closed to peer")
        return {
            "cpu": sum(charger.cpu.values()) + sum(car.cpu.values()),
            "memory": charger.peak_mib + car.peak_mib,
            "text": car.text(),
        }
    finally:
        if car is not None:
            car.stop()
        charger.stop()


def measure(kind: Kind, pair: str, python: str, directory: Path) -> Figures:
    short, long = (session(kind, pair, loops, python, directory) for loops in (SHORT, LONG[pair]))
    first, trips = (_our_times if pair == "ours" else _their_times)(long["text"], kind)
    return {
        "first_loop_ms": round(1e3 * first, 1),
        "round_trip_ms": round(1e3 * statistics.median(trips), 2),
        "p99_ms": quantile([1e3 * one for one in trips], 0.99, 2),
        "slowest_ms": round(1e3 * max(trips), 2),
        "cpu_ms_per_loop": round(1e3 * max(long["cpu"] - short["cpu"], 0.0) / (LONG[pair] - SHORT), 2),
        "cpu_s_per_session": round(short["cpu"], 2),
        "memory_mib": round(long["memory"], 1),
        "loops": LONG[pair],
    }


def _ours(module: str, options: Figures, call: str) -> list[str]:
    code = f"import asyncio, sys; from emulators.{module} import *; sys.exit(asyncio.run({call.format(options)}))"
    return [sys.executable, "-c", code]


def _our_times(text: str, kind: Kind) -> tuple[float, list[float]]:
    """Return the time from the first SDP request to the first loop response, and each loop's round trip, s."""
    marks = []
    for line in map(json.loads, (line for line in text.splitlines() if line.startswith("{"))):
        if line["event"] == "Searching":
            marks.append((line["at"], SEARCHED))
        elif line["event"] == "MessageSent" and line["name"] == f"{kind.loop}Req":
            marks.append((line["at"], REQUESTED))
        elif line["event"] == "ChargeLoopAnswered":
            marks.append((line["at"], RESPONDED))
    return _times(marks, f"our car did not charge: {text[-300:]}")


def _their_times(text: str, kind: Kind) -> tuple[float, list[float]]:
    """Return the same of Josev's log."""
    lines = {
        "Sending SDPRequest": SEARCHED,
        f"Sent {kind.loop}Req": REQUESTED,
        f"{kind.loop}Res received": RESPONDED,
    }
    found = re.findall(rf"(\d{{4}}-\d\d-\d\d [\d:]+,\d+).*?({'|'.join(lines)})", text)
    marks = [(datetime.strptime(when, "%Y-%m-%d %H:%M:%S,%f").timestamp(), lines[what]) for when, what in found]
    return _times(marks, f"Josev's car did not charge: {text[-300:]}", LONG["josev"] - UNCOUNTED)


def _times(marks: list[tuple[float, str]], failure: str, loops: int = 1) -> tuple[float, list[float]]:
    searched = next((when for when, what in marks if what == SEARCHED), None)
    requested = first = None
    trips: list[float] = []
    for when, what in marks:
        if what == REQUESTED:
            requested = when
        elif what == RESPONDED and requested is not None:
            first = when if first is None else first
            trips.append(when - requested)
    if first is None or searched is None or len(trips) < loops:
        raise ValueError(failure)
    return first - searched, trips


def _cpu(pid: int) -> float:
    """Return the CPU seconds of a process, all its threads."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except OSError:
            continue
    return total / 1e9


def _tree(root: int) -> list[int]:
    """Return a process and all its descendants."""
    found = [root]
    for pid in found:
        with contextlib.suppress(OSError):  # it has ended
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                found += map(int, children.read_text().split())
    return found


def main() -> int:
    python = sys.argv[1] if len(sys.argv) > 1 else ""
    with tempfile.TemporaryDirectory() as directory:
        for name, kind in SESSIONS.items():
            _print({"progress": f"{kind.title}: ours"})
            found: Figures = {"ours": measure(kind, "ours", sys.executable, Path(directory))}
            for _ in range(TRIES if python else 0):  # on a busy machine its EV runs into its own time-outs
                _print({"progress": f"{kind.title}: Josev's"})
                try:
                    found["josev"] = measure(kind, "josev", python, Path(directory))
                    found.pop("absent", None)
                    break
                except (OSError, ValueError) as error:
                    found["absent"] = f"Josev's pair did not run: {error}"
            _print({name: found})
    return 0


def _print(line: Figures) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    sys.exit(main())
