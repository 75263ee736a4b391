"""Files of the sites that one cluster serves (`cluster.sites`): each is merged over the file of the instance.

A site file has what belongs to the site. What an instance has once for all sites (listeners, cluster, database) is in
its own file only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from glob import glob
from pathlib import Path
from typing import Any, TypeAlias

from gateway.config.settings import Config, ConfigError

Table: TypeAlias = Mapping[str, Any]

# sections that a site file has whole, and of others the keys
SECTIONS = ("site", "mqtt", "stations", "energy", "commands", "users", "blue_switch")
KEYS = {
    "store": ("postgres_schema", "command_days", "journal_days", "telemetry_days", "telemetry_every_s"),
    "ocpp": (
        "unknown_stations", "unknown_tokens", "local_list", "v2x_allowed", "inventory", "heartbeat_s", "boot_retry_s",
        "sample_every_s", "fallback_limit_w", "max_unknown", "max_calls_per_s", "max_burst", "answer_within_s",
        "lenient", "vendor_profiles",
    ),
}  # fmt: skip
SCHEMA = "site_{}"  # of the tables of a site in Postgres


def files(patterns: Iterable[str], folder: Path) -> list[Path]:
    """Return the files that patterns name, each once and in order; ConfigError for a pattern without any."""
    found: dict[Path, None] = {}
    for pattern in patterns:
        named = sorted(glob(str(folder / pattern)))
        if not named:
            raise ConfigError(f"cluster.sites: there is no file {folder / pattern}")
        found.update(dict.fromkeys(map(Path, named)))
    return list(found)


def merged(table: Table, own: Table, where: str) -> dict[str, Any]:
    """Return the table of a site: that of its file over that of the instance. ConfigError for what it may not have.

    Tables are merged key by key, lists and values of the site replace those of the instance.
    """
    mistakes = list(_mistakes(own))
    if mistakes:
        raise ConfigError("\n".join(f"{where}: {one}" for one in mistakes))
    site = _over(table, own)
    site["cluster"] = {**site["cluster"], "sites": []}
    store = site["store"] = dict(site.get("store", {}))
    store.setdefault("postgres_schema", SCHEMA.format(own["site"]["id"]))
    return site


def verify(sites: Mapping[str, Config]) -> None:
    """Raise ConfigError where two sites, by the names of their files, are not distinct."""
    _distinct("site.id", {where: one.site.id for where, one in sites.items()})
    _distinct("store.postgres_schema", {where: one.store.postgres_schema for where, one in sites.items()})


def _distinct(key: str, values: Mapping[str, str]) -> None:
    value, number = Counter(values.values()).most_common(1)[0]
    if number > 1:
        first, second, *_ = (where for where, one in values.items() if one == value)
        raise ConfigError(f"{second}: {key}: {value} is that of {first}; each site needs its own")


def _mistakes(own: Table) -> Iterator[str]:
    for section, value in own.items():
        if section in SECTIONS:
            continue
        keys = KEYS.get(section, ())
        given = [f"{section}.{key}" for key in value if key not in keys] if keys else [section]
        for one in given:
            yield f"{one}: belongs to the file of the instance, not to that of a site"
    site = own.get("site")
    if not isinstance(site, Mapping) or not isinstance(site.get("id"), str):
        yield "site.id: is missing"


def _over(table: Table, own: Table) -> dict[str, Any]:
    both = dict(table)
    for key, value in own.items():
        below = both.get(key)
        both[key] = _over(below, value) if isinstance(value, Mapping) and isinstance(below, Mapping) else value
    return both
