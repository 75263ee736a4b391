"""AsyncAPI 3 document of the MQTT contract, generated from the models that validate and write the messages.

`document()` is printed by `v2x asyncapi`; the tests validate every message on the wire with it. The actions are those
of the gateway: `receive` is a message that others send to it. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gateway import __version__
from gateway.model.command import EVSE_VERBS, KEPT_FOR_S, MAX_BYTES, SITE_VERBS
from gateway.model.result import Result
from gateway.model.site import INPUTS
from gateway.model.state import EventMessage, EvseState, GatewayStatus, SiteState, SiteTelemetry, Telemetry
from gateway.mqtt.topics import VERSION

Json: TypeAlias = dict[str, Any]

BINDING = "0.2.0"  # version of the MQTT bindings
PARAMETERS = {
    "site": "name of the site, `site.id` of the gateway's configuration",
    "gateway": "name of the gateway, `mqtt.gateway_id`",
    "client": "name of the client, whose ids, rate, priorities and inbox are its own",
    "evse": "name of the EVSE: the station's id, a hyphen and the EVSE's number, such as CP1-1",
}


@dataclass(frozen=True, slots=True)
class Channel:
    """A topic of the contract."""

    name: str
    address: str
    model: type[BaseModel]
    action: Literal["send", "receive"]
    qos: int
    retain: bool
    summary: str
    reply: str | None = None  # channel of the answer


def channels() -> list[Channel]:
    """Return all topics in the order of `docs/mqtt.md`."""
    root = f"v2x/{VERSION}/{{site}}"
    found = [
        Channel(
            "gatewayStatus", f"{root}/gateway/{{gateway}}/status", GatewayStatus, "send", 1, True, "Will and status"
        ),
        Channel("evseState", f"{root}/evse/{{evse}}/state", EvseState, "send", 1, True, "State of an EVSE"),
        Channel("evseTelemetry", f"{root}/evse/{{evse}}/telemetry", Telemetry, "send", 0, False, "Measured values"),
        Channel("evseEvent", f"{root}/evse/{{evse}}/event", EventMessage, "send", 1, False, "Events of an EVSE"),
        Channel("evseResult", f"{root}/evse/{{evse}}/result", Result, "send", 1, False, "Results of commands"),
        Channel("siteState", f"{root}/site/state", SiteState, "send", 1, True, "State of the site"),
        Channel("siteTelemetry", f"{root}/site/telemetry", SiteTelemetry, "send", 0, False, "Sums over all EVSEs"),
        Channel("siteEvent", f"{root}/site/event", EventMessage, "send", 1, False, "Events of the site"),
        Channel("siteResult", f"{root}/site/result", Result, "send", 1, False, "Results of site commands"),
    ]
    for target, verbs, path in (("evse", EVSE_VERBS, "evse/{evse}"), ("site", SITE_VERBS, "site")):
        for verb, model in verbs.items():
            name = f"{target}Command{_camel(verb.value)}"
            summary = (model.__doc__ or "").strip().splitlines()[0]
            address = f"{root}/{path}/cmd/{verb.value}"
            found.append(Channel(name, address, model, "receive", 1, False, summary, f"{target}Result"))
            name, address = name.replace("Command", "ClientCommand"), f"{address}/{{client}}"
            found.append(Channel(name, address, model, "receive", 1, False, summary, f"{target}Result"))
    for kind, input_model in INPUTS.items():
        summary = (input_model.__doc__ or "").strip().splitlines()[0]
        name, address = f"siteInput{_camel(kind.value)}", f"{root}/site/input/{kind.value}"
        found.append(Channel(name, address, input_model, "receive", 1, True, summary))
    return found


def document(broker: str = "mqtt://localhost:1883") -> Json:
    """Return the AsyncAPI 3.0.0 document."""
    found = channels()
    names, schemas = _schemas(found)
    scheme, _, host = broker.partition("://")
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "v2x-gateway",
            "version": __version__,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "broker": {
                "host": host,
                "protocol": scheme,
                "protocolVersion": "5",
                "description": "The site's broker. MQTT 3.1.1 is supported too, with `reply_to` in the payload.",
            }
        },
        "channels": {one.name: _channel(one) for one in found},
        "operations": {f"{one.action}{one.name[0].upper()}{one.name[1:]}": _operation(one) for one in found},
        "components": {
            "messages": {one.name: _message(one, names[one.model]) for one in found},
            "schemas": schemas,
            "parameters": {name: {"description": text} for name, text in PARAMETERS.items()},
        },
    }


def _schemas(found: Iterable[Channel]) -> tuple[dict[type[BaseModel], str], Json]:
    wanted: dict[type[BaseModel], Literal["validation", "serialization"]] = {}
    for one in found:
        wanted[one.model] = "validation" if one.action == "receive" else "serialization"
    references, drawn = models_json_schema(list(wanted.items()), ref_template="#/components/schemas/{model}")
    names = {model: references[(model, mode)]["$ref"].rpartition("/")[2] for model, mode in wanted.items()}
    return names, drawn["$defs"]


def _channel(one: Channel) -> Json:
    used = [name for name in PARAMETERS if f"{{{name}}}" in one.address]  # at least the site
    return {
        "address": one.address,
        "summary": one.summary,
        "messages": {one.name: {"$ref": f"#/components/messages/{one.name}"}},
        "parameters": {name: {"$ref": f"#/components/parameters/{name}"} for name in used},
    }


def _operation(one: Channel) -> Json:
    found: Json = {
        "action": one.action,
        "channel": {"$ref": f"#/channels/{one.name}"},
        "summary": one.summary,
        "messages": [{"$ref": f"#/channels/{one.name}/messages/{one.name}"}],
        "bindings": {"mqtt": {"qos": one.qos, "retain": one.retain, "bindingVersion": BINDING}},
    }
    if one.reply is not None:
        found["reply"] = {
            "address": {
                "location": "$message.payload#/reply_to",
                "description": "Besides the result topic: the MQTT 5 response topic, or reply_to of the payload.",
            },
            "channel": {"$ref": f"#/channels/{one.reply}"},
        }
    return found


def _message(one: Channel, schema: str) -> Json:
    found: Json = {
        "name": one.name,
        "summary": one.summary,
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{schema}"},
    }
    if one.reply is not None:
        found["correlationId"] = {"location": "$message.payload#/id", "description": "the idempotency key"}
        found["bindings"] = {
            "mqtt": {
                "correlationData": {"type": "string", "format": "binary", "description": "returned with the results"},
                "responseTopic": {"type": "string", "description": "additional topic of the results"},
                "bindingVersion": BINDING,
            }
        }
    return found


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


_DESCRIPTION = f"""Discharge commands for charging stations and vehicles with lease, idempotency key, result and reason.

Powers are in W, + into the vehicle; where a verb is named (discharge, charge) the value is a magnitude. A command's id
identifies it for {KEPT_FOR_S / 86_400:.0f} days: sent again it acts once and returns the stored result. Commands must
not be retained and have at most {MAX_BYTES} bytes. The first result comes within 1 s, the final one when the meter
confirms it."""
