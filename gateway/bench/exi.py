"""`v2x bench exi`: our codec beside EXIficient as Josev calls it, round by round in one run.

Each round times calls of ours, then of the peer, on the same message. Figures are medians over the rounds, in µs per
call (`best`: the fastest round, for busy machines); ratios state how many times longer the peer takes. The peer has
two layers: `exificient` (the codec over py4j) and `josev` (what a user calls, with its message classes). The peer is a
Python with `iso15118` installed: `V2X_JOSEV_PYTHON`, or `.peers/josev-sessions` of a checkout, or an environment in
the user's cache.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gateway.bench.exi_loop import loop_request
from gateway.bench.exi_messages import Case, cases
from gateway.bench.measuring import Figures, JsonProcess, PeerAbsent, progress, python_with, resident_kib
from protocols.iso15118.codecs import ISO20_DC

PEER = "iso15118==0.31.2"
SCRIPT = Path(__file__).with_name("exi_josev.py")
ROUNDS = 7
OUR_CALLS = 300  # messages whose numbers are all new
SLICES = 15
SLICE_S = 0.0005
THEIR_CALLS = 12
WARM_UP = 40
AIM_NEW_US, AIM_SCHEDULE_US, AIM_COLD_MS = "10 / 18", "250 / 500", 50  # encode / decode
COLD = """
import time
wall, cpu = time.perf_counter(), time.process_time()
{work}
print(1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - cpu))
"""
LOOP_PAIR = """
from gateway.bench.exi_loop import loop_request, loop_response
from protocols.iso15118.codecs import ISO20_DC
for message in (loop_request(), loop_response()):
    assert ISO20_DC.decode(ISO20_DC.encode(message)) == message
"""
WHOLE_SESSION = """
from protocols.iso15118.iso20.preparation import prepare_car
from protocols.iso15118.iso20.services import ControlMode, ServiceId
prepare_car([ServiceId.DC_BPT], [ControlMode.DYNAMIC])
"""


def peer_python(imports: str = "iso15118") -> Path:
    """Return an interpreter that has the peer; PeerAbsent if there is none and none can be installed."""
    return python_with(imports, "V2X_JOSEV_PYTHON", "josev-sessions", PEER, "aiofile")


def figures(rounds: int = ROUNDS) -> Figures:
    """Return all figures; those of the peer are null, with the reason, if it is not available."""
    found: Figures = {"benchmark": "exi", "unit": "us per call, median", "rounds": rounds}
    peer: JsonProcess | None = None
    progress("the start of the peer; it is installed if it is absent")
    try:
        # -P: `iso15118` is the package, not the file beside the script
        peer = JsonProcess([str(peer_python()), "-P", str(SCRIPT)])
    except PeerAbsent as error:
        found["absent"] = str(error)
    except RuntimeError as error:
        found["absent"] = f"{error}; its codec needs Java: apt-get install default-jre-headless"
    try:
        found["messages"] = [_measure(case, peer, rounds) for case in cases()]
        progress("messages whose numbers are all new")
        found["every number new"] = _varied(rounds)
        progress("the cold start")
        wall, cpu = _cold(LOOP_PAIR, rounds)
        session_wall, session_cpu = _cold(WHOLE_SESSION, rounds)
        found["cold_start_ms"] = {
            "ours": wall,
            "ours_cpu": cpu,
            "ours_whole_session": session_wall,
            "ours_whole_session_cpu": session_cpu,
            "josev": peer and round(peer.started["start_ms"], 1),
        }
        kib = resident_kib(peer.started["java_pid"]) if peer else None
        found["java_resident_mib"] = kib and round(kib / 1024, 1)
    finally:
        if peer is not None:
            peer.close()
    return found


def _measure(case: Case, peer: JsonProcess | None, rounds: int) -> Figures:
    progress(case.name)
    codec, message = case.codec, case.message
    data = codec.encode(message)
    assert codec.decode(data) == message
    ours: dict[str, Callable[[], Any]] = {"encode": lambda: codec.encode(message), "decode": lambda: codec.decode(data)}
    prepared = peer.request(exi=data.hex(), namespace=case.namespace) if peer else {}
    peers = [(peer, layer) for layer in prepared.get("layers", [])] if peer else []
    times: dict[tuple[str, str], list[float]] = {}
    for process, layer in peers:
        for what in ours:
            process.request(layer=layer, what=what, calls=WARM_UP)
    for _ in range(rounds):
        for what, call in ours.items():
            times.setdefault(("ours", what), []).append(_time(call))
            for process, layer in peers:
                answer = process.request(layer=layer, what=what, calls=THEIR_CALLS)
                if "us" in answer:
                    times.setdefault((layer, what), []).append(answer["us"])
    result: Figures = {"message": case.name, "bytes": len(data)}
    for what in ours:
        mine = statistics.median(times["ours", what])
        row: dict[str, float | None] = {"ours": round(mine, 2), "ours_best": round(min(times["ours", what]), 2)}
        for layer in ("exificient", "josev"):
            theirs = times.get((layer, what))
            row[layer] = round(statistics.median(theirs), 1) if theirs else None
            row[f"{layer}_best"] = round(min(theirs), 1) if theirs else None
            row[f"{layer}_ratio"] = round(statistics.median(theirs) / mine, 1) if theirs else None
        result[what] = row
    if "error" in prepared:
        result["peer_error"] = prepared["error"]
    return result


def _varied(rounds: int) -> dict[str, float]:
    """Return the times of a charge loop request whose numbers were never used before, so that no cache helps."""
    times: dict[str, list[float]] = {"encode": [], "decode": []}
    for _ in range(rounds):
        messages = [loop_request(vary=True) for _ in range(OUR_CALLS)]
        written = [ISO20_DC.encode(message) for message in [loop_request(vary=True) for _ in range(OUR_CALLS)]]
        began = time.perf_counter()
        for message in messages:
            ISO20_DC.encode(message)
        half = time.perf_counter()
        for data in written:
            ISO20_DC.decode(data)
        times["encode"].append(1e6 * (half - began) / OUR_CALLS)
        times["decode"].append(1e6 * (time.perf_counter() - half) / OUR_CALLS)
    median = {what: round(statistics.median(found), 2) for what, found in times.items()}
    return median | {f"{what}_best": round(min(found), 2) for what, found in times.items()}


def _cold(work: str, rounds: int) -> tuple[float, float]:
    """Return the time of `work` in a fresh interpreter, imports and compilation included: elapsed and processor ms.

    The first run does not count: it writes the byte code of the modules, which an installation has.
    """
    command = [sys.executable, "-c", COLD.format(work=work)]
    writing = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    lines = [
        subprocess.run(command, capture_output=True, text=True, check=True, env=writing).stdout
        for _ in range(rounds + 1)
    ]
    wall, cpu = zip(*(map(float, line.split()) for line in lines[1:]), strict=True)
    return round(statistics.median(wall), 1), round(statistics.median(cpu), 1)


def _time(call: Callable[[], Any]) -> float:
    """Return µs per call: the median of slices so short that few of them are interrupted."""
    began = time.perf_counter()
    call()
    count = max(1, round(SLICE_S / (time.perf_counter() - began)))
    slices = []
    for _ in range(SLICES):
        began = time.perf_counter()
        for _ in range(count):
            call()
        slices.append(1e6 * (time.perf_counter() - began) / count)
    return statistics.median(slices)


def text(found: Figures) -> Iterator[str]:
    """Yield the figures as a table."""
    yield f"{'':34}{'bytes':>7}{'':9}{'ours':>10}{'EXIficient':>12}{'':8}{'Josev':>12}{'':8}"
    for row in found["messages"]:
        for what in ("encode", "decode"):
            one = row[what]
            theirs = "".join(
                f"{one[layer]:12.0f} {one[layer + '_ratio']:6.0f}x" if one[layer] else f"{'-':>12}{'':8}"
                for layer in ("exificient", "josev")
            )
            yield f"{row['message']:34}{row['bytes']:7} {what:8}{one['ours']:8.1f} us{theirs}"
    varied = found["every number new"]
    yield (
        f"charge loop request, every number new: {varied['encode']} / {varied['decode']} us"
        f" (aim {AIM_NEW_US}; fastest round {varied['encode_best']} / {varied['decode_best']})"
    )
    yield f"ScheduleExchangeRes: aim {AIM_SCHEDULE_US} us"
    cold = found["cold_start_ms"]
    yield (
        f"from a cold start: {cold['ours']} ms ({cold['ours_cpu']} of CPU) for the charge loop pair,"
        f" {cold['ours_whole_session']} ({cold['ours_whole_session_cpu']}) for all messages of a car's session"
        f" (aim {AIM_COLD_MS});"
        f" Josev {cold['josev']} ms"
    )
    if "absent" in found:
        yield f"the peer is absent: {found['absent']}"
