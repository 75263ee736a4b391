"""Discovery messages of Home Assistant. Pure.

Device discovery (Home Assistant 2024.11 and newer) is one retained message per EVSE and one for the site, for older
versions one per entity. Numbers, selects and buttons of Home Assistant show no answer, so the last result is an entity
too.
"""

from __future__ import annotations

import json
from typing import TypeAlias

from gateway import __version__
from gateway.model.command import MAX_POWER_W, SiteMode, Verb
from gateway.model.energy_state import Phase
from gateway.model.foreign_text import line
from gateway.model.result import Layer
from gateway.model.state import EvseState, Happened, SessionState
from gateway.mqtt.topics import LoadTiers, Topics, device_id, site_device_id, to_id

LEASE_S = 900  # of values set in Home Assistant; an automation that renews may request less

Entity: TypeAlias = dict[str, object]
Messages: TypeAlias = dict[str, dict[str, object]]  # topic -> payload


def messages(topics: Topics, state: EvseState, how: str) -> Messages:
    """Return the messages of an EVSE for the setting `mqtt.homeassistant`: of a device, of its entities, or none."""
    connected = "{{ 'online' if value_json.connection == 'connected' else 'offline' }}"
    device: Entity = {
        "name": f"EVSE {state.evse}",
        "manufacturer": line(state.vendor or "unknown"),
        "model": line(state.model or state.protocol or "EVSE"),
    }
    available: list[Entity] = [{"topic": topics.evse(state.evse, "state"), "value_template": connected}]
    return _device(topics, how, device_id(topics.site, state.evse), device, available, entities(topics, state))


def site_messages(topics: Topics, tiers: LoadTiers, how: str) -> Messages:
    """Return the same for the site."""
    device: Entity = {"name": f"Site {topics.site}", "manufacturer": "v2x-gateway", "model": "Site"}
    return _device(topics, how, site_device_id(topics.site), device, [], site_entities(topics, tiers))


def _device(
    topics: Topics, how: str, node: str, device: Entity, available: list[Entity], found: dict[str, Entity]
) -> Messages:
    """Return the messages of one device; it is available while the gateway is online and `available` says so."""
    for name, entity in found.items():
        entity["unique_id"] = f"{node}_{name}"
    shared: Entity = {
        "device": {"identifiers": [node], **device, "suggested_area": topics.site},
        "origin": {"name": "v2x-gateway", "sw_version": __version__},
        "availability": [{"topic": topics.status, "value_template": "{{ value_json.state }}"}, *available],
        "availability_mode": "all",
    }
    if how == "device":
        return {f"{topics.homeassistant}/device/{node}/config": {**shared, "components": found}}
    if how != "components":
        return {}
    return {
        f"{topics.homeassistant}/{entity.pop('platform')}/{node}/{name}/config": {**entity, **shared}
        for name, entity in found.items()
    }


def entities(topics: Topics, state: EvseState) -> dict[str, Entity]:
    """Return all entities of one EVSE by their stable names."""
    evse, site, client = state.evse, topics.of_site("state"), topics.homeassistant_client
    telemetry, retained, result = (topics.evse(evse, leaf) for leaf in ("telemetry", "state", "result"))
    station = state.station_limits
    least_w, most_w = (0.0 - station.max_discharge_w, station.max_charge_w) if station is not None else (0.0, 0.0)
    found: dict[str, Entity] = {
        "power": _measure("Power", telemetry, "power_w", "power", "W"),
        "energy_charged": _energy("Energy charged", telemetry, "energy_charged_wh"),
        "energy_discharged": _energy("Energy discharged", telemetry, "energy_discharged_wh"),
        "soc": _measure("State of charge", telemetry, "soc_pct", "battery", "%"),
        "voltage": _measure("Voltage", telemetry, "voltage_v", "voltage", "V"),
        "current": _measure("Current", telemetry, "current_a", "current", "A"),
        "effective": _measure("Granted power", retained, "effective_w", "power", "W"),
        "session": _sensor("Session", retained, "session_state", device_class="enum", options=list(SessionState)),
        "binding": _sensor("Bound by", retained, "binding", device_class="enum", options=list(Layer)),
        "lease_end": _sensor("Lease end", retained, "lease_until", device_class="timestamp"),
        "result": _last_result(result),
        "plug": _yes_or_no("Plug", retained, "value_json.plugged", "plug"),
        "problem": _yes_or_no("Problem", retained, "value_json.fault is not none", "problem"),
        "grid": _yes_or_no("Grid present", site, "value_json.grid_present", "power"),
        "event": _events(topics.evse(evse, "event")),
        "reserve": _reserve(retained, "value_json.floors.reserve_pct", topics.command(evse, Verb.RESERVE, client)),
        "mode": _mode("Site mode", site, topics.command(None, Verb.MODE, client)),
        "stop": {"platform": "button", "name": "Stop", "icon": "mdi:stop-circle"}
        | _commanding(topics.command(evse, Verb.STOP, client), "stop"),
        "release": {"platform": "button", "name": "Release"}
        | _commanding(topics.command(evse, Verb.RELEASE, client), "release"),
    }
    if least_w < most_w:  # Home Assistant refuses an empty range, and with it the whole device
        number = _shown("number", "Set-point", retained, "{{ value_json.effective_w }}", step=100, mode="box")
        found["setpoint"] = (
            number
            | _commanding(
                topics.command(evse, Verb.SETPOINT, client), "setpoint", f"'lease_s': {LEASE_S}", "'power_w': value"
            )
            | {"min": max(least_w, -MAX_POWER_W), "max": min(most_w, MAX_POWER_W)}
            | {"device_class": "power", "unit_of_measurement": "W"}
        )
    return found


def site_entities(topics: Topics, tiers: LoadTiers) -> dict[str, Entity]:
    """Return all entities of the site by their stable names; powers are + into the vehicles."""
    state, telemetry, result = (topics.of_site(leaf) for leaf in ("state", "telemetry", "result"))
    client = topics.homeassistant_client
    autonomy = f"(energy.autonomy_h or {{}}).get({_literal(tiers.autonomy)}, {{}}).get('expected')"
    needed = "energy.car_needed_in_h"
    with_vehicles = "{% set base, vehicles = value_json.base_w, value_json.power_w %}{{ 'None' "
    with_vehicles += "if base is none or vehicles is none else base + vehicles }}"
    found: dict[str, Entity] = {
        "site_power": _measure("Site power", telemetry, "", "power", "W") | {"value_template": with_vehicles},
        "power": _measure("Vehicle power", telemetry, "power_w", "power", "W"),
        "base": _measure("Power without vehicles", telemetry, "base_w", "power", "W"),
        "effective": _measure("Granted power", state, "effective_w", "power", "W"),
        "grid": _yes_or_no("Grid present", state, "value_json.grid_present", "power"),
        "phase": _shown("sensor", "Phase", state, _of_energy("energy.phase"), device_class="enum", options=list(Phase)),
        "forming": _shown("sensor", "Grid-forming source", state, _of_energy("energy.forming")),
        "autonomy": _hours("Autonomy", state, autonomy)
        | {"json_attributes_topic": state, "json_attributes_template": _of_energy("energy.autonomy_h | tojson", "{}")},
        "car_needed": _shown(
            "binary_sensor",
            "Car needed",
            state,
            _of_energy(f"'OFF' if {needed} is none else 'ON'"),
            icon="mdi:car-clock",
        ),
        "car_needed_in": _hours("Car needed in", state, needed),
        "result": _last_result(result),
        "event": _events(topics.of_site("event")),
        "mode": _mode("Mode", state, topics.command(None, Verb.MODE, client)),
        "reserve": _reserve(state, "value_json.reserve_pct", topics.command(None, Verb.RESERVE, client)),
        "emergency_stopped": _yes_or_no("Emergency stop active", state, "value_json.emergency_stop", "problem"),
        "emergency_stop": {"platform": "button", "name": "Emergency stop", "icon": "mdi:alert-octagon"}
        | _commanding(topics.command(None, Verb.EMERGENCY_STOP, client), "emergency-stop"),
        "release": {"platform": "button", "name": "Release"}
        | _commanding(topics.command(None, Verb.RELEASE, client), "release"),
    }
    for tier in tiers.names:
        on = f"(energy.tiers or {{}}).get({_literal(tier)})"
        supplied = _of_energy(f"'None' if {on} is none else 'ON' if {on} else 'OFF'")
        name = f"Load tier {line(tier)}"
        found[f"tier_{to_id(tier)}"] = _shown("binary_sensor", name, state, supplied, device_class="power")
    return found


def _of_energy(expression: str, otherwise: str = "None") -> str:
    """Return a template of the member `energy` of the site's state, `otherwise` while it is null."""
    return f"{{% set energy = value_json.energy %}}{{{{ ({expression}) if energy else '{otherwise}' }}}}"


def _literal(text: str) -> str:
    """Return a text as a string literal of a template."""
    return json.dumps(text, ensure_ascii=False)


def _hours(name: str, topic: str, expression: str) -> Entity:
    measured = {"unit_of_measurement": "h", "state_class": "measurement", "suggested_display_precision": 1}
    return _shown("sensor", name, topic, _of_energy(expression), device_class="duration", **measured)


def _last_result(topic: str) -> Entity:
    return _sensor("Last result", topic, "status", json_attributes_topic=topic, icon="mdi:message-reply-text")


def _events(topic: str) -> Entity:
    event_type = "{{ {'event_type': value_json.event, 'text': value_json.text} | tojson }}"
    return _shown("event", "Event", topic, event_type, event_types=list(Happened))


def _mode(name: str, topic: str, command: str) -> Entity:
    shown = _shown("select", name, topic, "{{ value_json.mode }}", options=list(SiteMode))
    return shown | _commanding(command, "mode", "'mode': value")


def _reserve(topic: str, member: str, command: str) -> Entity:
    shown = _shown("number", "Reserve", topic, f"{{{{ {member} or 0 }}}}", icon="mdi:battery-lock")
    range_pct = {"min": 0, "max": 100, "step": 1, "unit_of_measurement": "%"}
    return shown | _commanding(command, "reserve", "'min_soc_pct': value") | range_pct


def _shown(platform: str, name: str, topic: str, template: str, **more: object) -> Entity:
    """Return an entity whose state is shown."""
    return {"platform": platform, "name": name, "state_topic": topic, "value_template": template, **more}


def _sensor(name: str, topic: str, member: str, **more: object) -> Entity:
    return _shown("sensor", name, topic, f"{{{{ value_json.{member} }}}}", **more)


def _measure(name: str, topic: str, member: str, device_class: str, unit: str) -> Entity:
    precision = 0 if unit == "W" else 1
    measured = {"unit_of_measurement": unit, "state_class": "measurement", "suggested_display_precision": precision}
    return _sensor(name, topic, member, device_class=device_class, **measured)


def _energy(name: str, topic: str, member: str) -> Entity:
    return _measure(name, topic, member, "energy", "Wh") | {
        "state_class": "total_increasing",
        "suggested_display_precision": 0,
    }


def _yes_or_no(name: str, topic: str, truth: str, device_class: str) -> Entity:
    template = f"{{{{ 'None' if ({truth}) is none else 'ON' if {truth} else 'OFF' }}}}"
    return _shown("binary_sensor", name, topic, template, device_class=device_class)


def _commanding(topic: str, entity: str, *members: str) -> Entity:
    """Return the members by which an entity sends a command, with a unique id and the source `homeassistant`.

    One action of Home Assistant renders the templates of several entities in one millisecond, so that the time alone is
    no id; its sandbox allows no longer range.
    """
    time_ms, drawn = "(now().timestamp() * 1000) | int", "range(100000) | random"
    parts = [f"'id': 'ha-{entity}-' ~ {time_ms} ~ '-' ~ {drawn} ~ '-' ~ {drawn}"]
    parts += ["'source': 'homeassistant'", *members]
    return {"command_topic": topic, "command_template": "{{ {" + ", ".join(parts) + "} | tojson }}", "qos": 1}
