"""A charger that reboots while its vehicle stays plugged in: the vehicle charges, and supplies an island, again."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest

from emulators.runtime.transcript import Line
from emulators.scenario.loading import parse
from emulators.world import simulate
from tests.rounds import some

REBOOT_S = 300.0
ISLAND = """
name = "the charger that supplies the island reboots"
start = 2026-01-15T17:00:00+09:00
duration = "8m"
step = 1
[gateway]
min_soc_pct = 20
[gateway.ocpp]
unknown_tokens = "accept"
[gateway.energy]
step_s = 1
island = true
reconnect_s = 20
off_grid_pct = 20
forming = ["CP1-1"]
[site]
kind = "home"
[[grid.events]]
kind = "outage"
at = "2m"
duration = "3h"
[[charger]]
id = "CP1"
forming = true
ocpp = "{ocpp}"
vendor_profile = "{profile}"
vehicle_link = "{link}"
[[car]]
name = "car"
evse = "CP1-1"
soc_pct = 80
[[fault]]
kind = "restart"
at = "5m"
target = "CP1"
"""


def calls(lines: list[Line], action: str, since: float) -> list[dict[str, Any]]:
    """Return the payloads of one request of the station after a time."""
    sent = [json.loads(one.text) for one in lines if one.channel == "ocpp:CP1" and one.at >= since]
    return [message[3] for message in sent if message[0] == 2 and message[2] == action]


PROFILES = {"1.6": "negative-limit", "2.0.1": "negative-limit", "2.1": "generic-2.1"}


@pytest.mark.parametrize(("ocpp", "link"), some(product(PROFILES, ["iso15118-20", "none"]), 5))
def test_an_island_is_supplied_again_soon_after_its_charger_has_rebooted(ocpp: str, link: str) -> None:
    profile = PROFILES[ocpp]
    result = simulate(parse(ISLAND.format(ocpp=ocpp, profile=profile, link=link), "island"))
    assert result.violations == []
    assert result.figures["dark_s"] <= 20.0  # the transfer, the boot and the new session
    assert result.figures["decided.black_start"] >= 1
    assert result.figures["not_seen_on_meter"] == 0
    statuses = calls(result.transcript.lines, "StatusNotification", REBOOT_S + 0.2)
    key = "status" if ocpp == "1.6" else "connectorStatus"
    assert "Available" not in {one[key] for one in statuses if one["connectorId"] == 1}  # the cable is connected
    begun = "StartTransaction" if ocpp == "1.6" else "TransactionEvent"
    assert any(one.get("eventType", "Started") == "Started" for one in calls(result.transcript.lines, begun, REBOOT_S))
