"""Configuration of devices over ECHONET Lite: mistakes, notes, profiles; scan and doctor over UDP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from emulators.charger.echonet.box import V2hBox, box_object
from emulators.runtime.clock import RealClock
from gateway.cli import doctor
from gateway.cli.findings import Verdict
from gateway.config import ConfigError, from_table
from gateway.config.lint import notes
from gateway.config.verification import verify
from gateway.drivers.echonet import scan
from gateway.drivers.echonet.network import EchonetNetwork
from gateway.drivers.echonet.profile import BadProfile, load, names
from protocols.echonet.engine import Node
from protocols.echonet.io import UdpNode, UdpSettings

BOX = {"id": "BAY", "driver": "echonet", "address": "127.0.0.12"}


def config(**tables: Any) -> Any:
    return from_table({"store": {"url": "memory:"}, "ocpp": {"security_profile": 0, "listen": "127.0.0.1:0"}, **tables})


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"evses": [{**BOX, "profile": "nichicom"}]}, "evses.0.profile: there is no profile 'nichicom'; known are"),
        ({"evses": [{**BOX, "profile": "missing.toml"}]}, "evses.0.profile: missing.toml cannot be read"),
        ({"evses": [{**BOX, "eoj": "027E"}]}, "evses.0.eoj: "),
        ({"evses": [{**BOX, "address": "box.home"}]}, "evses.0.address: 'box.home' is no IP address"),
        ({"evses": [{**BOX, "product": "quasar-1"}]}, "evses.0.product: is not a key of the gateway; known here are"),
        ({"pvs": [{"driver": "echonett"}]}, "pvs.0: driver must be one of modbus, echonet"),
        ({"pvs": [{"driver": "echonet"}], "echonet": {"multicast": False}}, "pvs.0.address: is needed with echonet."),
        ({"echonet": {"interface": "none0"}}, "echonet.interface: none0: "),
        ({"echonet": {"address": "::1"}}, "echonet: set interface for an IPv6 address"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_key(tables: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        verify(config(**tables))
    assert message in str(refused.value)


def test_what_a_box_does_when_the_gateway_fails_is_noted() -> None:
    found = notes(config(evses=[BOX], storages=[{"driver": "echonet"}], energy={"storage": {"controlled": True}}))
    assert any("evses.0.driver: a box over ECHONET Lite has no time-out of orders" in one for one in found)
    assert any("storages.0.driver: a storage over ECHONET Lite has no time-out of orders" in one for one in found)


def test_a_profile_of_the_site_is_read_beside_its_configuration(tmp_path: Path) -> None:
    assert names() == ["generic", "nichicon"]
    (tmp_path / "own.toml").write_text("answer_within_s = 20\nignored = ['E0']\n")
    assert load("own.toml", tmp_path).unused == {0xE0}
    (tmp_path / "own.toml").write_text("answer_s = 20\n")
    with pytest.raises(BadProfile, match=r"own.toml: answer_s: "):
        load("own.toml", tmp_path)
    (tmp_path / "own.toml").write_text("answer_within_s =\n")
    with pytest.raises(BadProfile, match=r"own.toml is not TOML"):
        load("own.toml", tmp_path)


@asynccontextmanager
async def box_on(address: str) -> AsyncIterator[None]:
    """Run an emulated box on an address of this machine."""
    settings = UdpSettings(address, multicast=False)
    udp = UdpNode(Node([box_object(V2hBox())]), settings, RealClock(), lambda events: None)
    udp.open()
    running = asyncio.get_running_loop().create_task(udp.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_scan_lists_what_answers_over_udp() -> None:
    clock, settings = RealClock(), UdpSettings("127.0.0.13", multicast=False)
    async with box_on("127.0.0.12"):
        network = EchonetNetwork(Node(), lambda node, clock, report: UdpNode(node, settings, clock, report), clock)
        [found] = await scan.scan(network, clock, 0.3, ["127.0.0.12"])
        assert (found.node, str(found.eoj), found.product) == ("127.0.0.12", "027E01", "V2H BOX")
        listed = json.loads(json.dumps(scan.record(found)))
        assert listed["values"]["operationMode"] == "standby"
        assert listed["cannot"] == {}
        assert "027E01 EV charger and discharger, release R" in scan.line(found)
        with pytest.raises(scan.PortInUse):
            scan.verify_port_free(UdpSettings("127.0.0.12"))


async def test_doctor_finds_the_configured_box(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ECHONET_WITHIN_S", 3.0)
    box = {**BOX, "address": "127.0.0.32"}  # the addresses of no other test, which may run at the same time
    echonet = {"address": "127.0.0.33", "multicast": False}
    async with box_on("127.0.0.32"):
        [found] = await doctor._echonet(config(evses=[box], echonet=echonet))
        assert found.verdict is Verdict.OK
        assert found.text.startswith("evses.0: 027E01 EV charger and discharger, release R")
        monkeypatch.setattr(doctor, "ECHONET_WITHIN_S", 0.3)
        other = {**box, "address": "127.0.0.34"}
        [missing] = await doctor._echonet(config(evses=[other], echonet=echonet))
        assert missing.verdict is Verdict.FAILED
        taken = {"address": "127.0.0.32", "multicast": False}
        [used] = await doctor._echonet(config(evses=[other], echonet=taken))
        assert used.verdict is Verdict.NOTE
