"""A real Home Assistant over Mosquitto: EVSE and site are discovered and commanded, the vehicle is a battery."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gateway.mqtt import discovery
from gateway.mqtt.topics import LoadTiers, Topics
from tests.gateway.mqtt.facility import mosquitto
from tests.interop.test_mosquitto import home, linked
from tests.peers import absent, python_peer

pytestmark = pytest.mark.peer
RELEASE = "2025.1.4"
BOOT = Path(__file__).with_name("homeassistant_boot.py")
TIERS = [
    {"name": "light & radio", "priority": 0, "expected_w": 500, "critical": True},
    {"name": 'lift "2"', "priority": 1, "expected_w": 900, "wants_hours": 4},
]
EXAMPLES = Path(__file__).parents[2] / "examples" / "home-assistant"


def interpreter() -> str:
    """A Python new enough for Home Assistant 2024.11 and newer."""
    folders = sorted(Path.home().glob(".pyenv/versions/3.1[23]*/bin"), reverse=True)
    names = ("python3.13", "python3.12")
    found = [
        path for name in names for path in (*(str(folder / name) for folder in folders), shutil.which(name)) if path
    ]
    for path in filter(lambda one: Path(one).exists(), found):
        if subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
            return path
    return absent("Home Assistant needs Python 3.12 or newer beside this one")


def peer() -> Path:
    """Home Assistant in an environment of its own."""
    return python_peer("homeassistant", f"homeassistant=={RELEASE}", "paho-mqtt==1.6.1", base=interpreter())


@pytest.mark.timeout(1200)
async def test_home_assistant_discovers_displays_and_commands_an_evse(tmp_path: Path) -> None:
    python = peer()

    with mosquitto(tmp_path) as broker:
        async with home(url=broker.url, energy={"tiers": TIERS}) as (running, stations):
            await linked(running)
            process = await asyncio.create_subprocess_exec(
                str(python), str(BOOT), str(tmp_path / "ha"), str(broker.port), str(EXAMPLES / "automation.yaml"),
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            out, err = await asyncio.wait_for(process.communicate(), 180)
            lines = [line for line in out.decode().splitlines() if line.startswith("SEEN ")]
            assert lines, err.decode()[-3000:]
            complaints = [
                line
                for line in err.decode().splitlines()
                if re.match(
                    r"(ERROR|WARNING):homeassistant\.(components\.(mqtt|sensor|energy|recorder)|helpers\.template)",
                    line,
                )
            ]
            assert not complaints, "\n".join(complaints)
            seen: dict[str, Any] = json.loads(lines[0].removeprefix("SEEN "))
            seen["power_w"] = stations.evses["CP1-1"].power_w
    assert seen["discovered"]
    assert seen["achieved"]
    states = seen["states"]
    assert states["sensor.evse_cp1_1_power"] == ["-3000.0", "power"]
    assert states["sensor.evse_cp1_1_bound_by"] == ["command", "enum"]
    assert states["sensor.evse_cp1_1_session"][0] == "in_session"
    assert states["binary_sensor.evse_cp1_1_plug"][0] == "on"
    assert states["binary_sensor.evse_cp1_1_problem"][0] == "off"
    assert states["binary_sensor.evse_cp1_1_grid_present"][0] == "unknown"
    assert float(states["sensor.evse_cp1_1_energy_discharged"][0]) > 0
    assert states["sensor.evse_cp1_1_lease_end"][1] == "timestamp"
    wanted = len(discovery.entities(Topics("home", "gw1"), _some_state()))
    assert len([name for name in states if "evse_cp1_1" in name]) == wanted
    _check_site(seen)
    _check_battery(seen)
    assert seen["after"]["select.evse_cp1_1_site_mode"] == "price"
    assert float(seen["after"]["number.evse_cp1_1_reserve"]) == 45
    assert float(seen["after"]["sensor.evse_cp1_1_power"]) == 0
    shown = re.findall(r"(?:sensor|binary_sensor|number|select|button)\.\w+", (EXAMPLES / "dashboard.yaml").read_text())
    assert shown
    assert set(shown) <= set(states), "the example dashboard shows what does not exist"
    assert seen["automations"] == {"automation.discharge_while_the_price_is_high": "on"}
    assert seen["automated"], "the example automation sent no command"


def _check_site(seen: dict[str, Any]) -> None:
    """Verify the entities of the site and the effect of its commands."""
    states, tiers = seen["states"], LoadTiers(tuple(str(tier["name"]) for tier in TIERS), "light & radio")
    found = discovery.site_entities(Topics("home", "gw1"), tiers)
    assert len([name for name in states if ".site_home_" in name]) == len(found)
    assert states["select.site_home_mode"][0] == "manual"
    assert states["sensor.site_home_vehicle_power"] == ["-3000.0", "power"]
    assert states["binary_sensor.site_home_grid_present"][0] == "unknown"
    assert states["binary_sensor.site_home_car_needed"][0] == "off"
    assert states["sensor.site_home_phase"] == ["on_grid", "enum"]
    assert float(states["sensor.site_home_autonomy"][0]) > 1
    assert states["binary_sensor.site_home_load_tier_light_radio"] == ["on", "power"]
    assert states["binary_sensor.site_home_load_tier_lift_2"][0] == "on"
    assert states["binary_sensor.site_home_emergency_stop_active"][0] == "off"
    assert seen["site"] == {"mode": "self_consumption", "reserve": "35.0", "stopped": "on", "released": "off"}


def _check_battery(seen: dict[str, Any]) -> None:
    """Verify that the energy dashboard accepts the vehicle as a battery, with energies that grow."""
    assert seen["energy"]["issues"] == [[]]
    statistics = seen["energy"]["statistics"]
    assert statistics["discharged"]["state"] > 0
    assert statistics["charged"]["state"] == 0


def _some_state() -> Any:
    from gateway.bench.plain_station import PlainStations
    from gateway.clock import SystemClock
    from gateway.control.settings import ServiceSettings
    from gateway.model.event import EvseDescribed, PowerLimits
    from gateway.model.site import SitePolicy
    from gateway.service import GatewayService
    from gateway.store.journal import Journal
    from gateway.store.store import MemoryStore

    clock = SystemClock()
    settings, journal = ServiceSettings(SitePolicy("home")), Journal(MemoryStore(), clock)
    service = GatewayService(settings, clock, lambda _: PlainStations(clock, print), journal)
    service.report(EvseDescribed("CP1-1", "CP1", clock.now(), PowerLimits(11_000.0, 10_000.0), True))
    return service.state("CP1-1")
