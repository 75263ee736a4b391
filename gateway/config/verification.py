"""Verification beyond the settings themselves: the files that they name, and what the packages need of each other.

`v2x gateway` and `v2x check-config` call `verify`, so that both give the same verdict; `v2x doctor` adds what is
outside of the configuration, such as the broker.
"""

from __future__ import annotations

import importlib.util
import inspect
import os
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from gateway.blue_switch.agreement_file import BlueSwitchError
from gateway.blue_switch.agreement_file import load as load_agreements
from gateway.blue_switch.coordinator import Coordinator
from gateway.clock import SystemClock
from gateway.config import admin_token
from gateway.config.devices import modbus_devices
from gateway.config.echonet import echonet_entries, profile_of
from gateway.config.load import read_secret
from gateway.config.mapping import (
    broker_link,
    chademo_settings,
    cluster_settings,
    csms_settings,
    hosted_settings,
    mqtt_settings,
    service_settings,
)
from gateway.config.page import web_tokens
from gateway.config.settings import Config, ConfigError, EchonetEvseEntry, WebSection, host_and_port
from gateway.csms import certificates
from gateway.csms.settings import CsmsSettings
from gateway.csms.websocket_server import server_context
from gateway.mqtt.client import tls_context
from gateway.store import database_url

CAN = "CAN needs the package python-can; install it with pip install 'v2x-gateway[can]'"
MODBUS = "needs the package pymodbus; install it with pip install 'v2x-gateway[modbus]'"
NATS = "cluster.servers: needs the package nats-py; install it with pip install 'v2x-gateway[cluster]'"
SQLALCHEMY = ("prepared_statement_cache_size", "prepared_statement_name_func", "async_fallback")
POSTGRES = "store.url: postgresql:// needs the package asyncpg; install it with pip install 'v2x-gateway[postgres]'"


def verify(config: Config) -> None:
    """Raise ConfigError, with the key and the remedy, for what keeps a gateway from starting."""
    for site in config.sites:
        try:
            _verify_site(site)
        except ConfigError as error:
            if not site.one_of_several:
                raise
            raise ConfigError(f"site {site.site.id}: {error}") from None
    _verify_tls(csms_settings(config))
    for key, listen in addresses(config).items():
        _verify_address(key, listen)
    _verify_evses(config)
    _verify_chademo(config)
    _verify_token(config)
    _verify_page(config.web)
    _verify_modbus(config)
    _verify_echonet(config)
    _verify_store(config)
    _verify_cluster(config)


def _verify_site(config: Config) -> None:
    """Verify what each site has of its own."""
    link = broker_link(config)
    if link.url.startswith("mqtts://"):
        _usable("mqtt.ca, mqtt.cert and mqtt.key", lambda: tls_context(link))
    csms_settings(config)
    service_settings(config)
    mqtt_settings(config)
    read_agreements(config)


def addresses(config: Config) -> dict[str, str]:
    """Return the addresses to listen on, by key."""
    named = {
        "ocpp.listen": config.ocpp.listen,
        "ocpp.tls_listen": config.ocpp.tls_listen,
        "admin.listen": config.admin.listen,
        "web.listen": config.web.listen,
        **{f"{key}.listen": evse.listen for key, evse in config.secc_evses},
    }
    return {key: listen for key, listen in named.items() if listen is not None}


def read_agreements(config: Config) -> tuple[Coordinator, str] | None:
    """Return the sites of the agreement file and the name of this one, None without a file; ConfigError where it is
    wrong."""
    section = config.blue_switch
    if section.file is None:
        return None
    try:
        coordinator = load_agreements(section.file, section.leads)
    except BlueSwitchError as error:
        raise ConfigError(f"blue_switch.file: {error}") from error
    place = section.place or config.site.id
    if place not in coordinator.atlas.places:
        raise ConfigError(f"blue_switch.place: {section.file} has no place called {place!r}")
    return coordinator, place


def _usable(key: str, load: Callable[[], object]) -> None:
    """Call a function that loads certificates; ConfigError where they cannot be used."""
    try:
        load()
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).lower().replace("_", " ")
        raise ConfigError(f"{key}: not a certificate and its key in PEM: {reason}") from None
    except OSError as error:
        raise ConfigError(f"{key}: {error.filename or 'a file'} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise ConfigError(f"{key}: {error}") from None


def _verify_tls(settings: CsmsSettings) -> None:
    certificate, key, authority, signing = settings.tls_cert, settings.tls_key, settings.tls_ca, settings.ca_key
    for name, file in (("tls_cert", certificate), ("tls_key", key), ("tls_ca", authority), ("ca_key", signing)):
        if file is not None:
            _verify_file(f"ocpp.{name}", file)
    if certificate is not None and key is not None:
        keys, profile = "ocpp.tls_cert, ocpp.tls_key and ocpp.tls_ca", settings.security_profile
        _usable(keys, lambda: server_context(certificate, key, authority, profile))
    if authority is not None and signing is not None:
        _usable("ocpp.ca_key", lambda: certificates.authority(authority, signing))


def _verify_file(key: str, file: Path) -> None:
    try:
        file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{key}: {file} cannot be read: {error.strerror or error}") from None


def _verify_address(key: str, listen: str) -> None:
    """Verify that an address is one of this machine; whether the port is free is known when the gateway starts."""
    host, _ = host_and_port(listen)
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
        with socket.socket(family, kind, protocol) as probe:
            probe.bind(address)
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"{key}: {host} is not an address of this machine: {reason}") from None


def _verify_evses(config: Config) -> None:
    """Verify boards, interfaces and certificates of the EVSEs that the gateway hosts."""
    settings = hosted_settings(config)
    if not settings:
        return
    from gateway.drivers.board import registry  # on demand, as in `hosted_settings`
    from gateway.drivers.secc import endpoint
    from gateway.drivers.secc.settings import services_of
    from protocols.errors import LocalProtocolError
    from protocols.iso15118.io import link_local_address

    for (key, _), one in zip(config.secc_evses, settings, strict=True):
        try:
            board = registry.build(one.board, one.board_settings, SystemClock())
        except registry.BoardError as error:
            raise ConfigError(f"{key}.board: {error}") from None
        ac = board.power is None
        if set(one.services or ()) - set(services_of(one, ac=ac)):
            kind, usable = ("no power stage", "ac and ac_bpt") if ac else ("a power stage", "dc and dc_bpt")
            raise ConfigError(f"{key}.services: the board {one.board} has {kind}: its services are {usable}")
        try:
            endpoint.tls_context(one)
        except LocalProtocolError as error:
            raise ConfigError(f"{key}.pki: {error}") from None
        try:
            if one.interface is not None:
                link_local_address(one.interface)
        except OSError as error:
            raise ConfigError(f"{key}.interface: {one.interface}: {error.strerror or error}") from None


def _verify_chademo(config: Config) -> None:
    """Verify boards and CAN interfaces of the CHAdeMO EVSEs that the gateway hosts."""
    settings = chademo_settings(config)
    if not settings:
        return
    from gateway.drivers.board import registry  # on demand, as in `hosted_settings`

    for (key, _), one in zip(config.chademo_evses, settings, strict=True):
        try:
            board = registry.build(one.board, one.board_settings, SystemClock())
        except registry.BoardError as error:
            raise ConfigError(f"{key}.board: {error}") from None
        if board.lines is None:
            raise ConfigError(f"{key}.board: board {one.board} has no lines of a CHAdeMO plug (d1, d2, k)")
        if importlib.util.find_spec("can") is None:
            raise ConfigError(f"{key}.can: {CAN}")
        if ":" not in one.can and not Path("/sys/class/net", one.can).exists():
            raise ConfigError(f"{key}.can: this machine has no interface {one.can}")


def _verify_token(config: Config) -> None:
    if config.admin.token_file is not None:
        admin_token.read(config)
    elif config.admin.listen is not None and config.admin.token and admin_token.path(config).exists():
        read_secret(admin_token.path(config), admin_token.KEY)


def _verify_page(section: WebSection) -> None:
    web_tokens(section)
    certificate, key = section.cert, section.key
    if certificate is not None and key is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        _usable("web.cert and web.key", lambda: context.load_cert_chain(certificate, key))


def _verify_modbus(config: Config) -> None:
    devices = modbus_devices(config)
    if devices and importlib.util.find_spec("pymodbus") is None:
        raise ConfigError(f"{devices[0].key}: {MODBUS}")


def _verify_cluster(config: Config) -> None:
    if not config.cluster.servers:
        return
    settings = cluster_settings(config)
    if importlib.util.find_spec("nats") is None:
        raise ConfigError(NATS)
    from gateway.cluster import secure_client  # on demand: not imported without a cluster

    _usable("cluster.ca, cluster.cert and cluster.key", lambda: secure_client.tls_context(settings))
    _usable("cluster.credentials_file", lambda: secure_client.user_options(settings.credentials_file))


def _verify_echonet(config: Config) -> None:
    for key, entry in echonet_entries(config):
        if isinstance(entry, EchonetEvseEntry):
            profile_of(key, entry, config)
        if entry.address == "discover" and not config.echonet.multicast:
            raise ConfigError(f"{key}.address: is needed with echonet.multicast = false: nothing is discovered")
    if config.echonet.interface is not None:
        try:
            socket.if_nametoindex(config.echonet.interface)
        except OSError as error:
            raise ConfigError(f"echonet.interface: {config.echonet.interface}: {error.strerror or error}") from None


def _verify_store(config: Config) -> None:
    url = config.store.url
    if url.startswith("postgresql:") and importlib.util.find_spec("asyncpg") is None:
        raise ConfigError(POSTGRES)
    if url.startswith("postgresql:"):
        _verify_postgres(url)
    if not url.startswith("sqlite:///"):
        return
    path = Path(url.removeprefix("sqlite:///"))
    if not path.parent.is_dir():
        raise ConfigError(f"store.url: the folder {path.parent} does not exist; make it first")
    if path.is_dir():
        raise ConfigError(f"store.url: {path} is a folder; name a file in it")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ConfigError(f"store.url: {path} cannot be written by this user; change its owner or its mode")


def _verify_postgres(url: str) -> None:
    """Raise ConfigError for a parameter of the URL that the driver does not take, or whose file does not exist."""
    import asyncpg  # an extra

    known = {*database_url.TLS, *SQLALCHEMY, *inspect.signature(asyncpg.connect).parameters}
    for name, value in database_url.parameters(url).items():
        if name not in known:
            raise ConfigError(f"store.url: {name} is no parameter of the URL; TLS has sslmode and sslrootcert")
        if name in database_url.TLS_FILES and not Path(value).is_file():
            raise ConfigError(f"store.url: {name}: {value} does not exist")
