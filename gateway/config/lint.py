"""Notes on risks of a valid configuration. `check-config` prints them; nothing depends on them."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from gateway.config import Config, admin_token, host_and_port
from gateway.config.devices import modbus_devices
from gateway.config.echonet import echonet_entries
from gateway.config.settings import EchonetEvseEntry, EchonetStorageEntry, ModbusEvseEntry
from gateway.csms.settings import UnknownStations
from gateway.model.station import station_of
from protocols.iso15118.tls import TlsProfile, TlsVersion, certificate_set
from protocols.ocpp import vendor
from protocols.slac.io import check_capability

START_S = 2.0  # of the control of a site at another instance


def notes(config: Config) -> list[str]:
    """Return one sentence per risk, each beginning with the key that it is about; of one of several sites, with it."""
    found = list(_notes(config))
    if config.cluster.sites:
        for site in config.sites:
            found += [f"site {site.site.id}: {one}" for one in _notes(site) if one not in found]
        found += _shared_ids(config)
    return found


def _shared_ids(config: Config) -> Iterator[str]:
    ids = [station.id for site in config.sites for station in site.stations]
    counted, names = Counter(map(str.casefold, ids)), {one.casefold(): one for one in ids}
    several = [names[folded] for folded, number in counted.items() if number > 1]
    if several:
        more = f" and {len(several) - 3} more" if len(several) > 3 else ""
        listed = ", ".join(several[:3])
        yield f"cluster.sites: several sites list {listed}{more}; these connect to /ocpp/<site>/<station id> only"


def _notes(config: Config) -> Iterator[str]:
    yield from _station_notes(config)
    yield from _evse_notes(config)
    ocpp = config.ocpp
    if not _loopback(host_and_port(ocpp.listen)[0]):
        if ocpp.security_profile == 0:
            yield "ocpp.security_profile: 0 on a network; any client that reaches the port can connect as a station"
        if ocpp.unknown_stations is UnknownStations.ACCEPT:
            yield "ocpp.unknown_stations: accept on a network; stations that are not listed get power"
    if config.admin.listen is not None and not config.admin.token:
        yield "admin.token: off; every process on this machine can command vehicles through the admin API"
    for key, file in _secret_files(config):
        if file.is_file() and file.stat().st_mode & 0o077:
            yield f"{key}: {file} can be read by other users; chmod 600 it"
    if config.admin.raw_calls:
        yield "admin.raw_calls: on; raw calls bypass every limit of the control hierarchy"
    yield from _modbus_notes(config)
    yield from _echonet_notes(config)
    yield from _hems_notes(config)
    yield from _cluster_notes(config)
    url = urlsplit(config.mqtt.url)
    if url.scheme == "mqtt" and not _loopback(url.hostname or ""):
        yield "mqtt.url: commands cross the network unencrypted; use mqtts:// with a ca"


def _cluster_notes(config: Config) -> Iterator[str]:
    """Yield what a take-over by another instance interrupts, and who else commands vehicles."""
    cluster = config.cluster
    if not cluster.servers:
        return
    if config.commands.valid_for_s / 2 < cluster.lease_s + START_S:
        yield (
            f"cluster.lease_s: a take-over may last longer than half of commands.valid_for_s "
            f"({config.commands.valid_for_s:g} s); power falls to 0 W meanwhile"
        )
    if any(urlsplit(one).scheme == "nats" and not _loopback(urlsplit(one).hostname or "") for one in cluster.servers):
        yield "cluster.servers: messages to stations cross the network unencrypted; use tls:// with a ca"


def _modbus_notes(config: Config) -> Iterator[str]:
    """Yield what a wallbox does with its power when the gateway fails."""
    for one in modbus_devices(config):
        if isinstance(one.entry, ModbusEvseEntry) and one.product.watchdog is None:
            yield (
                f"{one.key}.product: {one.settings.product} has no silence time-out; if this gateway fails under "
                "power, the power continues"
            )


def _hems_notes(config: Config) -> Iterator[str]:
    device = config.echonet.device
    if device is None:
        return
    if not device.controllers:
        yield "echonet.device.controllers: empty; any node of the network can order vehicles to charge and discharge"
    known = {evse.id for evse in config.evses} | {station.id for station in config.stations}
    for evse in device.evses:
        if station_of(evse) not in known:
            yield f"echonet.device.evses: {evse} is no configured EVSE; its object has no values until it connects"


def _echonet_notes(config: Config) -> Iterator[str]:
    for key, entry in echonet_entries(config):
        if isinstance(entry, EchonetEvseEntry):
            yield (
                f"{key}.driver: a box over ECHONET Lite has no time-out of orders; if this gateway fails under power, "
                "the power continues"
            )
        elif isinstance(entry, EchonetStorageEntry) and config.energy.storage.controlled:
            yield (
                f"{key}.driver: a storage over ECHONET Lite has no time-out of orders; if this gateway fails under "
                "power, the power continues"
            )


def _station_notes(config: Config) -> Iterator[str]:
    for number, entry in enumerate(config.stations):
        if entry.vendor_profile is None:
            continue
        if not vendor.find(entry.vendor_profile, config.ocpp.vendor_profiles).setpoint.watchdog:
            yield (
                f"stations.{number}.vendor_profile: {entry.id} does not fall back to 0 W by itself "
                f"({entry.vendor_profile} has no watchdog); if this gateway fails under power, the power continues"
            )


def _evse_notes(config: Config) -> Iterator[str]:
    for key, vehicle in config.chademo_evses:
        if vehicle.can.startswith("udp:"):
            yield f"{key}.can: {vehicle.can} is for tests; any process of this network can state limits of a vehicle"
    for key, evse in config.secc_evses:
        if evse.slac and (missing := _no_frames()):
            yield f"{key}.slac: {missing}; this user may lack what the gateway's own user has (v2x doctor as that user)"
        local = evse.listen is not None and _loopback(host_and_port(evse.listen)[0])
        if evse.tls == "none" and "iso20" in evse.protocols and not local:
            yield (
                f"{key}.tls: none; vehicles at {evse.id} are served without TLS, which ISO 15118-20 permits "
                "for tests only"
            )


def _no_frames() -> str:
    """Return why this process cannot send the frames of SLAC, or nothing."""
    try:
        check_capability()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _secret_files(config: Config) -> Iterator[tuple[str, Path]]:
    """Return each file with a secret or with the journal, and the key that names it."""
    named = {
        "admin.token_file": admin_token.path(config) if config.admin.listen and config.admin.token else None,
        "mqtt.password_file": config.mqtt.password_file,
        "mqtt.key": config.mqtt.key,
        "cluster.credentials_file": config.cluster.credentials_file,
        "cluster.key": config.cluster.key,
        "ocpp.tls_key": config.ocpp.tls_key,
        "ocpp.ca_key": config.ocpp.ca_key,
        "web.key": config.web.key,
        "web.operator_token_file": config.web.operator_token_file,
        "web.viewer_token_file": config.web.viewer_token_file,
        **{f"stations.{number}.password_file": one.password_file for number, one in enumerate(config.stations)},
    }
    for key, evse in config.secc_evses:
        if evse.pki is not None:
            home = certificate_set(evse.pki, TlsVersion(evse.tls), TlsProfile(evse.tls_profile))
            named[f"{key}.pki"] = home / "secc.key"
    if config.store.url.startswith("sqlite:///"):
        named["store.url"] = Path(config.store.url.removeprefix("sqlite:///"))
    yield from ((key, file) for key, file in named.items() if file is not None)


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
