"""Runs inside the network namespace of the benchmark: our pair of processes and Josev's, observed from outside.

Prints a JSON object after each pair, the last one with all. CPU and memory are those of a process and all its
descendants (Josev's codec is a Java process).
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

from gateway.bench.measuring import Figures

EV, SE = "v2xev", "v2xse"
SHORT = 5  # loops
LONG = {"ours": 405, "josev": 35}
TRIES = 2
READY_WITHIN = 45.0  # s
SEARCHED, REQUESTED, RESPONDED = "Sending SDPRequest", "Sent DC_ChargeLoopReq", "DC_ChargeLoopRes received"
PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20


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


def session(pair: str, loops: int, python: str, directory: Path) -> Figures:
    """Run one session of a pair; return the figures and the EV's log."""
    if pair == "ours":
        options = {"interface": SE, "power_w": -3000, "sessions": 1, "cable_check_s": 0.0, "json": True}
        charger = start(_ours("charger.secc.run", options, "run(RunOptions(**{}))"), directory, f"secc{loops}")
        ready = "Listening"
    else:
        env = {
            "NETWORK_INTERFACE": SE,
            "PROTOCOLS": "ISO_15118_20_DC",
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
            car = start(_ours("ev.run", options | {"json": True}, "run(EvOptions(**{}))"), directory, f"ev{loops}")
        else:
            config = directory / "ev.json"
            expected = {"supportedProtocols": ["ISO_15118_20_DC"], "supportedEnergyServices": ["DC_BPT"]}
            config.write_text(json.dumps(expected | {"useTls": False, "chargeLoopCycle": loops}))
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


def measure(pair: str, python: str, directory: Path) -> Figures:
    short, long = (session(pair, loops, python, directory) for loops in (SHORT, LONG[pair]))
    marks = (_our_times if pair == "ours" else _their_times)(long["text"])
    return {
        "first_loop_ms": round(1e3 * marks[0], 1),
        "round_trip_ms": round(1e3 * statistics.median(marks[1]), 2),
        "cpu_ms_per_loop": round(1e3 * max(long["cpu"] - short["cpu"], 0.0) / (LONG[pair] - SHORT), 2),
        "cpu_s_per_session": round(short["cpu"], 2),
        "memory_mib": round(long["memory"], 1),
        "loops": LONG[pair],
    }


def _ours(module: str, options: Figures, call: str) -> list[str]:
    code = f"import asyncio, sys; from emulators.{module} import *; sys.exit(asyncio.run({call.format(options)}))"
    return [sys.executable, "-c", code]


def _our_times(text: str) -> tuple[float, list[float]]:
    """Return the time from the first SDP request to the first loop response, and each loop's round trip, s."""
    marks = []
    for line in map(json.loads, (line for line in text.splitlines() if line.startswith("{"))):
        if line["event"] == "Searching":
            marks.append((line["at"], SEARCHED))
        elif line["event"] == "MessageSent" and "CLReqControlMode" in line["message"]:
            marks.append((line["at"], REQUESTED))
        elif line["event"] == "ChargeLoopAnswered":
            marks.append((line["at"], RESPONDED))
    return _times(marks, f"our car did not charge: {text[-300:]}")


def _their_times(text: str) -> tuple[float, list[float]]:
    """Return the same of Josev's log."""
    found = re.findall(rf"(\d{{4}}-\d\d-\d\d [\d:]+,\d+).*?({SEARCHED}|{REQUESTED}|{RESPONDED})", text)
    marks = [(datetime.strptime(when, "%Y-%m-%d %H:%M:%S,%f").timestamp(), what) for when, what in found]
    return _times(marks, f"Josev's car did not charge: {text[-300:]}", LONG["josev"])


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
        found: Figures = {"ours": measure("ours", sys.executable, Path(directory))}
        print(json.dumps(found), flush=True)
        for _ in range(TRIES if python else 0):  # on a busy machine its EV runs into its own time-outs
            try:
                found["josev"] = measure("josev", python, Path(directory))
                found.pop("absent", None)
                break
            except (OSError, ValueError) as error:
                found["absent"] = f"Josev's pair did not run: {error}"
    print(json.dumps(found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
