"""Rows as the first release wrote them are read, and written back with the same members."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emulators.runtime.clock import VirtualClock
from gateway.csms import restore
from gateway.csms.admin import Admin
from gateway.csms.csms import Csms
from gateway.csms.settings import CsmsSettings, StationSettings
from gateway.model.journal import Kept

pytestmark = pytest.mark.virtual_time

TRANSACTION = {
    "ref": "CP1/5", "station": "CP1", "id": "5", "evse": 1, "connector": 1, "id_token": "A", "started_at": 1.0,
    "stopped_at": None, "stop_reason": None, "operation_mode": None, "charging_state": None, "meter_start_wh": None,
    "meter_start_out_wh": None, "heard_at": 2.0, "presumed": False, "energy_charged_wh": None,
    "energy_discharged_wh": None, "reservation": None, "remote_start": None, "allowed": ["DC"], "started_mark": None,
    "number": 3, "seen": [17],
}  # fmt: skip
RESERVATION = {"ref": "CP1/7", "station": "CP1", "id": 7, "status": "ACCEPTED", "expiry": 9000000000.0}
TOKEN: dict[str, Any] = {
    "id": "A", "status": "Accepted", "type": "Central", "expiry": None, "parent": None, "energy_transfer": [],
}  # fmt: skip
STATION = {
    "registered": True, "configured": "h1", "password_hash": "h2", "next_password_hash": None, "vendor_profile": None,
    "security_profile": 1, "registration": "pending", "next_security_profile": None, "version": "ocpp2.1",
    "boot": {
        "status": "Accepted", "vendor": "v", "model": "m", "serial": None, "firmware": None, "reason": None, "at": 1.0,
    },
    "evses": {"1": {"1": "Available"}}, "upkeep": {"firmware": {"status": "Installed", "at": "x"}},
}  # fmt: skip


# written by running revision 68f20a7: one station, token, transaction and reservation
FIRST_RELEASE = json.loads((Path(__file__).parents[2] / "data" / "kept" / "csms.json").read_text(encoding="utf-8"))


def kept(kind: str, key: str, row: object) -> Kept:
    return Kept(kind, key, json.dumps(row), 0.0)


async def test_rows_of_the_first_release_are_read_and_written_back() -> None:
    csms = Csms(CsmsSettings(stations=(StationSettings("CP1", "h1"),)), lambda _: None, VirtualClock())
    csms.restore(
        [
            kept("station", "CP1", STATION),
            kept("transaction", "CP1/5", TRANSACTION),
            kept("reservation", "CP1/7", RESERVATION),
            kept("token", "a", TOKEN),
        ]
    )
    station, persistence = csms.stations["CP1"], csms.context.persistence
    transaction = csms.context.transactions.get("CP1", "5")
    reservation = csms.context.reservations.get("CP1/7", 0.0)
    token = csms.context.tokens.get("A")
    assert transaction is not None
    assert reservation is not None
    assert token is not None
    assert transaction.last_message_at == 2.0
    assert (station.settings.password_hash, station.settings.security_profile) == ("h2", 1)
    assert json.loads(restore.record(station).body) == STATION
    assert json.loads(persistence.record(transaction).body) == TRANSACTION
    assert json.loads(persistence.reservation(reservation).body) == RESERVATION
    assert json.loads(persistence.token(token).body) == TOKEN
    row = Admin(csms).station("CP1")
    assert row["upkeep"] == STATION["upkeep"]
    assert row["registration"] == "pending"


async def test_a_row_that_cannot_be_read_is_skipped() -> None:
    csms = Csms(CsmsSettings(stations=(StationSettings("CP1", "h1"),)), lambda _: None, VirtualClock())
    csms.restore([kept("station", "CP1", STATION | {"boot": 7}), kept("transaction", "CP1/5", {"ref": "CP1/5"})])
    assert csms.stations["CP1"].boot is None
    assert csms.context.transactions.get("CP1", "5") is None


async def test_rows_written_by_the_first_release_are_restored_and_written_back() -> None:
    csms = Csms(CsmsSettings(stations=(StationSettings("CP1"),)), lambda _: None, VirtualClock())
    csms.restore(
        [Kept(one["kind"], one["key"], json.dumps(one["body"]), one["wall"], one["ended"]) for one in FIRST_RELEASE]
    )
    persistence = csms.context.persistence
    transaction = csms.context.transactions.get("CP1", "t1")
    reservation = csms.context.reservations.get("CP1/7", 0.0)
    token = csms.context.tokens.get("card")
    assert transaction is not None
    assert reservation is not None
    assert token is not None
    found = [
        restore.record(csms.stations["CP1"]),
        persistence.token(token),
        persistence.record(transaction),
        persistence.reservation(reservation),
    ]
    assert [(one.kind, one.key, json.loads(one.body)) for one in found] == [
        (one["kind"], one["key"], one["body"]) for one in FIRST_RELEASE
    ]
