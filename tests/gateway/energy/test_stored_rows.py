"""Rows of energy management that the first databases hold: written by commit 68f20a7 during an outage."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from emulators.runtime.clock import VirtualClock
from gateway.energy.controller import SiteController
from gateway.energy.forecast import SLOTS
from gateway.energy.persistence import KIND, EnergyPersistence, outage_row, window_row
from gateway.energy.settings import EnergySection
from gateway.model.journal import Kept
from gateway.store.journal import Journal
from gateway.store.store import MemoryStore

STORED = json.loads((Path(__file__).parents[2] / "data" / "kept" / "outage.json").read_text())
ROWS = [Kept(**row) for row in STORED["rows"]]


def test_every_row_of_the_first_databases_is_restored(caplog: pytest.LogCaptureFixture) -> None:
    controller = SiteController(EnergySection(island=True, contract_w=20_000.0))
    with caplog.at_level(logging.WARNING):
        EnergyPersistence(Journal(MemoryStore(), VirtualClock())).restore(controller, ROWS)
    assert not caplog.records
    bodies = {row.key: json.loads(row.body) for row in ROWS if row.kind == KIND}
    assert set(bodies) == {"outage", "window", "days"}

    before, off, back = controller.recharging.remembered()
    assert (set(before), off, back) == ({"CAR1", "LENT", "SECOND"}, True, None)
    assert before["LENT"] == 80.0
    assert controller.island.formed_before == "CP2-1"
    window = controller.on_grid.window
    assert window is not None
    assert (window.start, window.power_w) == (1_768_437_000.0, 700.0)
    assert window.imported_wh == pytest.approx(2124.7083)
    assert controller.on_grid.billed.peak_w == pytest.approx(705.3611)
    load_w, pv_w = controller.profile.days()
    assert (load_w[0], len(load_w), pv_w) == (700.0, SLOTS, [None] * SLOTS)

    row = outage_row(controller)
    assert row is not None
    assert row.had == before
    stored = window_row(controller)
    assert stored is not None
    assert {name: getattr(stored, name) for name in bodies["window"]} == bodies["window"]
