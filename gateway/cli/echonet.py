"""`v2x echonet`: devices in a network of ECHONET Lite."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.execution import end, fail, print_lines, run_until_done
from gateway.cli.options import Json, examples

if TYPE_CHECKING:
    from protocols.echonet.engine import Node
    from protocols.echonet.events import Event
    from protocols.echonet.io import UdpNode, UdpSettings
    from protocols.ports import Clock

app = typer.Typer(help="Devices over ECHONET Lite.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Devices over ECHONET Lite."""


@app.command(
    epilog=examples(
        "v2x echonet scan",
        "v2x echonet scan --interface eth0 --seconds 10",
        "v2x echonet scan --address 127.0.0.1 --node 127.0.0.2 --json",
    )
)
def scan(
    address: Annotated[str, typer.Option(help="Own IP address; IPv6 needs --interface.")] = "0.0.0.0",
    interface: Annotated[str | None, typer.Option(help="Network interface.")] = None,
    port: Annotated[int, typer.Option(min=1, max=65_535, help="UDP port of all nodes.")] = 3610,
    node: Annotated[list[str] | None, typer.Option(help="Address of a device that multicast does not reach.")] = None,
    seconds: Annotated[float, typer.Option(min=0.5, max=300, help="Time for the answers, s.")] = 4.0,
    json: Json = False,
) -> None:
    """List the devices that answer.

    Objects, makers, releases, values, and what a V2H box cannot do. Nothing is set. A gateway on this machine that uses
    the same address has to be stopped. Exit status 1: nothing answers, or the network cannot be used.
    """
    end(run_until_done(_scan(address, interface or "", port, node or [], seconds, json)))


def _opened(settings: UdpSettings, node: Node, clock: Clock, report: Callable[[Sequence[Event]], None]) -> UdpNode:
    """Return a node whose sockets are bound. Raises OSError."""
    from protocols.echonet.io import UdpNode

    udp = UdpNode(node, settings, clock, report)
    udp.open()
    return udp


async def _scan(address: str, interface: str, port: int, nodes: list[str], seconds: float, json: bool) -> int:
    from gateway.clock import SystemClock
    from gateway.drivers.echonet import scan as scanning
    from gateway.drivers.echonet.network import EchonetNetwork
    from protocols.echonet.engine import Node
    from protocols.echonet.io import UdpSettings

    settings, clock = UdpSettings(address, interface, port), SystemClock()
    try:
        scanning.verify_port_free(settings)
        network = EchonetNetwork(Node(), partial(_opened, settings), clock)
    except scanning.PortInUse as error:
        fail("echonet scan", f"{error}: stop the gateway, or give --address another address of this machine", 1)
    except OSError as error:
        fail("echonet scan", f"{address} port {port} cannot be used: {error.strerror or error}", 1)
    found = await scanning.scan(network, clock, seconds, nodes)
    if json:
        typer.echo(jsonlib.dumps([scanning.record(one) for one in found]))
    else:
        for one in found:
            print_lines(f"{one.node} {scanning.line(one)}")
        if not found:
            print_lines(f"no device answers within {seconds:g} s")
    return 0 if found else 1
