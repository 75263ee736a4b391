"""The energy state that sites read from each other, and its JSON Schema."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.model.energy_state import (
    BlueSwitchState,
    EnergyState,
    Phase,
    SharedEnergyState,
    SharedSiteState,
    SiteNeedState,
)
from gateway.mqtt.asyncapi import document

NEED = {"draw_w": 900.0, "stored_wh": 100.0, "bays": 1}


def parsed(energy: Any) -> SharedEnergyState | None:
    return SharedSiteState.parse(json.dumps({"site": "school", "energy": energy}).encode()).energy


def test_members_of_newer_versions_are_ignored_at_every_depth() -> None:
    energy = parsed(
        {"phase": "island", "newer": 1, "need": NEED | {"newer": {}}, "blue_switch": {"leads": True, "x": 1}}
    )
    assert energy == SharedEnergyState(
        phase=Phase.ISLAND,
        need=SiteNeedState(draw_w=900, stored_wh=100, bays=1),
        blue_switch=BlueSwitchState(leads=True),
    )


def test_a_site_without_energy_management_shares_nothing() -> None:
    assert parsed(None) is None
    assert SharedSiteState.parse(b"{}").energy is None


@pytest.mark.parametrize(
    "energy",
    [
        [],
        {},
        {"phase": "unheard_of"},
        {"phase": "island", "need": NEED | {"draw_w": -1}},
        {"phase": "island", "need": NEED | {"draw_w": "much"}},
        {"phase": "island", "need": NEED | {"stored_wh": 1e999}},
        {"phase": "island", "blue_switch": {"leads": True, "calls": [{"vehicle": "A"}]}},
    ],
)
def test_a_malformed_state_is_an_error_with_the_member_in_it(energy: Any) -> None:
    with pytest.raises(ValueError, match="energy"):
        parsed(energy)


@pytest.mark.parametrize("payload", [b"", b"{", b"[" * 70_000, b"\xff", b"7"])
def test_what_is_not_a_json_object_is_an_error(payload: bytes) -> None:
    with pytest.raises(ValueError, match="1 validation error"):
        SharedSiteState.parse(payload)


def test_parts_without_content_are_absent_and_every_other_member_is_present() -> None:
    shared = json.loads(SharedEnergyState(phase=Phase.ON_GRID).model_dump_json())
    assert shared == {"phase": "on_grid"}
    always = set(EnergyState.model_fields) - {"need", "blue_switch"}
    assert {"forming_order", "plan", "recharge", "demand_window"} <= always


def test_the_document_describes_every_member_of_every_message() -> None:
    def open_objects(schema: Any, where: str) -> list[str]:
        if isinstance(schema, list):
            return [found for item in schema for found in open_objects(item, where)]
        if not isinstance(schema, dict):
            return []
        own = [where] if schema.get("additionalProperties") is True else []
        return own + [found for key, item in schema.items() for found in open_objects(item, f"{where}/{key}")]

    schemas = document()["components"]["schemas"]
    assert open_objects(schemas, "") == []
    assert "EnergyState" in schemas
