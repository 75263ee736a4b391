"""Maps the configuration to the settings of each package, and reads secrets.

Besides `app.py` the only file that depends on both the configuration and the packages.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from gateway.authority.soc_floors import trip_wh
from gateway.config import Config, ConfigError, host_and_port, read_secret, stale_after
from gateway.config.settings import Section
from gateway.control.settings import ReplyFault, ServiceSettings
from gateway.csms.revocation import revocation_lists
from gateway.csms.settings import CsmsSettings, StationSettings
from gateway.model.site import SitePolicy
from gateway.mqtt.client import BrokerLink
from gateway.mqtt.topics import LoadTiers, MqttSettings, Topics, to_topic_level
from gateway.store.lock import DatabaseLock, FileLock
from gateway.store.store import MemoryStore, Store
from protocols.ocpp import vendor
from protocols.ports import Clock

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from sqlalchemy.ext.asyncio import AsyncEngine

    from gateway.cluster.settings import ClusterSettings
    from gateway.drivers.chademo.settings import ChademoEvseSettings
    from gateway.drivers.secc.settings import SeccEvseSettings
    from gateway.store.postgres_writer import WriterThread
    from gateway.store.sql import SqlStore

CHADEMO = {"0.9": 1, "1.x": 2, "2.0": 3}  # protocol numbers
V2H = {"none": None, "1.0": 0, "2.0a": 1, "2.0b": 2}  # sequence numbers of 0x209

Settings = TypeVar("Settings", bound="DataclassInstance")


def make_store(config: Config) -> Store:
    """Return the store that the configuration names."""
    return MemoryStore() if config.store.url == "memory:" else sql_store(config)


def sql_store(
    config: Config, term: int | None = None, pool: AsyncEngine | None = None, writer: WriterThread | None = None
) -> SqlStore:
    """Return the store in the database; with a term, the one of a holder of the site (Postgres)."""
    from gateway.store.sql import SqlStore  # import on demand: SQLAlchemy costs about a second

    store = config.store
    return SqlStore(
        store.url, config.mqtt.gateway_id, store.synchronous, term,
        tables=store.postgres_schema, pool=pool, writer=writer,
    )  # fmt: skip


def database_lock(config: Config, clock: Clock) -> DatabaseLock | None:
    """Return the lock of the database, None for a store in memory."""
    scheme, _, path = config.store.url.partition(":///")
    if config.store.url.startswith("postgresql"):
        from gateway.store.postgres_lock import PostgresLock  # on demand, as in `make_store`

        schema = config.store.postgres_schema
        name = f"{schema}/{config.mqtt.gateway_id}" if schema else config.mqtt.gateway_id
        return PostgresLock(config.store.url, name, clock)
    return FileLock(Path(path)) if scheme == "sqlite" and path != ":memory:" else None


def service_settings(config: Config) -> ServiceSettings:
    """Return the settings of the gateway service."""
    site, commands, cars = config.site, config.commands, config.energy.cars
    policy = _settings(
        SitePolicy,
        site,
        site=site.id,
        assumed_capacity_wh=config.energy.assumed_capacity_wh,
        vehicle_capacity_wh={car.vehicle: car.capacity_wh for car in cars if car.capacity_wh is not None},
        vehicle_floor_pct={car.vehicle: car.floor_pct for car in cars},
        grid_forming=frozenset(config.energy.forming),
        vehicle_trip_wh={car.vehicle: trip_wh(car.home_km, car.wh_per_km) for car in cars},
    )
    return _settings(
        ServiceSettings,
        commands,
        config.store,
        policy=policy,
        gateway_id=config.mqtt.gateway_id,
        stations=tuple(station.id for station in config.stations),
        evses=tuple(evse.id for evse in config.evses),
        stale_after_s=stale_after(config),
        meter_delay_s=config.energy.meter_delay_s,
        stale_at_most_s=site.stale_at_most_s,
        reply_fault=_reply_fault(config),
        shared_commands=config.mqtt.shared_commands,
        max_priority={to_topic_level(user.name): user.max_priority for user in config.users},
    )


def _reply_fault(config: Config) -> ReplyFault:
    """Return why results are not sent to a topic: a client gets them in its inbox only."""
    topics = mqtt_topics(config)
    inboxes = {to_topic_level(user.name): user.inbox or topics.inbox(user.name) for user in config.users}
    ordered = sorted(inboxes.values())
    for number, user in enumerate(config.users):
        if user.inbox and (bad := topics.reply_fault(f"{user.inbox}x")) is not None:
            raise ConfigError(f"users.{number}.inbox: {bad}")
    for one, other in pairwise(ordered):
        if other.startswith(one):
            raise ConfigError(f"users: the inboxes {one} and {other} overlap")

    def fault(topic: str, *, client: str | None) -> str | None:
        return topics.reply_fault(topic, "" if client is None else inboxes.get(client) or topics.inbox(client))

    return fault


def csms_settings(config: Config) -> CsmsSettings:
    """Return the settings of the CSMS; ConfigError if a secret cannot be read."""
    ocpp = config.ocpp
    host, port = host_and_port(ocpp.listen)
    stations = []
    _check_profiles(config)
    for number, entry in enumerate(config.stations):
        password = None
        if entry.password_file is not None:
            password = read_secret(entry.password_file, f"stations.{number}.password_file")
        elif ocpp.security_profile in (1, 2) and entry.security_profile in (None, 1, 2):
            raise ConfigError(f"stations.{number}.password_file: {entry.id} needs one with this security profile")
        stations.append(_settings(StationSettings, entry, password=password))
    settings = _settings(
        CsmsSettings,
        ocpp,
        host=host,
        port=port,
        tls_address=None if ocpp.tls_listen is None else host_and_port(ocpp.tls_listen),
        stations=tuple(stations),
        reserved=frozenset(evse.id.casefold() for evse in config.evses),
    )
    try:
        revocation_lists(settings)
    except (OSError, ValueError) as error:
        raise ConfigError(f"ocpp.tls_crl: {error}") from None
    return settings


def _check_profiles(config: Config) -> None:
    """Verify that every vendor profile can be read and every named one exists; ConfigError with the known names."""
    folder = config.ocpp.vendor_profiles
    if folder is not None and not folder.is_dir():
        raise ConfigError(f"ocpp.vendor_profiles: {folder} is not a folder")
    for path in sorted(folder.glob("*.toml")) if folder is not None else ():
        try:
            vendor.read(path)
        except vendor.BadProfile as error:
            raise ConfigError(f"ocpp.vendor_profiles: {error}") from None
    for number, entry in enumerate(config.stations):
        if entry.vendor_profile is not None and entry.vendor_profile not in vendor.names(folder):
            known = ", ".join(vendor.names(folder))
            raise ConfigError(
                f"stations.{number}.vendor_profile: there is no {entry.vendor_profile!r}; known are {known}"
            )


def hosted_settings(config: Config) -> tuple[SeccEvseSettings, ...]:
    """Return the settings of the EVSEs that the gateway hosts itself."""
    entries = [entry for _, entry in config.secc_evses]
    if not entries:
        return ()
    from gateway.drivers.secc.settings import SeccEvseSettings  # on demand: the messages of ISO 15118 take time
    from protocols.iso15118.iso20.services import NAMES, ControlMode
    from protocols.iso15118.tls import TlsProfile, TlsVersion
    from protocols.slac.frames import parse_mac
    from protocols.slac.modem import ModemSettings
    from protocols.slac.vendor import ModemVendor

    found = []
    for entry in entries:
        found.append(
            _settings(
                SeccEvseSettings,
                entry,
                address=None if entry.listen is None else host_and_port(entry.listen),
                protocols=tuple(entry.protocols),
                services=None if entry.services is None else tuple(NAMES[name] for name in entry.services),
                controls=tuple(ControlMode[name.upper()] for name in entry.control),
                modem=ModemSettings(parse_mac(entry.modem_address), ModemVendor(entry.modem)),
                tls=TlsVersion(entry.tls),
                tls_profile=TlsProfile(entry.tls_profile),
            )
        )
    return tuple(found)


def chademo_settings(config: Config) -> tuple[ChademoEvseSettings, ...]:
    """Return the settings of the CHAdeMO EVSEs that the gateway hosts itself."""
    entries = [entry for _, entry in config.chademo_evses]
    if not entries:
        return ()
    from gateway.drivers.chademo.settings import ChademoEvseSettings  # on demand, as in `hosted_settings`

    return tuple(
        _settings(
            ChademoEvseSettings,
            entry,
            protocol=CHADEMO[entry.protocol],
            v2h=V2H[entry.v2h],
            keep_alive_s=entry.keep_alive_s or None,
        )
        for entry in entries
    )


def broker_link(config: Config) -> BrokerLink:
    """Return the settings of the broker connection; ConfigError if a secret cannot be read."""
    mqtt = config.mqtt
    password = read_secret(mqtt.password_file, "mqtt.password_file") if mqtt.password_file is not None else None
    for key in ("ca", "cert", "key"):
        path = getattr(mqtt, key)
        if path is not None and not path.is_file():
            raise ConfigError(f"mqtt.{key}: {path} does not exist")
    return _settings(BrokerLink, mqtt, client_id=f"v2x-{config.site.id}-{mqtt.gateway_id}", password=password)


def mqtt_topics(config: Config) -> Topics:
    """Return the topics of the gateway."""
    mqtt = config.mqtt
    own = "" if mqtt.shared_commands else next((user.name for user in config.users if user.homeassistant), "")
    return Topics(config.site.id, mqtt.gateway_id, mqtt.homeassistant_prefix, mqtt.mirror, own)


def mqtt_settings(config: Config) -> MqttSettings:
    """Return the settings of the MQTT connection."""
    mqtt = config.mqtt
    return MqttSettings(
        topics=mqtt_topics(config),
        telemetry_s=mqtt.telemetry_s,
        takes_site_commands=mqtt.site_commands,
        broker_grace_s=mqtt.broker_grace_s,
        homeassistant=mqtt.homeassistant,
        tiers=LoadTiers(tuple(tier.name for tier in config.energy.tiers), config.energy.autonomy_tier),
    )


def cluster_settings(config: Config) -> ClusterSettings:
    """Return the settings of the cluster."""
    from gateway.cluster.settings import ClusterSettings

    for key in ("credentials_file", "ca", "cert", "key"):
        path = getattr(config.cluster, key)
        if path is not None and not path.is_file():
            raise ConfigError(f"cluster.{key}: {path} does not exist")
    return _settings(ClusterSettings, config.cluster, servers=tuple(config.cluster.servers))


def _settings(kind: type[Settings], *sections: Section, **own: object) -> Settings:
    """Return the settings of a package: `own`, and the values of sections whose keys have the name of a field."""
    values = {key: getattr(section, key) for section in sections for key in type(section).model_fields}
    return kind(**{name: value for name, value in values.items() if name in kind.__dataclass_fields__} | own)
