"""UDP: two nodes on addresses of the loopback network, and multicast over IPv4 and IPv6 between network namespaces."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from emulators.runtime.clock import RealClock
from protocols.echonet.engine import Node
from protocols.echonet.events import (
    Announce,
    DatagramIgnored,
    Discover,
    Event,
    NodeFound,
    ObjectDescribed,
    Request,
    RequestAnswered,
)
from protocols.echonet.frames import Esv, Property
from protocols.echonet.io import UdpNode, UdpSettings
from tests.peers import ROOT, absent, program
from tests.protocols.echonet.bench import V2H, VALUES, Values, v2h

BOX, HEMS = "127.0.0.71", "127.0.0.72"
WITHIN_S = 20.0
LINK = """
set -e
unshare --net sleep 60 & other=$!
sleep 0.3
ip link add v2xa type veth peer name v2xb
ip link set v2xb netns $other
inside="nsenter --target $other --net"
ip address add {own}/64 dev v2xa nodad 2>/dev/null || ip address add {own}/24 dev v2xa
$inside ip address add {peer}/64 dev v2xb nodad 2>/dev/null || $inside ip address add {peer}/24 dev v2xb
ip link set v2xa up
$inside ip link set v2xb up
$inside {python} -m tests.protocols.echonet.node_program device {peer} v2xb & device=$!
status=0
{python} -m tests.protocols.echonet.node_program controller {own} v2xa || status=$?
kill $device $other
exit $status
"""


@asynccontextmanager
async def running(node: Node, settings: UdpSettings) -> AsyncIterator[tuple[UdpNode, list[Event]]]:
    events: list[Event] = []

    def report(found: Sequence[Event]) -> None:
        events.extend(found)

    udp = UdpNode(node, settings, RealClock(), report)
    udp.open()
    task = asyncio.create_task(udp.run())
    try:
        yield udp, events
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        udp.close()


def free_port() -> int:
    """Return a port that nothing uses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((BOX, 0))
        return int(probe.getsockname()[1])


async def until(events: list[Event], kind: type) -> Event:
    async with asyncio.timeout(WITHIN_S):
        while True:
            for one in events:
                if isinstance(one, kind):
                    return one
            await asyncio.sleep(0.02)


async def discover(box: UdpSettings, hems: UdpSettings) -> None:
    plant = Values(VALUES)
    async with running(Node([v2h(plant)]), box), running(Node(), hems) as (udp, events):
        udp.command(Discover())
        described = await until(events, ObjectDescribed)
        assert isinstance(described, ObjectDescribed)
        assert (described.eoj, described.release) == (V2H, "Q")
        udp.command(Request(described.node, V2H, Esv.SETC, (Property(0xDA, b"\x43"),)))
        answered = await until(events, RequestAnswered)
        assert isinstance(answered, RequestAnswered)
        assert (answered.refused, plant.values[0xDA]) == (frozenset(), "discharge")


async def test_discovery_and_a_request_on_one_machine() -> None:
    port = free_port()
    await discover(UdpSettings(BOX, "lo", port), UdpSettings(HEMS, "lo", port))


async def test_an_announcement_reaches_the_controller() -> None:
    port = free_port()
    async with running(Node(), UdpSettings(HEMS, "lo", port)) as (_, events):  # noqa: SIM117
        async with running(Node([v2h(Values(VALUES))]), UdpSettings(BOX, "lo", port)) as (udp, _):
            udp.command(Announce())
            assert await until(events, NodeFound) == NodeFound(BOX, (V2H,))


async def test_unicast_without_multicast() -> None:
    port = free_port()
    box, hems = (UdpSettings(address, port=port, multicast=False) for address in (BOX, HEMS))
    async with running(Node([v2h(Values(VALUES))]), box), running(Node(), hems) as (udp, events):
        udp.command(Discover())
        udp.command(Request(BOX, V2H, Esv.GET, (Property(0xE4),)))
        answered = await until(events, RequestAnswered)
        assert isinstance(answered, RequestAnswered)
        assert answered.answer is not None
        assert answered.answer.properties == (Property(0xE4, b"\x50"),)


async def test_unicast_over_ipv6() -> None:
    settings = UdpSettings("::1", port=free_port(), multicast=False)
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("no IPv6 on this machine")
    async with running(Node([v2h(Values(VALUES))]), settings) as (_, events):
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_sendto(client, b"not a frame", ("::1", settings.port))
            ignored = await until(events, DatagramIgnored)
    assert ignored == DatagramIgnored("::1", "no valid frame: 11 bytes, a frame has at least 12")


@pytest.mark.parametrize(("own", "peer"), [("10.90.0.1", "10.90.0.2"), ("fe80::1", "fe80::2")], ids=["IPv4", "IPv6"])
def test_multicast_between_two_network_namespaces(own: str, peer: str) -> None:
    unshare = [program("unshare", "util-linux"), "--user", "--map-root-user", "--net"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        absent("this machine does not allow network namespaces")
    script = LINK.format(own=own, peer=peer, python=sys.executable)
    done = subprocess.run(
        [*unshare, "sh", "-c", script], capture_output=True, text=True, timeout=60, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == [peer, "027E01", "Q", "written"]


async def test_an_address_that_is_not_ours_is_an_os_error() -> None:
    udp = UdpNode(Node(), UdpSettings("192.0.2.1"), RealClock(), lambda events: None)
    with pytest.raises(OSError, match="address"):
        udp.open()
