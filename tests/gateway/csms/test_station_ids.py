"""Identities of stations: any sign that OCPP allows, in any case, percent-encoded, behind a longer path."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import ConfigError, load
from gateway.csms.admin import Admin
from gateway.csms.admission import Admission
from gateway.csms.csms import Csms
from gateway.csms.errors import RequestRejected
from gateway.csms.settings import StationSettings
from tests.gateway.csms.raw_station import Raw


def admission(csms: Csms) -> Admission:
    return Admission(csms.context, csms.stations, csms.credentials, csms.attach, csms.stations.pop)


PATHS = [
    ("/ocpp/CP1", "CP1"),
    ("/ocpp/CP1/", "CP1"),
    ("/ocpp/cp1", "CP1"),
    ("/ocpp/%43P1", "CP1"),
    ("/ocpp/v16/site/CP1", "CP1"),
    ("/ocpp/CP1?x=y", "CP1"),
    ("/ocpp/A+B", "A+B"),
    ("/ocpp/A%2BB", "A+B"),
    ("/ocpp/a%2bb", "A+B"),
    ("/ocpp/New%40Station", "New@Station"),
    ("/ocpp/A%23B", None),
    ("/ocpp/A%2FB", None),
    ("/ocpp/A%00B", None),
    ("/ocpp/A%0AB", None),
    ("/ocpp/A:B", None),
    ("/ocpp/A%25B", None),
    ("/ocpp/" + "x" * 49, None),
    ("/ocpp/", None),
    ("/other/CP1", None),
    ("/ocpptwo/CP1", None),
]


@pytest.mark.virtual_time
@pytest.mark.parametrize(("path", "name"), PATHS)
async def test_the_path_names_the_station(path: str, name: str | None) -> None:
    csms = Raw().csms
    csms.register(StationSettings("A+B"))
    assert admission(csms).station_id(path) == name


@pytest.mark.virtual_time
async def test_operators_name_a_station_in_any_case_too() -> None:
    csms = Raw().csms
    admin = Admin(csms)
    assert (await admin.put_station("cp1", {"registration": "pending"}))["id"] == "CP1"
    assert list(csms.stations) == ["CP1"]
    assert admin.station("cP1")["registration"] == "pending"
    await admin.delete_station("cp1")
    assert list(csms.stations) == []


@pytest.mark.virtual_time
@pytest.mark.parametrize("name", ["A#B", "A/B", "A\0B", "A B", "A%B", "A:B", "", "x" * 49, "CP1\n"])
async def test_an_id_that_cannot_be_used_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(RequestRejected):
        await Admin(Raw().csms).put_station(name, {})
    file = tmp_path / "gateway.toml"
    escaped = name.replace("\0", "\\u0000").replace("\n", "\\n")
    file.write_text(f'[ocpp]\nsecurity_profile = 0\n[[stations]]\nid = "{escaped}"\n')
    with pytest.raises(ConfigError, match=r"stations\.0\.id"):
        load(file)


def test_two_stations_that_differ_in_case_are_one(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('[ocpp]\nsecurity_profile = 0\n[[stations]]\nid = "CP1"\n[[stations]]\nid = "cp1"\n')
    with pytest.raises(ConfigError, match="CP1 and cp1"):
        load(file)
