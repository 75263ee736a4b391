"""State of a cluster as its records show it."""

from __future__ import annotations

import msgspec

from gateway.cluster.io import Record
from gateway.cluster.keys import key_of
from gateway.cluster.lease import LeaseRecord
from gateway.cluster.node import Presence
from gateway.cluster.status import ClusterStatus, summary, text

NOW = 1000.0


def lease(site: str, holder: str, term: int) -> Record:
    return Record(key_of(site), msgspec.json.encode(LeaseRecord(holder, term)), term + 1)


def owner(station: str, instance: str) -> Record:
    return Record(key_of(station), instance.encode(), 1)


def present(instance: str, *sites: str, age_s: float = 1.0) -> Record:
    found = Presence(instance, f"{instance}/r", "1", 0.0, NOW - age_s, sites=list(sites))
    return Record(key_of(instance), msgspec.json.encode(found), 1)


def three_sites(*configured: str) -> ClusterStatus:
    leases = [lease("north", "gw1/a", 7), lease("so@th", "gw2/b", 9)]
    owners = [owner("north/CP1", "gw2"), owner("so@th/CP1", "gw1"), owner("so@th/CP2", "gw1")]
    return summary("v2x", leases, owners, [present("gw1", "north"), present("gw2", "so@th")], NOW, configured)


def test_each_site_has_its_holder_term_and_stations() -> None:
    found = three_sites("north", "so@th")
    assert [(one.site, one.holder, one.term, one.stations) for one in found.sites] == [
        ("north", "gw1", 7, 1),
        ("so@th", "gw2", 9, 2),
    ]
    assert found.in_order
    assert "site so@th: holder gw2, term 9, 2 stations" in text(found)


def test_a_configured_site_without_a_lease_is_not_in_order() -> None:
    found = three_sites("north", "so@th", "west")
    assert not found.in_order
    assert "site west: no holder" in text(found)


def test_the_stations_of_the_one_site_have_no_site_in_their_records() -> None:
    found = summary("v2x", [lease("home", "gw1/a", 3)], [owner("CP1", "gw1")], [present("gw1", "home")], NOW)
    assert [(one.stations, one.present) for one in found.sites] == [(1, True)]


def test_an_absent_instance_controls_no_site_and_has_no_station_that_is_connected() -> None:
    """As an instance sees it: its last records say otherwise."""
    owners, instances = [owner("CP1", "gw1"), owner("CP2", "gw2")], [present("gw1", "home", age_s=60), present("gw2")]
    found = summary("v2x", [lease("home", "gw1/a", 3)], owners, instances, NOW)
    assert [(one.stations, one.present) for one in found.sites] == [(1, False)]
    assert found.stations == 1
    assert found.instances[0].sites == []
    shown = text(found)
    assert "controls" not in shown
    assert "cluster v2x: 1 stations connected" in shown
    assert "instance gw1: absent for 60 s, 1 stations lost," in shown


def test_many_sites_of_an_instance_are_counted() -> None:
    names = [f"s{number}" for number in range(30)]
    found = summary("v2x", [lease(one, "gw1/a", 3) for one in names], [], [present("gw1", *names)], NOW)
    assert "instance gw1: present, 0 stations, controls 30 sites" in text(found)
