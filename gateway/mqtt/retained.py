"""Retained messages that an earlier run of this gateway left at the broker. Pure.

They are read on every new link, so that an EVSE whose station is away, or that does not exist any more, is not shown as
it was when the gateway ended. Those of other gateways and of other systems are left alone.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, cast

from gateway.model.command import MAX_BYTES
from gateway.model.message import strict_json
from gateway.mqtt.topics import Kind, Topics, site_device_id

Json: TypeAlias = dict[str, Any]


SITE = ""  # instead of an EVSE


def owner_of(topics: Topics, topic: str, payload: bytes) -> str | None:
    """Return the EVSE, or `SITE`, of a state or discovery message of this gateway, None for a message of another."""
    parsed = topics.parse(topic)
    if parsed.kind not in (Kind.EVSE_STATE, Kind.DISCOVERY) or not 0 < len(payload) <= MAX_BYTES:
        return None
    with contextlib.suppress(ValueError, TypeError, KeyError):
        body = cast("Json", strict_json(payload))
        if parsed.kind is Kind.EVSE_STATE:
            return parsed.name if body["gateway"] == topics.gateway else None
        available = [str(one["topic"]) for one in body["availability"]]
        if topics.status not in available:
            return None
        evses = [one.name for one in map(topics.parse, available) if one.kind is Kind.EVSE_STATE]
        identifiers = body["device"]["identifiers"]
        return evses[0] if evses else SITE if identifiers == [site_device_id(topics.site)] else None
    return None


def withdrawal(before: bytes | str, now: Json) -> Json | None:
    """Return the discovery message that withdraws the entities of `before` that `now` lacks, None without any.

    Home Assistant keeps an entity that is merely absent; one with nothing but its platform is removed.
    """
    with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
        present, read = now["components"], cast("Json", strict_json(before))
        withdrawn = {
            name: {"platform": one["platform"]}
            for name, one in read["components"].items()
            if name not in present and len(one) > 1
        }
        return {**now, "components": present | withdrawn} if withdrawn else None
    return None


def replacement(
    topics: Topics, messages: Mapping[str, Json], sent: dict[str, str], found: Mapping[str, bytes]
) -> Iterator[tuple[str, bytes]]:
    """Yield topic and payload of each retained message that makes the discovery of a device `messages`.

    `found`: messages of earlier runs; `sent`: those of this run, which is updated.
    """
    before = {topic: text for topic, text in sent.items() if topics.parse(topic).kind is Kind.DISCOVERY}
    before |= {topic: payload.decode(errors="replace") for topic, payload in found.items()}
    for topic in [topic for topic, text in before.items() if text and topic not in messages]:
        sent[topic] = ""
        yield topic, b""
    for topic, message in messages.items():
        text = json.dumps(message)
        if sent.get(topic) == before.get(topic) == text:
            continue
        sent[topic] = text
        if (withdrawn := withdrawal(before.get(topic, ""), message)) is not None:
            yield topic, json.dumps(withdrawn).encode()
        yield topic, text.encode()
