"""Files of the sites of one cluster (`cluster.sites`): what they may have, and what the mistakes are."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import ConfigError, load
from gateway.config.lint import notes
from gateway.config.verification import verify

INSTANCE = """
[store]
url = "postgresql://v2x@127.0.0.1/v2x"
command_days = 9
[ocpp]
security_profile = 0
heartbeat_s = 60
[mqtt]
gateway_id = "gw"
[cluster]
servers = ["nats://127.0.0.1:4222"]
instance = "gw1"
sites = ["sites/*.toml"]
"""


def write(folder: Path, instance: str = INSTANCE, **sites: str) -> Path:
    (folder / "sites").mkdir()
    for name, text in sites.items():
        (folder / "sites" / f"{name}.toml").write_text(text)
    file = folder / "gateway.toml"
    file.write_text(instance)
    return file


def test_each_file_is_a_site_over_the_file_of_the_instance(tmp_path: Path) -> None:
    config = load(
        write(
            tmp_path,
            a='[site]\nid = "north"\n[[stations]]\nid = "CP1"\npassword_file = "secrets/cp1"\n'
            "[ocpp]\nheartbeat_s = 30\n",
            b='[site]\nid = "south"\n[mqtt]\ngateway_id = "g2"\n[store]\npostgres_schema = "public"\n'
            '[[stations]]\nid = "CP1"\n',
        )
    )
    north, south = config.sites
    assert (north.site.id, south.site.id) == ("north", "south")
    assert (north.store.postgres_schema, south.store.postgres_schema) == ("site_north", "public")
    assert (north.store.command_days, north.ocpp.heartbeat_s, south.ocpp.heartbeat_s) == (9, 30, 60)
    assert (north.mqtt.gateway_id, south.mqtt.gateway_id) == ("gw", "g2")
    assert north.stations[0].password_file == tmp_path / "sites" / "secrets" / "cp1"  # relative to its file
    assert config.contents == "2 sites, 2 stations"
    assert config.stations == []


def test_without_sites_the_file_is_the_site(tmp_path: Path) -> None:
    file = write(tmp_path, INSTANCE.replace('sites = ["sites/*.toml"]', ""))
    config = load(file)
    assert config.sites == (config,)
    assert not config.one_of_several


@pytest.mark.parametrize(
    ("sites", "expected"),
    [
        ({}, "cluster.sites: there is no file"),
        ({"a": "[site]\nmin_soc_pct = 20\n"}, r"a.toml: site.id: is missing"),
        (
            {"a": '[site]\nid = "n"\n[admin]\nlisten = "127.0.0.1:1"\n'},
            "a.toml: admin: belongs to the file of the inst",
        ),
        ({"a": '[site]\nid = "n"\n[ocpp]\nlisten = "127.0.0.1:1"\n'}, "a.toml: ocpp.listen: belongs to the file"),
        ({"a": '[site]\nid = "n"\n[store]\nurl = "sqlite:///x"\n'}, "a.toml: store.url: belongs to the file"),
        (
            {"a": '[site]\nid = "n"\n[site.x]\n', "b": "[site\n"},
            r"a.toml: site.x: is not a key[^\n]*\n.*b.toml is not TOML",
        ),
        ({"a": '[site]\nid = "n"\n', "b": '[site]\nid = "n"\n'}, "b.toml: site.id: n is that of .*a.toml"),
        (
            {"a": '[site]\nid = "n"\n', "b": '[site]\nid = "m"\n[store]\npostgres_schema = "site_n"\n'},
            "b.toml: store.postgres_schema: site_n is that of .*a.toml",
        ),
        ({"a": f'[site]\nid = "{"x" * 60}"\n'}, "a.toml: store.postgres_schema: "),
        ({"a": '[site]\nid = "n"\n[store]\npostgres_schema = "pg_x"\n'}, "names with pg_ are those of Postgres"),
    ],
)
def test_mistakes_name_the_file_and_the_key(sites: dict[str, str], expected: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"(?s){expected}"):
        load(write(tmp_path, **sites))


def test_stations_are_listed_in_the_files_of_the_sites(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cluster.sites: list each station in the file of its site"):
        load(write(tmp_path, INSTANCE + '[[stations]]\nid = "CP1"\n', a='[site]\nid = "n"\n'))


def test_what_keeps_a_site_from_starting_is_named_with_its_site(tmp_path: Path) -> None:
    missing = '[[stations]]\nid = "CP1"\npassword_file = "none"\n'
    file = write(tmp_path, a='[site]\nid = "north"\n', b=f'[site]\nid = "south"\n{missing}')
    with pytest.raises(ConfigError, match=r"site south: stations.0.password_file: .*none"):
        verify(load(file))


def test_a_station_at_two_sites_and_the_risks_of_a_site_are_noted(tmp_path: Path) -> None:
    station = '[[stations]]\nid = "CP1"\n'
    file = write(
        tmp_path,
        INSTANCE.replace("heartbeat_s = 60", 'listen = "0.0.0.0:9000"'),
        a=f'[site]\nid = "north"\n{station}[ocpp]\nunknown_stations = "accept"\n',
        b=f'[site]\nid = "south"\n{station}',
    )
    found = notes(load(file))
    assert sum("ocpp.security_profile" in one for one in found) == 1
    assert any(one.startswith("site north: ocpp.unknown_stations: accept") for one in found)
    assert found[-1].startswith("cluster.sites: several sites list CP1; ")
