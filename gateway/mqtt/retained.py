"""Retained messages that an earlier run of this gateway left at the broker. Pure.

They are read on every new link, so that an EVSE whose station is away, or that does not exist any more, is not shown as
it was when the gateway ended. Those of other gateways and of other systems are left alone.
"""

from __future__ import annotations

import contextlib
from typing import Any, TypeAlias, cast

from gateway.model import strict_json
from gateway.model.command import MAX_BYTES
from gateway.mqtt.topics import Kind, Topics

Json: TypeAlias = dict[str, Any]


def evse_of(topics: Topics, topic: str, payload: bytes) -> str | None:
    """Return the EVSE of a state or discovery message of this gateway, None for a message of another."""
    parsed = topics.parse(topic)
    if parsed.kind not in (Kind.EVSE_STATE, Kind.DISCOVERY) or not 0 < len(payload) <= MAX_BYTES:
        return None
    with contextlib.suppress(ValueError, TypeError, KeyError):
        body = cast("Json", strict_json.loads(payload))
        if parsed.kind is Kind.EVSE_STATE:
            return parsed.name if body["gateway"] == topics.gateway else None
        available = [str(one["topic"]) for one in body["availability"]]
        evses = [one.name for one in map(topics.parse, available) if one.kind is Kind.EVSE_STATE]
        return evses[0] if topics.status in available and evses else None
    return None


def withdrawal(before: bytes | str, now: Json) -> Json | None:
    """Return the discovery message that withdraws the entities of `before` that `now` lacks, None without any.

    Home Assistant keeps an entity that is merely absent; one with nothing but its platform is removed.
    """
    with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
        present, read = now["components"], cast("Json", strict_json.loads(before))
        withdrawn = {
            name: {"platform": one["platform"]}
            for name, one in read["components"].items()
            if name not in present and len(one) > 1
        }
        return {**now, "components": present | withdrawn} if withdrawn else None
    return None
