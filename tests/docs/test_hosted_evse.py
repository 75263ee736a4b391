"""The page on a charger without OCPP: its configuration serves a vehicle, in memory and as the programs of the page."""

from __future__ import annotations

import asyncio
import json
import tomllib
from pathlib import Path

import pytest

from emulators.ev.car import Car
from emulators.ev.session import EvSession
from emulators.runtime.clock import VirtualClock
from emulators.runtime.memory_broker import MemoryBroker
from emulators.runtime.transports import wire_pair
from gateway.app import Parts, gateway
from gateway.config import from_table
from gateway.drivers.secc.evse import SeccEvse
from gateway.model.command import Channel, Submission
from tests.docs.pages import blocks
from tests.docs.programs import commands, programs
from tests.gateway.mqtt.facility import free_port
from tests.peers import ROOT, program

STATE = "http://127.0.0.1:9001/admin/v1/evses/BAY1"
PAGE = ROOT / "docs" / "hosted-evse.md"


@pytest.mark.virtual_time
async def test_the_configuration_of_the_page_discharges_a_vehicle() -> None:
    toml, _ = blocks(PAGE, "toml")
    config, clock, broker = from_table(tomllib.loads(toml.code)), VirtualClock(), MemoryBroker()
    parts = Parts(clock=clock, connect=lambda will: broker.client("gw", will=will), listen=False)
    async with gateway(config, parts) as running:
        evse = running.hosted.by_name["BAY1"]
        assert isinstance(evse, SeccEvse)
        await clock.sleep(1)
        near, far = wire_pair("ev", "secc")
        serving = asyncio.create_task(evse.serve(far))
        session = EvSession(Car(soc_pct=80.0), clock)
        driving = asyncio.create_task(session.run(near))
        await clock.sleep(15)
        body = json.dumps({"id": "d1", "power_w": 3000, "lease_s": 60}).encode()
        result = await running.service.submit(Submission("BAY1", "discharge", body, Channel.API))
        assert (result.status, result.effective_w) == ("accepted", -3000)
        await clock.sleep(10)
        state = running.service.state("BAY1")
        assert state is not None
        assert state.power_w == pytest.approx(-3000, abs=150)
        session.stop()
        await clock.sleep(5)
        assert driving.done()
        assert serving.done()


@pytest.mark.virtual_time
async def test_the_ac_charger_of_the_page_charges_a_vehicle_without_communication() -> None:
    _, toml = blocks(PAGE, "toml")
    clock, broker = VirtualClock(), MemoryBroker()
    config = from_table({**tomllib.loads(toml.code), "store": {"url": "memory:"}, "ocpp": {"security_profile": 0}})
    parts = Parts(clock=clock, connect=lambda will: broker.client("gw", will=will), listen=False)
    async with gateway(config, parts) as running:
        await clock.sleep(45)
        body = json.dumps({"id": "c1", "power_w": 6900, "lease_s": 60}).encode()
        result = await running.service.submit(Submission("GARAGE", "charge", body, Channel.API))
        assert (result.status, result.effective_w) == ("accepted", 6900)
        await clock.sleep(10)
        state = running.service.state("GARAGE")
        assert state is not None
        assert state.power_w == pytest.approx(6900, abs=100)


@pytest.mark.soak
def test_the_programs_of_the_page(tmp_path: Path) -> None:
    program("curl", "curl")
    check, serve, vehicle, discharge, explain = commands(PAGE)
    toml, _ = blocks(PAGE, "toml")
    with programs(tmp_path, {"9001": free_port(), "15118": free_port()}) as started:
        extra = f'[ocpp]\nlisten = "127.0.0.1:{free_port()}"\nsecurity_profile = 0\n'
        (started.folder / "gateway.toml").write_text(started.line(toml.code) + extra)
        started.run(check)
        started.start(serve)
        started.until("the gateway listens", lambda: '"ready"' in started.output("gateway"))
        started.start(vehicle)
        state = discharge.split(" -H")[0] + ' -H "Authorization: Bearer $(cat admin-token)" ' + STATE
        started.until("the state of charge", lambda: json.loads(started.run(state))["soc_pct"] is not None)
        assert json.loads(started.run(discharge))["status"] == "accepted"
        started.until("the power", lambda: "-3000" in started.run(explain))
