"""Peer process of `v2x bench echonet`: run by a Python that has the package `pychonet`.

Reads one JSON object per line from standard input and answers each with one. `{"codec": ROUNDS, "answer": hex,
"epcs": [..]}` times decoding, values and encoding, in µs of processor time; `{"device": address, "own": address,
"requests": N}` sends requests to a device, each after the answer to the one before.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from importlib import import_module

GET, GROUP, STORAGE, BOX = 0x62, 0x02, 0x7D, 0x7E


def main() -> None:
    started = time.process_time()
    import_module("pychonet")
    answer({"start_ms": 1000 * (time.process_time() - started)})
    for line in sys.stdin:
        request = json.loads(line)
        if "codec" in request:
            answer(codec(request["codec"], bytes.fromhex(request["answer"]), request["epcs"]))
        else:
            answer(asyncio.run(requests(request["device"], request["own"], request["requests"])))


def codec(rounds: int, data: bytes, epcs: list[int]) -> dict[str, float]:
    """Return µs per call."""
    functions = import_module("pychonet.lib.functions")
    tables = import_module("pychonet.lib.epc_functions")
    instance = import_module("pychonet.EchonetInstance")
    of_class = import_module("pychonet.StorageBattery").StorageBattery.EPC_FUNCTIONS
    known = {**of_class, **tables.EPC_SUPER_FUNCTIONS}
    message = {"TID": 1, "DEOJGC": GROUP, "DEOJCC": STORAGE, "DEOJCI": 1, "ESV": GET, "OPC": [{"EPC": e} for e in epcs]}

    def values() -> dict[int, object]:
        found = functions.decodeEchonetMsg(data)["OPC"]
        return {one["EPC"]: instance.call_epc_function(known[one["EPC"]], one["EDT"]) for one in found}

    return {
        "decode": cpu_us(rounds, lambda: functions.decodeEchonetMsg(data)),
        "values": cpu_us(rounds, values),
        "encode": cpu_us(rounds, lambda: functions.buildEchonetMsg(message)),
    }


def cpu_us(rounds: int, call: Callable[[], object]) -> float:
    """Return µs of processor time per call."""
    started = time.process_time()
    for _ in range(rounds):
        call()
    return 1e6 * (time.process_time() - started) / rounds


async def requests(device: str, own: str, count: int) -> dict[str, float]:
    """Return requests per second."""
    server = import_module("pychonet.lib.udpserver").UDPServer(local_ip=own)
    server.run(own, 3610, asyncio.get_running_loop())
    client = import_module("pychonet").ECHONETAPIClient(server)
    client._logger = lambda *line: None
    await client.discover(device)
    while not client._state[device].get("discovered"):  # noqa: ASYNC110 - it has no event for this
        await asyncio.sleep(0.01)
    await client.getAllPropertyMaps(device, GROUP, BOX, 1)
    started = time.perf_counter()
    for _ in range(count):
        if not await client.echonetMessage(device, GROUP, BOX, 1, GET, [{"EPC": 0xDA}, {"EPC": 0xE4}]):
            raise RuntimeError("no answer")
    return {"per_s": count / (time.perf_counter() - started)}


def answer(content: dict[str, float]) -> None:
    """Write one line."""
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
