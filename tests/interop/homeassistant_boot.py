"""Runs in Home Assistant's interpreter: boots it with MQTT, waits for EVSE and site, commands them, prints the states.

python homeassistant_boot.py FOLDER BROKER_PORT AUTOMATION_YAML
"""

import asyncio
import json
import logging
import os
import socket
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path

from homeassistant import auth, bootstrap, config_entries, core, loader
from homeassistant.components.energy import data as energy_data
from homeassistant.components.energy import validate as energy_validate
from homeassistant.components.recorder import get_instance
from homeassistant.components.recorder.statistics import get_last_short_term_statistics
from homeassistant.components.recorder.tasks import StatisticsTask
from homeassistant.helpers.recorder import async_initialize_recorder
from homeassistant.setup import async_setup_component
from homeassistant.util import dt
from homeassistant.util.yaml import load_yaml

FOLDER, PORT, AUTOMATION = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
ENTRY = {
    "version": 1,
    "minor_version": 4,
    "key": "core.config_entries",
    "data": {
        "entries": [
            {
                "created_at": "2025-01-01T00:00:00+00:00",
                "modified_at": "2025-01-01T00:00:00+00:00",
                "data": {"broker": "127.0.0.1", "port": PORT, "protocol": "5", "discovery": True},
                "disabled_by": None,
                "discovery_keys": {},
                "domain": "mqtt",
                "entry_id": "mqttentry",
                "minor_version": 2,
                "options": {},
                "pref_disable_new_entities": False,
                "pref_disable_polling": False,
                "source": "user",
                "title": "broker",
                "unique_id": None,
                "version": 1,
            }
        ]
    },
}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def until(what, within_s=60.0):
    for _ in range(int(within_s * 10)):
        found = what()
        if found:
            return found
        await asyncio.sleep(0.1)
    return None


async def command_site(hass):
    """Command the site, and return its states after each command."""

    async def call(domain, service, entity, reached, **more):
        await hass.services.async_call(domain, service, {"entity_id": f"{domain}.{entity}", **more}, blocking=True)
        found = await until(lambda: hass.states.get(reached[0]).state == reached[1], 20)
        return hass.states.get(reached[0]).state if not found else reached[1]

    mode, reserve, stopped = (
        "select.site_home_mode",
        "number.site_home_reserve",
        "binary_sensor.site_home_emergency_stop_active",
    )
    return {
        "mode": await call(
            "select", "select_option", "site_home_mode", (mode, "self_consumption"), option="self_consumption"
        ),
        "reserve": await call("number", "set_value", "site_home_reserve", (reserve, "35.0"), value=35),
        "stopped": await call("button", "press", "site_home_emergency_stop", (stopped, "on")),
        "released": await call("button", "press", "site_home_release", (stopped, "off")),
    }


async def energy_dashboard(hass):
    """Show the vehicle as a battery in the energy dashboard; return what is wrong with it, and the last statistics."""
    entities = {way: f"sensor.evse_cp1_1_energy_{way}" for way in ("charged", "discharged")}
    battery = {
        "type": "battery",
        "stat_energy_from": entities["discharged"],
        "stat_energy_to": entities["charged"],
    }
    manager = await energy_data.async_get_manager(hass)
    await manager.async_update({"energy_sources": [battery]})
    recorder = get_instance(hass)
    await recorder.async_block_till_done()
    now = dt.utcnow().replace(second=0, microsecond=0)
    start = now - timedelta(minutes=now.minute % 5)
    recorder.queue_task(StatisticsTask(start, False))
    last = {}
    for way, entity in entities.items():
        read = partial(get_last_short_term_statistics, hass, 1, entity, True, {"sum", "state"})
        for _ in range(300):  # the task runs in a thread of the recorder
            if rows := await recorder.async_add_executor_job(read):
                break
            await asyncio.sleep(0.1)
        last[way] = rows[entity][0]
    found = await energy_validate.async_validate(hass)
    return {"issues": found.as_dict()["energy_sources"], "statistics": last}


async def main():
    (FOLDER / ".storage").mkdir(parents=True)
    (FOLDER / ".storage" / "core.config_entries").write_text(json.dumps(ENTRY))
    (FOLDER / "configuration.yaml").write_text("mqtt:\n")
    hass = core.HomeAssistant(str(FOLDER))
    hass.config.skip_pip = True
    loader.async_setup(hass)
    hass.config_entries = config_entries.ConfigEntries(hass, {})
    await bootstrap.async_load_base_functionality(hass)
    hass.auth = await auth.auth_manager_from_config(hass, [], [])
    await hass.config.async_set_time_zone("UTC")
    http = {"http": {"server_host": ["127.0.0.1"], "server_port": free_port()}}
    automation = {"automation": [{"id": "example", **load_yaml(AUTOMATION)}]}
    async_initialize_recorder(hass)
    recorder = {"recorder": {"db_url": f"sqlite:///{FOLDER}/recorder.db", "commit_interval": 0}}
    components = (
        ("homeassistant", {}),
        ("recorder", recorder),
        ("http", http),
        ("mqtt", {"mqtt": {}}),
        ("automation", automation),
        ("sensor", {}),
        ("energy", {}),
    )
    for name, config in components:
        if not await async_setup_component(hass, name, config):
            raise SystemExit(f"{name} could not be set up")
    await hass.async_start()

    def power():
        state = hass.states.get("sensor.evse_cp1_1_power")
        return state is not None and state.state not in ("unknown", "unavailable")

    seen = {"discovered": bool(await until(power))}
    await hass.services.async_call(
        "number", "set_value", {"entity_id": "number.evse_cp1_1_set_point", "value": -3000}, blocking=True
    )

    def achieved():
        result = hass.states.get("sensor.evse_cp1_1_last_result")
        return result is not None and result.state == "achieved"

    def discharged():
        states = {state.entity_id: state.state for state in hass.states.async_all()}
        energy = states.get("sensor.evse_cp1_1_energy_discharged", "unknown")
        at_site = states.get("sensor.site_home_vehicle_power", "-3000.0")  # only where the site is a device
        return energy not in ("unknown", "0", "0.0") and at_site == states["sensor.evse_cp1_1_power"] == "-3000.0"

    seen["achieved"] = bool(await until(achieved, 20))
    await until(discharged, 20)
    seen["states"] = {
        state.entity_id: [state.state, state.attributes.get("device_class")] for state in hass.states.async_all()
    }
    await hass.services.async_call("button", "press", {"entity_id": "button.evse_cp1_1_stop"}, blocking=True)
    await hass.services.async_call(
        "select", "select_option", {"entity_id": "select.evse_cp1_1_site_mode", "option": "price"}, blocking=True
    )
    await hass.services.async_call(
        "number", "set_value", {"entity_id": "number.evse_cp1_1_reserve", "value": 45}, blocking=True
    )

    def settled():
        after = {state.entity_id: state.state for state in hass.states.async_all()}
        quiet = float(after["sensor.evse_cp1_1_power"]) == 0 and float(after["number.evse_cp1_1_reserve"]) == 45
        return after if quiet and after["select.evse_cp1_1_site_mode"] == "price" else None

    await until(settled, 20)
    seen["after"] = {state.entity_id: state.state for state in hass.states.async_all()}
    seen["site"] = await command_site(hass)
    seen["energy"] = await asyncio.wait_for(energy_dashboard(hass), 60)
    rule = {"entity_id": "automation.discharge_while_the_price_is_high"}
    seen["automations"] = {state.entity_id: state.state for state in hass.states.async_all("automation")}
    hass.states.async_set("sensor.electricity_price", "0.55")
    await hass.services.async_call("automation", "trigger", {**rule, "skip_condition": False}, blocking=True)

    def commanded():
        result = hass.states.get("sensor.evse_cp1_1_last_result")
        requested_id = result.attributes.get("id", "") if result is not None else ""
        return {**result.attributes, "status": result.state} if requested_id.startswith("ha-price-") else None

    seen["automated"] = await until(commanded, 20)
    sys.stdout.write("SEEN " + json.dumps(seen, default=str) + "\n")
    sys.stdout.flush()
    await hass.async_stop(force=True)


logging.basicConfig(level=logging.WARNING)
try:
    asyncio.run(main())
except BaseException:
    logging.exception("Home Assistant failed")
    sys.stderr.flush()
    os._exit(1)  # the recorder's thread would keep the process
