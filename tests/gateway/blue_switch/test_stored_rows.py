"""Rows of vehicle lending that the first databases hold: written by commit 68f20a7 during a second outage."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from emulators.runtime.clock import VirtualClock
from gateway.blue_switch.agreement_file import parse
from gateway.blue_switch.audit import first_broken
from gateway.blue_switch.handback import energy_to_return
from gateway.blue_switch.persistence import CURRENT, KIND, BlueSwitchPersistence, restore_rows, rows
from gateway.blue_switch.registry import Status
from gateway.model.journal import Kept
from gateway.store.journal import Journal
from gateway.store.store import MemoryStore

STORED = json.loads((Path(__file__).parents[2] / "data" / "kept" / "outage.json").read_text())
ROWS = [Kept(**row) for row in STORED["rows"]]
FIRST, SECOND = "outage-1768437061", "outage-1768437479"


def test_every_row_of_the_first_databases_is_restored(caplog: pytest.LogCaptureFixture) -> None:
    coordinator = parse(STORED["agreements"], "lent.toml")
    with caplog.at_level(logging.WARNING):
        BlueSwitchPersistence(Journal(MemoryStore(), VirtualClock())).restore(coordinator, ROWS)
    assert not caplog.records

    assert set(coordinator.outages) == {FIRST, SECOND}
    assert coordinator.current is coordinator.outages[SECOND]
    assert coordinator.outages[FIRST].ended == 1_768_437_438.5
    assert coordinator.outages[FIRST].records["home"].dark_s == 335.0
    assert coordinator.needs["home"].draw_w == 700.0
    (ended,) = coordinator.outages[FIRST].deployments
    assert (ended.vehicle, ended.discharged_wh, ended.returned_wh, ended.lowest_pct) == ("LENT", 5000.0, 1000.0, 65.0)
    assert coordinator.payments == {"p1"}
    assert energy_to_return(ended, coordinator.registry.cars["LENT"]).total_wh > 5000
    assert set(coordinator.deployments) == {("home", "SECOND")}
    assert coordinator.calls["LENT"].site == "home"
    lent = coordinator.registry.cars["LENT"]
    assert (lent.place, lent.soc_pct, lent.status) == ("depot", 66.0, Status.FREE)
    assert coordinator.registry.cars["SECOND"].status is Status.DEPLOYED
    assert first_broken(coordinator.audit.entries, coordinator.audit.start) is None


def test_what_is_written_again_is_what_was_stored() -> None:
    coordinator = parse(STORED["agreements"], "lent.toml")
    BlueSwitchPersistence(Journal(MemoryStore(), VirtualClock())).restore(coordinator, ROWS)
    again = {key: json.loads(body) for key, (body, _) in rows(coordinator, coordinator.outages).items()}
    for call in again[CURRENT]["calls"]:
        assert call.pop("fills_until") == 0.0  # not in the first databases
    assert again == {row.key: json.loads(row.body) for row in ROWS if row.kind == KIND}


def test_a_restored_call_fills_the_storage_until_the_same_time() -> None:
    coordinator, restarted = parse(STORED["agreements"], "lent.toml"), parse(STORED["agreements"], "lent.toml")
    restore_rows(coordinator, {row.key: row.body for row in ROWS if row.kind == KIND})
    trip = coordinator.calls["LENT"]
    coordinator.calls["LENT"] = replace(trip, fills_until=trip.supply_until + 3600.0)
    written = rows(coordinator, coordinator.outages)
    assert restore_rows(restarted, {key: body for key, (body, _) in written.items()}) == []
    assert restarted.calls == coordinator.calls
