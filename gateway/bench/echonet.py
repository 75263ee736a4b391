"""`v2x bench echonet`: our codec and controller beside pychonet, on the same answer and against the same device.

`decode`: the captured answer of a storage battery with ten properties to a frame, the same one again, as pollers
receive it (`decode_new`: each with another value); `values`: to values by name; `encode`: a request of ten properties,
the same one again, as pollers send it (`encode_new`: each with another value).
Figures are medians over the rounds in µs of processor time. `requests_per_s`: reading two properties of an emulated
V2H box in a process of its own over UDP, each request after the answer to the one before. Ratios state how many times
longer the peer takes. The peer is a Python with `pychonet`: `V2X_PYCHONET_PYTHON`, or `.peers/pychonet` of a checkout,
or an environment in the user's cache.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from emulators.battery.pack import Pack
from emulators.charger.echonet.box import BOX_EOJ, V2hBox, box_object
from emulators.runtime.clock import RealClock
from gateway.bench.measuring import Figures, JsonProcess, PeerAbsent, progress, python_with
from protocols.echonet.classes import STORAGE_BATTERY, object_class
from protocols.echonet.engine import Node
from protocols.echonet.events import Event, Request, RequestAnswered, RequestFailed
from protocols.echonet.frames import CONTROLLER, Eoj, Esv, Frame, Property
from protocols.echonet.io import UdpNode, UdpSettings

PEER = "pychonet==2.8.0"
SCRIPT = Path(__file__).with_name("echonet_pychonet.py")
ROUNDS, CALLS = 5, 3000
REQUESTS, PEER_REQUESTS = 2000, 20
DEVICE, OWN, PEER_OWN = "127.0.0.87", "127.0.0.88", "127.0.0.89"
ANSWER = bytes.fromhex(
    "10810046027D0205FF01720A800130A00400002710A10400002710A20400000000A30400000000D30400000000A40400000000E40109"
    "A50400000000E60104"
)
EPCS = [one.epc for one in Frame.decode(ANSWER).properties]
AIM = 10


def figures(rounds: int = ROUNDS, calls: int = CALLS, requests: int = REQUESTS) -> Figures:
    """Return all figures; those of the peer are null, with the reason, if it is not available."""
    found: Figures = {"bench": "echonet", "unit": "us of processor time per call, median", "aim": AIM}
    peer: JsonProcess | None = None
    progress("the start of the peer; it is installed if it is absent")
    try:
        peer = JsonProcess([str(python_with("pychonet", "V2X_PYCHONET_PYTHON", "pychonet", PEER)), str(SCRIPT)])
    except (PeerAbsent, RuntimeError) as error:
        found["absent"] = str(error)
    try:
        progress("the codec")
        found |= _codec(peer, rounds, calls)
        progress("requests")
        found["requests_per_s"] = _requests(peer, requests)
    finally:
        if peer is not None:
            peer.close()
    return found


def text(found: Figures) -> Iterator[str]:
    """Yield the lines for people."""
    for what in ("decode", "decode_new", "values", "encode", "encode_new"):
        row = found[what]
        beside = "" if row["pychonet"] is None else f", pychonet {row['pychonet']:.2f} us ({row['ratio']:.1f} times)"
        yield f"{what}: {row['ours']:.2f} us{beside}"
    row = found["requests_per_s"]
    beside = "" if row["pychonet"] is None else f", pychonet {row['pychonet']:.1f} ({row['ratio']:.0f} times)"
    yield f"requests per second: {row['ours']:.0f}{beside}"
    if "absent" in found:
        yield f"without the peer: {found['absent']}"


def _codec(peer: JsonProcess | None, rounds: int, calls: int) -> Figures:
    rules = object_class(STORAGE_BATTERY).properties()
    request = Frame(1, CONTROLLER, Eoj(2, 0x7D), Esv.GET, tuple(map(Property, EPCS)))
    numbers = itertools.count()
    new = [ANSWER[:17] + (next(numbers) & 0xFFFF).to_bytes(4, "big") + ANSWER[21:] for _ in range(calls)]

    def values() -> dict[str, object]:
        return {rules[epc].name: rules[epc].kind.decode(data) for epc, data in Frame.decode(ANSWER).properties}

    eoj, rest = Eoj(2, 0x7D), request.properties[1:]
    changed = [Frame(1, CONTROLLER, eoj, Esv.SETC, (Property(0xEB, one[13:21]), *rest)) for one in new]

    ours: dict[str, Callable[[], float]] = {
        "decode": lambda: _cpu_us(itertools.repeat(ANSWER, calls), Frame.decode, calls),
        "decode_new": lambda: _cpu_us(iter(new), Frame.decode, calls),
        "values": lambda: _cpu_us(itertools.repeat(None, calls), lambda _: values(), calls),
        "encode": lambda: _cpu_us(itertools.repeat(request, calls), Frame.encode, calls),
        "encode_new": lambda: _cpu_us(iter(changed), Frame.encode, calls),
    }
    times: dict[str, list[float]] = {name: [] for name in ours}
    theirs: dict[str, list[float]] = {name: [] for name in ours}
    for _ in range(rounds):
        for name, measure in ours.items():
            times[name].append(measure())
        if peer is not None:
            answer = peer.request(codec=calls, answer=ANSWER.hex(), epcs=EPCS)
            for name in ours:
                theirs[name].append(answer[name.removesuffix("_new")])
    return {name: _beside(statistics.median(times[name]), theirs[name]) for name in ours}


def _beside(ours: float, theirs: Sequence[float]) -> Figures:
    peer = statistics.median(theirs) if theirs else None
    shown = None if peer is None else round(peer, 3)
    return {"ours": round(ours, 3), "pychonet": shown, "ratio": None if peer is None else round(peer / ours, 2)}


def _cpu_us(inputs: Iterator[object], call: Callable[..., object], count: int) -> float:
    began = time.process_time()
    for one in inputs:
        call(one)
    return 1e6 * (time.process_time() - began) / count


def _requests(peer: JsonProcess | None, requests: int) -> Figures:
    process = subprocess.Popen([sys.executable, "-m", "gateway.bench.echonet"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        process.stdout.readline()  # it listens
        ours = asyncio.run(_controller(requests))
        theirs = None if peer is None else peer.request(device=DEVICE, own=PEER_OWN, requests=PEER_REQUESTS)["per_s"]
    finally:
        process.terminate()
        process.communicate()
    ratio = None if theirs is None else round(ours / theirs, 1)
    return {"ours": round(ours, 1), "pychonet": None if theirs is None else round(theirs, 1), "ratio": ratio}


async def _controller(requests: int) -> float:
    """Return requests per second of our controller."""
    done = asyncio.Event()
    left = requests
    began = 0.0

    def report(events: Sequence[Event]) -> None:
        nonlocal left
        for one in events:
            if isinstance(one, RequestFailed):
                raise RuntimeError(one.reason)
            if isinstance(one, RequestAnswered):
                left -= 1
                if left:
                    udp.command(read)
                else:
                    done.set()

    read = Request(DEVICE, BOX_EOJ, Esv.GET, (Property(0xDA), Property(0xE4)))
    udp = UdpNode(Node(), UdpSettings(OWN, multicast=False), RealClock(), report)
    udp.open()
    task = asyncio.create_task(udp.run())
    began = time.perf_counter()
    udp.command(read)
    try:
        await done.wait()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return requests / (time.perf_counter() - began)


async def _device() -> None:
    clock = RealClock()
    box = V2hBox()
    box.connect(Pack(), clock.now())
    udp = UdpNode(Node([box_object(box)]), UdpSettings(DEVICE, multicast=False), clock, lambda events: None)
    udp.open()
    sys.stdout.write("listening\n")
    sys.stdout.flush()
    await udp.run()


if __name__ == "__main__":
    asyncio.run(_device())
