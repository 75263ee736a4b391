"""pychonet and npm `echonet-lite` as HEMS of the gateway: read, order a discharge, and standby."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from gateway.app import Gateway, Parts, gateway
from gateway.bench.plain_station import PlainStations
from gateway.config import from_table
from gateway.model.event import Report
from protocols.ports import Clock
from tests.gateway.mqtt.facility import free_port
from tests.interop import test_echonet_lite_npm as npm
from tests.interop import test_pychonet as pychonet
from tests.peers import alone

pytestmark = pytest.mark.peer
OURS, PEER = "127.0.0.85", "127.0.0.86"
PYTHON = """
import asyncio, json, sys
from pychonet import ECHONETAPIClient, Factory
from pychonet.lib.udpserver import UDPServer

async def main(host, own):
    server = UDPServer(local_ip=own)
    server.run(own, 3610, asyncio.get_running_loop())
    client = ECHONETAPIClient(server)
    client._logger = lambda *line: None
    await client.discover(host)
    for _ in range(100):
        if client._state[host].get("discovered"):
            break
        await asyncio.sleep(0.1)
    found = {"instances": client._state[host]["instances"]}
    await client.getAllPropertyMaps(host, 2, 0x7E, 1)
    device = Factory(host, client, 2, 0x7E, 1)
    found["before"] = await device.update([0xC5, 0xC7, 0xDA, 0xE4])
    found["done"] = [
        await device.setMessage(0xDA, 0x43),
        await device.setMessage(0xDD, 3),
        await device.setMessage(0xEC, 2000, 4),
        await device.setMessage(0xDD, 2),
    ]
    await asyncio.sleep(2.5)
    found["after"] = await device.update([0xD3, 0xDA, 0xE1])
    await client.getAllPropertyMaps(host, 2, 0x87, 1)
    found["board"] = await Factory(host, client, 2, 0x87, 1).update([0xC6])
    print(json.dumps(found, default=str))

asyncio.run(main(*sys.argv[1:]))
"""
NODE = """
const EL = require('echonet-lite'); const host = process.argv[1]; const found = [];
const options = {v4: '127.0.0.1', ignoreMe: false, autoGetProperties: false};
EL.initialize(['05ff01'], (rinfo, els) => {
  if (rinfo.address === host) found.push([els.ESV, els.SEOJ, els.DETAILs]);
}, 4, options).then(() => {
  const set = (after, epc, value) => setTimeout(() => EL.sendOPC1(host, '05ff01', '027e01', 0x61, epc, value), after);
  const get = (after, epc) => setTimeout(() => EL.sendOPC1(host, '05ff01', '027e01', 0x62, epc, [0]), after);
  set(100, 0xda, [0x42]); set(300, 0xeb, [0, 0, 0x05, 0xdc]); set(500, 0xda, [0x49]); get(2500, 0xd3);
  set(2700, 0xda, [0x44]); get(4500, 0xe1);
  setTimeout(() => { console.log(JSON.stringify(found)); process.exit(0); }, 5000);
});
"""


@pytest.fixture(autouse=True)
def alone_at_the_port() -> Iterator[None]:
    """A node of the library receives what any process sends to port 3610 of this machine: one test at a time."""
    with alone("echonet-lite-port"):
        yield


@asynccontextmanager
async def running() -> AsyncIterator[tuple[Gateway, PlainStations]]:
    """Run a gateway whose broker does not answer, with one EVSE."""
    config = from_table(
        {
            "site": {"id": "home"},
            "mqtt": {"url": f"mqtt://127.0.0.1:{free_port()}"},
            "store": {"url": "memory:"},
            "echonet": {
                "address": OURS,
                "interface": "lo",
                "device": {"evses": ["CP1-1"], "site": ["board"], "controllers": [PEER, "127.0.0.1"]},
            },
        }
    )
    made: list[PlainStations] = []

    def stations(report: Report, clock: Clock) -> PlainStations:
        made.append(PlainStations(clock, report))
        return made[0]

    async with gateway(config, Parts(stations=stations)) as built:
        made[0].connect("CP1", "CP1-1")
        made[0].plug("CP1-1")
        metering = asyncio.create_task(made[0].run(0.1))
        grid = {"ts": built.clock.wall(), "present": True, "power_w": -750}
        assert built.service.input("grid", json.dumps(grid).encode()) is None
        try:
            yield built, made[0]
        finally:
            metering.cancel()


async def test_pychonet_orders_a_discharge_of_the_gateway() -> None:
    async with running() as (_, stations):
        found = await pychonet.run(PYTHON, OURS, PEER)
        assert stations.evses["CP1-1"].power_w == -2000
    assert found["before"] == {
        str(0xC5): 11_000,
        str(0xC7): "Chargeable and Dischargeable",
        str(0xDA): "Standby",
        str(0xE4): 80,
    }
    assert found["done"] == [True, True, True, False]
    assert found["after"] == {str(0xD3): -2000, str(0xDA): "Discharge", str(0xE1): "Discharge"}
    assert found["board"] == -750
    assert set(found["instances"]["2"]) == {str(0x7E), str(0x87)}


async def test_npm_orders_a_charge_and_standby() -> None:
    async with running() as (_, stations):
        process = await npm.start(NODE, OURS)
        out, _ = await asyncio.wait_for(process.communicate(), 60)
        assert stations.evses["CP1-1"].power_w == 0
    found = [tuple(one) for one in json.loads(out.decode().splitlines()[-1]) if one[1] == "027e01"]
    answers = [(esv, details) for esv, _, details in found if esv != "73"]
    assert answers == [
        ("71", {"da": ""}),
        ("71", {"eb": ""}),
        ("51", {"da": "49"}),  # the site is in manual mode
        ("72", {"d3": "000005dc"}),
        ("71", {"da": ""}),
        ("72", {"e1": "44"}),
    ]
    announced = [details for esv, _, details in found if esv == "73"]
    assert {"da": "42"} in announced
    assert {"e1": "42"} in announced
