"""EVerest's MQTT API of hardware modules, version 1: topics and payloads.

`everest_api/1/<type>/<module id>/<direction>/<name>`; e2m is from EVerest to the hardware's program, m2e from it.
Payloads are bare JSON, empty for some commands. Source: EVerest's AsyncAPI documents of `modules/API`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

PREFIX = "everest_api/1"
READY_BEACON = "everest_api/ready_beacon"  # {} at the start: modules send their capabilities again
HEARTBEAT_S = 1.0
COMMUNICATION_CHECK_S = 5.0  # longest time between two m2e/communication_check


class Kind(StrEnum):
    """Types of modules."""

    BOARD = "evse_board_support"
    POWER = "power_supply_DC"
    ISOLATION = "isolation_monitor"
    METER = "powermeter"


class Address(NamedTuple):
    """Parts of a topic; `command`: from EVerest to the hardware's program."""

    kind: Kind
    module_id: str
    command: bool
    name: str

    @property
    def topic(self) -> str:
        """The topic."""
        return f"{PREFIX}/{self.kind}/{self.module_id}/{'e2m' if self.command else 'm2e'}/{self.name}"


class PayloadError(ValueError):
    """A payload that does not follow the API."""


def parse(topic: str) -> Address | None:
    """Return the parts of a topic, None for other topics."""
    levels = topic.split("/")
    if len(levels) != 6 or "/".join(levels[:2]) != PREFIX or levels[4] not in ("e2m", "m2e"):
        return None
    if levels[2] not in {str(kind) for kind in Kind}:
        return None
    return Address(Kind(levels[2]), levels[3], levels[4] == "e2m", levels[5])


def encode(value: object = None) -> bytes:
    """Return a payload; None is an empty one."""
    return b"" if value is None else json.dumps(value, separators=(",", ":")).encode()


def decode(payload: bytes) -> object:
    """Return the value of a payload, None for an empty one. Raises `PayloadError`."""
    if not payload:
        return None
    try:
        value: object = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise PayloadError(str(error)) from None
    return value


def members(value: object) -> Mapping[str, object]:
    """Return an object's members. Raises `PayloadError`."""
    if not isinstance(value, dict):
        raise PayloadError(f"an object is required, not {str(value)[:40]}")
    return value


def number(value: object) -> float:
    """Return a finite number. Raises `PayloadError`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise PayloadError(f"a number is required, not {str(value)[:40]}")
    return float(value)
