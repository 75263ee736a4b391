"""Program `v2x v2h-box`: a controller on the network commands it."""

from __future__ import annotations

import asyncio
import io
import json

import pytest

from emulators.charger.echonet.box import BOX_EOJ
from emulators.charger.echonet.chademo_link import ChademoLink
from emulators.echonet.run import BoxOptions, create, run
from emulators.runtime.clock import RealClock
from protocols.echonet.engine import Node
from protocols.echonet.events import Discover, Request
from protocols.echonet.frames import Esv, Property
from protocols.echonet.io import UdpNode, UdpSettings
from tests.protocols.echonet.test_io import free_port

BOX, HEMS = "127.0.0.75", "127.0.0.76"


@pytest.mark.parametrize("as_json", [False, True])
async def test_a_controller_commands_the_program(as_json: bool) -> None:
    port, out = free_port(), io.StringIO()
    options = BoxOptions(BOX, "lo", port, car="ccs-63", soc_pct=60.0, release="Q", json=as_json)
    box = asyncio.create_task(run(options, out))
    await asyncio.sleep(0.1)
    controller = UdpNode(Node(), UdpSettings(HEMS, "lo", port), RealClock(), lambda events: None)
    controller.open()
    running = asyncio.create_task(controller.run())
    controller.command(Discover())
    for epc, data in ((0xDD, b"\x01"), (0xDA, b"\x43"), (0xE4, b"\x01")):
        controller.command(Request(BOX, BOX_EOJ, Esv.SETC, (Property(epc, data),)))
    expected = '"event": "Power"' if as_json else "discharging 6.0 kW, battery at 60 %"
    async with asyncio.timeout(20):
        while expected not in out.getvalue():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    for one in (box, running):
        one.cancel()
    await asyncio.gather(box, running, return_exceptions=True)
    lines = out.getvalue().splitlines()
    if as_json:
        names = [json.loads(line)["event"] for line in lines]
        assert names[:3] == ["PropertyWritten", "PropertyWritten", "WriteRefused"]
    else:
        assert lines[0] == f"V2H box 027E01 of release Q at {BOX} on lo, UDP port {port}"
        assert lines[1:4] == [
            f"{HEMS} sets dischargingMethod to maximumDischargingElectricPower",
            f"{HEMS} sets operationMode to discharge",
            f"{HEMS} tried to set remainingCapacity3: refused",
        ]


def test_a_leaf_is_connected_over_chademo() -> None:
    assert isinstance(create(BoxOptions(car="leaf-62"), 0.0).stage.battery, ChademoLink)
    assert create(BoxOptions(car=""), 0.0).stage.battery is None


@pytest.mark.parametrize(
    ("options", "status", "text"),
    [
        (BoxOptions(release="O"), 2, "release 'O' is none of D, E"),
        (BoxOptions(car="none-such"), 2, "none-such"),
        (BoxOptions("192.0.2.1"), 1, "192.0.2.1 port 3610 cannot be used"),
    ],
)
async def test_wrong_options(options: BoxOptions, status: int, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(options, io.StringIO()) == status
    assert text in capsys.readouterr().err
