"""npm `echonet-lite` in both roles: controller of our emulated V2H box, and device of our controller."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from emulators.battery.pack import Pack
from emulators.charger.echonet.box import BOX_EOJ, V2hBox, box_object
from emulators.runtime.clock import RealClock
from protocols.echonet.engine import Node
from protocols.echonet.events import Event, Request, RequestAnswered
from protocols.echonet.frames import NODE_PROFILE, Esv, Property
from protocols.echonet.io import UdpNode, UdpSettings
from tests.peers import node_peer, program

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
