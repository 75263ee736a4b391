"""Discovery messages of Home Assistant. Pure.

Device discovery (Home Assistant 2024.11 and newer) is one retained message per EVSE, for older ones one per entity.
Numbers, selects and buttons of Home Assistant show no answer, so the last result is an entity too.
"""

from __future__ import annotations

from typing import TypeAlias

from gateway import __version__
from gateway.authority.priority import Layer
from gateway.model.command import MAX_POWER_W, SiteMode
from gateway.model.state import EvseState, Happened, SessionState
from gateway.mqtt.topics import Topics

LEASE_S = 900  # of values set in Home Assistant; an automation that renews may request less

Entity: TypeAlias = dict[str, object]
Messages: TypeAlias = dict[str, dict[str, object]]  # topic -> payload


def device_messages(topics: Topics, state: EvseState) -> Messages:
    """Return one message for the device."""
    payload = {
        "device": _device(topics, state),
        "origin": _origin(),
        "availability": _availability(topics, state.evse),
        "availability_mode": "all",
        "components": entities(topics, state),
    }
    return {f"{topics.homeassistant}/device/{_node(topics, state.evse)}/config": payload}


def component_messages(topics: Topics, state: EvseState) -> Messages:
    """Return one message per entity."""
    found = {}
    for name, entity in entities(topics, state).items():
        payload = {key: value for key, value in entity.items() if key != "platform"}
        payload["device"], payload["origin"] = _device(topics, state), _origin()
        payload["availability"], payload["availability_mode"] = _availability(topics, state.evse), "all"
        found[f"{topics.homeassistant}/{entity['platform']}/{_node(topics, state.evse)}/{name}/config"] = payload
    return found


def messages(topics: Topics, state: EvseState, how: str) -> Messages:
    """Return the messages of the setting `mqtt.homeassistant`."""
    if how == "device":
        return device_messages(topics, state)
    return component_messages(topics, state) if how == "components" else {}


def entities(topics: Topics, state: EvseState) -> dict[str, Entity]:
    """Return all entities of one EVSE by their stable names."""
    evse = state.evse
    telemetry, retained = topics.evse(evse, "telemetry"), topics.evse(evse, "state")
    station = state.station_limits
    most_in = station.max_charge_w if station else 22_000.0
    most_out = station.max_discharge_w if station else 0.0
    found: dict[str, Entity] = {
        "power": _measure("Power", telemetry, "power_w", "power", "W", "measurement"),
        "energy_charged": _measure(
            "Energy charged", telemetry, "energy_charged_wh", "energy", "Wh", "total_increasing"
        ),
        "energy_discharged": _measure(
            "Energy discharged", telemetry, "energy_discharged_wh", "energy", "Wh", "total_increasing"
        ),
        "soc": _measure("State of charge", telemetry, "soc_pct", "battery", "%", "measurement"),
        "voltage": _measure("Voltage", telemetry, "voltage_v", "voltage", "V", "measurement"),
        "current": _measure("Current", telemetry, "current_a", "current", "A", "measurement"),
        "effective": _measure("Granted power", retained, "effective_w", "power", "W", "measurement"),
        "session": _choice("Session", retained, "session_state", [one.value for one in SessionState]),
        "binding": _choice("Bound by", retained, "binding", [one.value for one in Layer]),
        "lease_end": {
            "platform": "sensor",
            "name": "Lease end",
            "state_topic": retained,
            "value_template": "{{ value_json.lease_until }}",
            "device_class": "timestamp",
        },
        "result": {
            "platform": "sensor",
            "name": "Last result",
            "state_topic": topics.evse(evse, "result"),
            "value_template": "{{ value_json.status }}",
            "json_attributes_topic": topics.evse(evse, "result"),
            "icon": "mdi:message-reply-text",
        },
        "plug": _yes_or_no("Plug", retained, "value_json.plugged", "plug"),
        "problem": _yes_or_no("Problem", retained, "value_json.fault is not none", "problem"),
        "grid": _yes_or_no("Grid present", topics.of_site("state"), "value_json.grid_present", "power"),
        "event": {
            "platform": "event",
            "name": "Event",
            "state_topic": topics.evse(evse, "event"),
            "value_template": "{{ {'event_type': value_json.event, 'text': value_json.text} | tojson }}",
            "event_types": [one.value for one in Happened],
        },
        "setpoint": {
            "platform": "number",
            "name": "Set-point",
            "state_topic": retained,
            "value_template": "{{ value_json.effective_w }}",
            "command_topic": topics.evse(evse, "cmd/setpoint"),
            "command_template": _command("'power_w': value", lease=True),
            "min": -min(most_out, MAX_POWER_W),
            "max": min(most_in, MAX_POWER_W),
            "step": 100,
            "mode": "box",
            "device_class": "power",
            "unit_of_measurement": "W",
            "qos": 1,
        },
        "reserve": {
            "platform": "number",
            "name": "Reserve",
            "state_topic": retained,
            "value_template": "{{ value_json.floors.reserve_pct or 0 }}",
            "command_topic": topics.evse(evse, "cmd/reserve"),
            "command_template": _command("'min_soc_pct': value"),
            "min": 0,
            "max": 100,
            "step": 1,
            "unit_of_measurement": "%",
            "icon": "mdi:battery-lock",
            "qos": 1,
        },
        "mode": {
            "platform": "select",
            "name": "Site mode",
            "state_topic": topics.of_site("state"),
            "value_template": "{{ value_json.mode }}",
            "command_topic": topics.of_site("cmd/mode"),
            "command_template": _command("'mode': value"),
            "options": [one.value for one in SiteMode],
            "qos": 1,
        },
        "stop": {
            "platform": "button",
            "name": "Stop",
            "command_topic": topics.evse(evse, "cmd/stop"),
            "command_template": _command(),
            "icon": "mdi:stop-circle",
            "qos": 1,
        },
        "release": {
            "platform": "button",
            "name": "Release",
            "command_topic": topics.evse(evse, "cmd/release"),
            "command_template": _command(),
            "qos": 1,
        },
    }
    for name, entity in found.items():
        entity["unique_id"] = f"{_node(topics, evse)}_{name}"
    return found


def _measure(name: str, topic: str, member: str, device_class: str, unit: str, state_class: str) -> Entity:
    return {
        "platform": "sensor",
        "name": name,
        "state_topic": topic,
        "value_template": f"{{{{ value_json.{member} }}}}",
        "device_class": device_class,
        "unit_of_measurement": unit,
        "state_class": state_class,
        "suggested_display_precision": 0 if unit in ("W", "Wh") else 1,
    }


def _choice(name: str, topic: str, member: str, options: list[str]) -> Entity:
    return {
        "platform": "sensor",
        "name": name,
        "state_topic": topic,
        "value_template": f"{{{{ value_json.{member} }}}}",
        "device_class": "enum",
        "options": options,
    }


def _yes_or_no(name: str, topic: str, truth: str, device_class: str) -> Entity:
    return {
        "platform": "binary_sensor",
        "name": name,
        "state_topic": topic,
        "value_template": f"{{{{ 'None' if ({truth}) is none else 'ON' if {truth} else 'OFF' }}}}",
        "device_class": device_class,
    }


def _command(members: str = "", *, lease: bool = False) -> str:
    """Return a template of a command with a unique id and the source `homeassistant`."""
    parts = ["'id': 'ha-' ~ (now().timestamp() * 1000) | int", "'source': 'homeassistant'"]
    if lease:
        parts.append(f"'lease_s': {LEASE_S}")
    if members:
        parts.append(members)
    return "{{ {" + ", ".join(parts) + "} | tojson }}"


def _device(topics: Topics, state: EvseState) -> dict[str, object]:
    found: dict[str, object] = {
        "identifiers": [_node(topics, state.evse)],
        "name": f"EVSE {state.evse}",
        "manufacturer": state.vendor or "unknown",
        "model": state.model or state.protocol or "EVSE",
        "suggested_area": topics.site,
    }
    return found


def _origin() -> dict[str, str]:
    return {"name": "v2x-gateway", "sw_version": __version__}


def _availability(topics: Topics, evse: str) -> list[dict[str, str]]:
    return [
        {"topic": topics.status, "value_template": "{{ value_json.state }}"},
        {
            "topic": topics.evse(evse, "state"),
            "value_template": "{{ 'online' if value_json.connection == 'connected' else 'offline' }}",
        },
    ]


def _node(topics: Topics, evse: str) -> str:
    """Return a name of letters, digits, hyphens and underscores, as Home Assistant's topics require."""
    return "v2x_" + "".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in f"{topics.site}_{evse}")
