"""A node as a program: device or controller, address, interface. The controller finds a device and writes to it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from emulators.runtime.clock import RealClock
from protocols.echonet.engine import Node
from protocols.echonet.events import Discover, Event, ObjectDescribed, Request, RequestAnswered
from protocols.echonet.frames import Esv, Property
from protocols.echonet.io import UdpNode, UdpSettings
from tests.protocols.echonet.bench import VALUES, Values, v2h

RUN_S = 40.0


async def device(settings: UdpSettings) -> None:
    await UdpNode(Node([v2h(Values(VALUES))]), settings, RealClock(), lambda events: None).run()


async def controller(settings: UdpSettings) -> None:
    done = asyncio.Event()

    def report(events: Sequence[Event]) -> None:
        for one in events:
            if isinstance(one, ObjectDescribed):
                sys.stdout.write(f"{one.node.partition('%')[0]} {one.eoj} {one.release} ")
                orders.append(Request(one.node, one.eoj, Esv.SETC, (Property(0xDA, b"\x43"),)))
            if isinstance(one, RequestAnswered) and not one.refused:
                sys.stdout.write("written\n")
                done.set()

    orders: list[Request] = []
    udp = UdpNode(Node(), settings, RealClock(), report)
    udp.open()
    task = asyncio.create_task(udp.run())
    while not done.is_set():
        udp.command(orders.pop() if orders else Discover())
        await asyncio.sleep(0.5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def main() -> None:
    role, address, interface = sys.argv[1:]
    run = device if role == "device" else controller
    asyncio.run(asyncio.wait_for(run(UdpSettings(address, interface)), RUN_S))


if __name__ == "__main__":
    main()
