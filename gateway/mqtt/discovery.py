"""Discovery messages of Home Assistant. Pure.

Device discovery (Home Assistant 2024.11 and newer) is one retained message per EVSE, for older ones one per entity.
Numbers, selects and buttons of Home Assistant show no answer, so the last result is an entity too.
"""

from __future__ import annotations

from typing import TypeAlias

from gateway import __version__
from gateway.model.command import MAX_POWER_W, SiteMode, Verb
from gateway.model.foreign_text import line
from gateway.model.result import Layer
from gateway.model.state import EvseState, Happened, SessionState
from gateway.mqtt.topics import Topics, device_id

LEASE_S = 900  # of values set in Home Assistant; an automation that renews may request less

Entity: TypeAlias = dict[str, object]
Messages: TypeAlias = dict[str, dict[str, object]]  # topic -> payload


def messages(topics: Topics, state: EvseState, how: str) -> Messages:
    """Return the messages of the setting `mqtt.homeassistant`: one for the device, one per entity, or none."""
    node = device_id(topics.site, state.evse)
    shared: Entity = {
        "device": {
            "identifiers": [node],
            "name": f"EVSE {state.evse}",
            "manufacturer": line(state.vendor or "unknown"),
            "model": line(state.model or state.protocol or "EVSE"),
            "suggested_area": topics.site,
        },
        "origin": {"name": "v2x-gateway", "sw_version": __version__},
        "availability": [
            {"topic": topics.status, "value_template": "{{ value_json.state }}"},
            {
                "topic": topics.evse(state.evse, "state"),
                "value_template": "{{ 'online' if value_json.connection == 'connected' else 'offline' }}",
            },
        ],
        "availability_mode": "all",
    }
    found = entities(topics, state)
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
    event_type = "{{ {'event_type': value_json.event, 'text': value_json.text} | tojson }}"
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
        "result": _sensor("Last result", result, "status", json_attributes_topic=result, icon="mdi:message-reply-text"),
        "plug": _yes_or_no("Plug", retained, "value_json.plugged", "plug"),
        "problem": _yes_or_no("Problem", retained, "value_json.fault is not none", "problem"),
        "grid": _yes_or_no("Grid present", site, "value_json.grid_present", "power"),
        "event": _shown("event", "Event", topics.evse(evse, "event"), event_type, event_types=list(Happened)),
        "reserve": _shown("number", "Reserve", retained, "{{ value_json.floors.reserve_pct or 0 }}")
        | _commanding(topics.command(evse, Verb.RESERVE, client), "reserve", "'min_soc_pct': value")
        | {"min": 0, "max": 100, "step": 1, "unit_of_measurement": "%", "icon": "mdi:battery-lock"},
        "mode": _shown("select", "Site mode", site, "{{ value_json.mode }}", options=list(SiteMode))
        | _commanding(topics.command(None, Verb.MODE, client), "mode", "'mode': value"),
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
    for name, entity in found.items():
        entity["unique_id"] = f"{device_id(topics.site, evse)}_{name}"
    return found


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
