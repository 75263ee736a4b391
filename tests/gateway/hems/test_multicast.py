"""A HEMS in another network namespace finds the gateway by multicast, over IPv4 and IPv6."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.gateway.mqtt.facility import free_port
from tests.peers import ROOT, absent, program

pytestmark = pytest.mark.peer
HEMS = """
import asyncio, sys
from emulators.runtime.clock import RealClock
from protocols.echonet.engine import Node
from protocols.echonet.events import Discover, NodeFound, ObjectDescribed
from protocols.echonet.io import UdpNode, UdpSettings

async def main(own, interface):
    found, described = set(), set()
    def report(events):
        found.update(one.node.partition("%")[0] for one in events if isinstance(one, NodeFound))
        described.update(str(one.eoj) for one in events if isinstance(one, ObjectDescribed))
    udp = UdpNode(Node(), UdpSettings(own, interface), RealClock(), report)
    udp.open()
    task = asyncio.create_task(udp.run())
    async with asyncio.timeout(25):
        while len(described) < 3:
            udp.command(Discover())
            await asyncio.sleep(0.3)
    print(*found, *sorted(described))

asyncio.run(main(*sys.argv[1:]))
"""
LINK = """
set -e
unshare --net sleep 60 & other=$!
sleep 0.3
ip link set lo up
ip link add v2xa type veth peer name v2xb
ip link set v2xb netns $other
inside="nsenter --target $other --net"
ip address add {own}/64 dev v2xa nodad 2>/dev/null || ip address add {own}/24 dev v2xa
$inside ip address add {peer}/64 dev v2xb nodad 2>/dev/null || $inside ip address add {peer}/24 dev v2xb
ip link set v2xa up
$inside ip link set v2xb up
{python} -m gateway.cli gateway -c {config} >/dev/null & gateway=$!
status=0
$inside {python} -c "$HEMS" {peer} v2xb || status=$?
kill $gateway $other
exit $status
"""


@pytest.mark.parametrize(
    ("own", "peer"),
    [
        pytest.param("10.91.0.1", "10.91.0.2", id="IPv4"),
        pytest.param("fe80::1", "fe80::2", id="IPv6", marks=pytest.mark.soak),
    ],
)
def test_discovery_in_another_namespace(own: str, peer: str, tmp_path: Path) -> None:
    unshare = [program("unshare", "util-linux"), "--user", "--map-root-user", "--net"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        absent("this machine does not allow network namespaces")
    config = tmp_path / "gateway.toml"
    config.write_text(f"""
site.id = "home"
mqtt.url = "mqtt://127.0.0.1:{free_port()}"
ocpp.listen = "127.0.0.1:{free_port()}"
ocpp.security_profile = 0
store.url = "memory:"
echonet = {{address = "{own}", interface = "v2xa", device = {{evses = ["CP1-1"], site = ["board"]}}}}
""")
    script = LINK.format(own=own, peer=peer, python=sys.executable, config=config)
    done = subprocess.run(
        [*unshare, "env", f"HEMS={HEMS}", "sh", "-c", script],
        capture_output=True, text=True, timeout=60, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == [own, "027E01", "028701", "05FF01"]
