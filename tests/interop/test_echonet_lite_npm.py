"""npm `echonet-lite` in both roles: controller of our emulated V2H box, and device of our controller."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from emulators.battery.pack import Pack
from emulators.charger.echonet.box import BOX_EOJ, V2hBox, box_object
from emulators.runtime.clock import RealClock
from gateway.drivers.echonet.evse import EchonetEvse
from gateway.drivers.echonet.finding import ObjectLink
from gateway.drivers.echonet.network import EchonetNetwork
from gateway.drivers.echonet.profile import BoxProfile
from gateway.drivers.echonet.session import BoxSession
from gateway.model import event as model
from gateway.model.station import Answer
from protocols.echonet.classes import EV_CHARGER_DISCHARGER
from protocols.echonet.engine import Node
from protocols.echonet.events import Event, Request, RequestAnswered
from protocols.echonet.frames import NODE_PROFILE, Esv, Property
from protocols.echonet.io import UdpNode, UdpSettings
from tests.peers import alone, node_peer, program

pytestmark = pytest.mark.peer
PACKAGES = ("echonet-lite@2.16.2", "date-utils@1.2.21")  # it needs the second and does not name it
OURS, PEER = "127.0.0.83", "127.0.0.1"  # the peer binds all addresses and sends from this one
CONTROLLER = """
const EL = require('echonet-lite'); const box = process.argv[1]; const found = [];
const options = {v4: '127.0.0.1', ignoreMe: false, autoGetProperties: false};
EL.initialize(['05ff01'], (rinfo, els) => {
  if (rinfo.address === box) found.push({esv: els.ESV, seoj: els.SEOJ, details: els.DETAILs});
}, 4, options).then(() => {
  EL.sendOPC1(box, '05ff01', '0ef001', 0x62, 0xd6, [0]);
  setTimeout(() => EL.sendOPC1(box, '05ff01', '027e01', 0x61, 0xdd, [0x03]), 300);
  setTimeout(() => EL.sendOPC1(box, '05ff01', '027e01', 0x61, 0xda, [0x43]), 600);
  setTimeout(() => EL.sendOPC1(box, '05ff01', '027e01', 0x61, 0xda, [0x99]), 900);
  setTimeout(() => EL.sendOPC1(box, '05ff01', '027e01', 0x62, 0xe1, [0]), 2500);
  setTimeout(() => { console.log(JSON.stringify(found)); process.exit(0); }, 3200);
});
"""
DEVICE = """
const EL = require('echonet-lite');
const values = {'027e01': {'80': [0x30], 'da': [0x44], 'e4': [0x32], 'ec': [0, 0, 0x0b, 0xb8],
  '9d': [2, 0x80, 0xda], '9e': [2, 0xda, 0xec], '9f': [7, 0x80, 0xda, 0xe4, 0xec, 0x9d, 0x9e, 0x9f]}};
const options = {v4: '127.0.0.1', ignoreMe: false, autoGetProperties: false};
EL.initialize(['027e01'], (rinfo, els) => {
  if (els.ESV === '62') EL.replyGetDetail(rinfo, els, values);
  if (els.ESV === '61') EL.replySetDetail(rinfo, els, values);
}, 4, options).then(() => console.log('ready'));
"""
BOX = """
const EL = require('echonet-lite');
const values = {'027e01': {'80': [0x30], '82': [0, 0, 0x52, 0], '88': [0x42], '8a': [0, 0, 0x77], 'c7': [0x43],
  'c8': [0, 0, 0, 200, 0, 0, 0x17, 0x70], 'c9': [0, 0, 0, 200, 0, 0, 0x17, 0x70], 'd3': [0, 0, 0, 0],
  'da': [0x44], 'db': [2], 'dc': [1], 'dd': [2], 'e4': [0x32], 'eb': [0, 0, 0x0b, 0xb8], 'ec': [0, 0, 0x0b, 0xb8],
  '9d': [3, 0x80, 0x88, 0xda], '9e': [5, 0xda, 0xdc, 0xdd, 0xeb, 0xec],
  '9f': [15, 0x80, 0x82, 0x88, 0x8a, 0xc7, 0xc8, 0xc9, 0xd3, 0xda, 0xdb, 0xdc, 0xdd, 0xe4, 0xeb, 0xec]}};
const options = {v4: '127.0.0.1', ignoreMe: false, autoGetProperties: false};
EL.initialize(['027e01'], (rinfo, els) => {
  if (els.ESV === '62') EL.replyGetDetail(rinfo, els, values);
  if (els.ESV === '61') {
    for (const [epc, edt] of Object.entries(els.DETAILs)) {
      if (process.argv[1] === 'keeps' && epc === 'ec') continue;
      values['027e01'][epc] = EL.toHexArray(edt);
    }
    const box = values['027e01'];
    const watts = box.da[0] === 0x43 ? -(box.ec[2] * 256 + box.ec[3]) : 0;
    box.d3 = [(watts >> 24) & 255, (watts >> 16) & 255, (watts >> 8) & 255, watts & 255];
    EL.replySetDetail(rinfo, els, values);
  }
}, 4, options).then(() => console.log('ready'));
"""


@pytest.fixture(autouse=True)
def alone_at_the_port() -> Iterator[None]:
    """A node of the library receives what any process sends to port 3610 of this machine: one test at a time."""
    with alone("echonet-lite-port"):
        yield


def project() -> Path:
    """Return the folder of the npm project."""
    return node_peer("echonet-lite", *PACKAGES)


async def start(script: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        program("node", "nodejs"), "-e", script, *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={"NODE_PATH": str(project() / "node_modules"), "PATH": "/usr/bin:/bin:/usr/local/bin"},
    )  # fmt: skip


@asynccontextmanager
async def ours(node: Node) -> AsyncIterator[tuple[UdpNode, list[Event], asyncio.Event]]:
    events: list[Event] = []
    answered_all = asyncio.Event()

    def report(found: Sequence[Event]) -> None:
        events.extend(found)
        if sum(isinstance(one, RequestAnswered) for one in events) == 4:
            answered_all.set()

    udp = UdpNode(node, UdpSettings(OURS, multicast=False), RealClock(), report)
    udp.open()
    task = asyncio.create_task(udp.run())
    try:
        yield udp, events, answered_all
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_library_commands_our_box() -> None:
    box = V2hBox()
    box.connect(Pack(), RealClock().now())
    async with ours(Node([box_object(box)])):
        process = await start(CONTROLLER, OURS)
        out, _ = await asyncio.wait_for(process.communicate(), 60)
    found: list[dict[str, Any]] = json.loads(out.decode().splitlines()[-1])
    seen = [(one["esv"], one["seoj"], one["details"]) for one in found]
    assert seen[0] == ("72", "0ef001", {"d6": "01027e01"})
    assert seen[1] == ("71", "027e01", {"dd": ""})
    assert seen[2] == ("71", "027e01", {"da": ""})
    assert seen[3] == ("51", "027e01", {"da": "99"})
    assert seen[-1] == ("72", "027e01", {"e1": "43"})


async def test_our_controller_reads_and_commands_the_library() -> None:
    process = await start(DEVICE)
    assert process.stdout is not None
    try:
        assert await asyncio.wait_for(process.stdout.readline(), 30) == b"ready\n"
        async with ours(Node()) as (udp, events, answered_all):
            udp.command(Request(PEER, NODE_PROFILE, Esv.GET, (Property(0xD6),)))
            udp.command(Request(PEER, BOX_EOJ, Esv.GET, (Property(0xDA), Property(0xE4))))
            udp.command(Request(PEER, BOX_EOJ, Esv.SETC, (Property(0xDA, b"\x43"),)))
            udp.command(Request(PEER, BOX_EOJ, Esv.GET, (Property(0xDA),)))
            async with asyncio.timeout(30):
                await answered_all.wait()
    finally:
        process.kill()
        await process.communicate()
    answered = [one for one in events if isinstance(one, RequestAnswered)]
    answers = [one.answer.properties for one in answered if one.answer is not None]
    assert answers[0] == (Property(0xD6, b"\x01\x02\x7e\x01"),)
    assert set(answers[1]) == {Property(0xDA, b"\x44"), Property(0xE4, b"\x32")}
    assert answered[2].refused == frozenset()  # it acknowledges and keeps its value: orders must be read back
    assert answers[3] == (Property(0xDA, b"\x44"),)


@asynccontextmanager
async def driven(mode: str) -> AsyncIterator[tuple[EchonetEvse, list[model.Event]]]:
    """Run the driver against a box of the library, until it is read."""
    process = await start(BOX, mode)
    assert process.stdout is not None
    clock, settings, events = RealClock(), UdpSettings(OURS, multicast=False), list[model.Event]()
    network = EchonetNetwork(Node(), lambda node, clock, report: UdpNode(node, settings, clock, report), clock)
    session, link = BoxSession("BOX", "box"), ObjectLink([EV_CHARGER_DISCHARGER], PEER)
    evse = EchonetEvse(session, link, BoxProfile(), network, events.append, clock)
    tasks: list[asyncio.Task[None]] = []
    try:
        assert await asyncio.wait_for(process.stdout.readline(), 30) == b"ready\n"
        tasks = [asyncio.create_task(network.run()), asyncio.create_task(evse.run())]
        async with asyncio.timeout(30):
            while not evse.connected:
                await clock.sleep(0.02)
        yield evse, events
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        process.kill()
        await process.communicate()


async def test_the_driver_discharges_a_box_of_the_library() -> None:
    async with driven("follows") as (evse, events):
        outcome = await asyncio.wait_for(evse.set_power("BOX", -2500.0, 15.0), 20)
        assert outcome.answer is Answer.APPLIED, outcome
        async with asyncio.timeout(10):
            while not any(isinstance(one, model.Metered) and one.power_w == -2500 for one in events):
                await RealClock().sleep(0.02)
        assert (await asyncio.wait_for(evse.set_power("BOX", 0.0, 15.0), 20)).answer is Answer.APPLIED
        assert await evse.reconcile("BOX") == 0


async def test_the_driver_does_not_trust_an_acknowledgement_of_the_library() -> None:
    async with driven("keeps") as (evse, _):
        outcome = await asyncio.wait_for(evse.set_power("BOX", -2500.0, 15.0), 20)
        assert outcome.answer is Answer.REFUSED
        assert outcome.text == "the box acknowledged dischargingElectricPower = 2500 and keeps 3000"
