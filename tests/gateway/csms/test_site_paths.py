"""Where one port serves several sites, the path names the site, or the station where only one site lists it."""

from __future__ import annotations

import pytest

from gateway.clock import SystemClock
from gateway.csms.admission import Admission, Shared
from gateway.csms.csms import Csms
from gateway.csms.settings import CsmsSettings
from gateway.csms.site_paths import SitePaths, path_of

LISTED = {"north": ["CP1", "N"], "so@th": ["cp1", "S"]}


def admission(path: str, short: str | None = None) -> Admission:
    settings = CsmsSettings(path=path)
    csms = Csms(settings, lambda event: None, SystemClock())
    return Admission(
        csms.context, csms.stations, csms.credentials, csms.attach, csms.stations.pop, shared=Shared.of(settings),
        short=short,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "site", "station"),
    [
        ("/ocpp/north/CP1", "north", "CP1"),
        ("/ocpp/so@th/CP1", "so@th", "CP1"),
        ("/ocpp/so%40th/CP1?x=y", "so@th", "CP1"),
        ("/ocpp/north/v21/CP1/", "north", "CP1"),
        ("/ocpp/north/new", "north", "new"),
        ("/ocpp/N", "north", "N"),
        ("/ocpp/s/", "so@th", "s"),
        ("/ocpp/CP1", None, None),  # two sites list it
        ("/ocpp/cP1", None, None),
        ("/ocpp/new", None, None),
        ("/ocpp/nroth/N", None, None),  # a wrong site is not another one
        ("/ocpp/north", None, None),
        ("/ocpp/north/", None, None),
        ("/ocpp/north%2FCP1", None, None),
        ("/other/north/CP1", None, None),
        ("/ocpp", None, None),
        ("", None, None),
    ],
)
def test_the_path_names_site_and_station(path: str, site: str | None, station: str | None) -> None:
    sites = {name: admission(path_of("/ocpp", name), "/ocpp") for name in LISTED}
    elsewhere = admission("/ocpp")
    found = SitePaths("/ocpp", sites, LISTED, elsewhere)(path)
    assert found is (elsewhere if site is None else sites[site])
    if site is not None:
        assert found.station_id(path) == station


def test_a_site_admits_its_own_path_and_the_short_one_only() -> None:
    north = admission(path_of("/ocpp", "north"), "/ocpp")
    assert north.station_id("/ocpp/south/CP1") is None
    assert north.station_id("/ocpp/CP1") == "CP1"
