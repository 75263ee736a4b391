"""pychonet, the library of the Home Assistant integration, as controller of our emulated V2H box and home over UDP."""

from __future__ import annotations

import asyncio
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from emulators.battery.pack import Pack
from emulators.charger.echonet.box import V2hBox, box_object
from emulators.echonet.run import BESIDE, BoxOptions, create_home
from emulators.runtime.clock import RealClock
from protocols.echonet.engine import Node
from protocols.echonet.io import UdpNode, UdpSettings
from tests.peers import python_peer

pytestmark = pytest.mark.peer
BOX, PEER = "127.0.0.81", "127.0.0.82"
CONTROLLER = """
import asyncio, json, sys
from pychonet import ECHONETAPIClient, Factory
from pychonet.lib.udpserver import UDPServer

async def main(box, own):
    server = UDPServer(local_ip=own)
    server.run(own, 3610, asyncio.get_running_loop())
    client = ECHONETAPIClient(server)
    client._logger = lambda *line: None
    await client.discover(box)
    for _ in range(100):
        if client._state[box].get("discovered"):
            break
        await asyncio.sleep(0.1)
    await client.getAllPropertyMaps(box, 2, 0x7E, 1)
    device = Factory(box, client, 2, 0x7E, 1)
    before = await device.update([0xC5, 0xC7, 0xDA, 0xE4])  # its own maker code (0x8A) fails it
    done = [
        await device.setMessage(0xDD, 3),
        await device.setMessage(0xEC, 2000, 4),
        await device.setMessage(0xDA, 0x43),
        await device.setMessage(0xDA, 0x45),
    ]
    await asyncio.sleep(2)
    after = await device.update([0xD3, 0xDA, 0xE1])
    maps = [sorted(device.getGetProperties()), sorted(device.getSetProperties())]
    print(json.dumps({"before": before, "done": done, "after": after, "maps": maps}, default=str))

asyncio.run(main(*sys.argv[1:]))
"""
READER = """
import asyncio, json, sys
from pychonet import ECHONETAPIClient, Factory
from pychonet.lib.udpserver import UDPServer

async def main(home, own, wanted):
    server = UDPServer(local_ip=own)
    server.run(own, 3610, asyncio.get_running_loop())
    client = ECHONETAPIClient(server)
    client._logger = lambda *line: None
    await client.discover(home)
    while not client._state[home].get("discovered"):
        await asyncio.sleep(0.05)
    found = {}
    for code, epcs in json.loads(wanted).items():
        await client.getAllPropertyMaps(home, 2, int(code, 16), 1)
        device = Factory(home, client, 2, int(code, 16), 1)
        values = await device.update(epcs)
        found[code] = {f"{epc:02X}": values[str(epc)] if str(epc) in values else values[epc] for epc in epcs}
    print(json.dumps(found, default=str))

asyncio.run(main(*sys.argv[1:]))
"""
DAY = 1_780_282_800.0  # noon in Japan


@cache
def interpreter() -> Path:
    """Return the interpreter that has the library."""
    return python_peer("pychonet", "pychonet==2.8.0")


async def run(script: str, *arguments: str) -> Any:
    process = await asyncio.create_subprocess_exec(
        str(interpreter()), "-c", script, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, errors.decode()[-2000:]
    return json.loads(out)


async def test_the_library_discovers_reads_and_commands_our_box() -> None:
    box, clock = V2hBox(), RealClock()
    box.connect(Pack(), clock.now())
    udp = UdpNode(Node([box_object(box)]), UdpSettings(BOX, multicast=False), clock, lambda events: None)
    udp.open()
    task = asyncio.create_task(udp.run())
    try:
        found = await run(CONTROLLER, BOX, PEER)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    before, after = found["before"], found["after"]
    assert before[str(0xC7)] == "Chargeable and Dischargeable"
    assert before[str(0xDA)] == "Standby"
    assert before[str(0xE4)] == 80
    assert before[str(0xC5)] == 6000
    assert found["done"] == [True, True, True, False]  # there is no mode 45 since release G
    assert (after[str(0xDA)], after[str(0xE1)]) == ("Discharge", "Discharge")
    assert after[str(0xD3)] == pytest.approx(-2000, abs=20)
    own = box_object(box)
    assert found["maps"] == [sorted(own.get), sorted(own.set)]


async def test_the_library_reads_every_device_of_an_emulated_home() -> None:
    box, clock = V2hBox(), RealClock()
    box.connect(Pack(), clock.now())
    options = BoxOptions(beside=tuple(BESIDE), house_w=1250.0)
    home = create_home(options, box, DAY - clock.now())
    assert home.storage is not None
    assert isinstance(home.storage.battery, Pack)
    home.storage.battery.soc_pct = 95.0  # full: it takes no surplus
    objects = [box_object(box), *(make(home) for make in BESIDE.values())]
    udp = UdpNode(Node(objects), UdpSettings(BOX, multicast=False), clock, lambda events: None)
    udp.open()
    task = asyncio.create_task(udp.run())
    wanted = {
        "7D": [0xD3, 0xE4, 0xC8, 0xDA, 0xDB, 0xE6], "79": [0xD0, 0xD1, 0xE0, 0xE8], "87": [0xC2, 0xC6],
        "88": [0xD7, 0xE1, 0xE7], "A5": [0xD0, 0xE7],
    }  # fmt: skip
    try:
        found = await run(READER, BOX, PEER, json.dumps(wanted))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    storage, pv, board, meter, pcs = (found[code] for code in wanted)
    assert storage == {
        "D3": 0, "E4": 95, "C8": "50/5000", "DA": "auto", "DB": "reversePowerFlowNotAcceptable", "E6": "lithiumIon",
    }  # fmt: skip
    pv_w = pv["E0"]
    assert pv_w == pytest.approx(home.advance(clock.now()).pv_w, rel=0.2)  # it may have read a minute before
    assert (pv["D1"], pv["E8"]) == ("Not restraining", 5000)
    assert board == {"C2": 0.001, "C6": pytest.approx(1250 - pv_w, abs=1)}
    assert meter == {"D7": 6, "E1": 0.1, "E7": board["C6"]}
    assert pcs["E7"] == pytest.approx(-pv_w, abs=1)
