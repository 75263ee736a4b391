"""What is allowed in a configuration, and worth a thought: `check-config` says it, nothing depends on it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from urllib.parse import urlsplit

from gateway.config import Config, host_and_port
from protocols.ocpp import vendor


def remarks(config: Config) -> list[str]:
    """A sentence each, beginning with the key it is about. The configuration is one that can be used."""
    return [*_stations(config), *_doors(config), *_broker(config)]


def _stations(config: Config) -> Iterator[str]:
    for number, entry in enumerate(config.stations):
        if entry.vendor_profile is None:
            continue
        if not vendor.find(entry.vendor_profile, config.ocpp.vendor_profiles).setpoint.watchdog:
            yield (
                f"stations.{number}.vendor_profile: {entry.id} cannot let go of a set-point by itself "
                f"({entry.vendor_profile} has no dead-man); if this gateway dies under power, the power stays"
            )


def _doors(config: Config) -> Iterator[str]:
    ocpp = config.ocpp
    if not _loopback(host_and_port(ocpp.listen)[0]):
        if ocpp.security_profile == 0:
            yield "ocpp.security_profile: 0 on a network; whoever reaches the port can say that it is a station"
        if ocpp.unknown_stations == "accept":
            yield "ocpp.unknown_stations: accept on a network; stations that nobody listed get power"
    if config.admin.raw_calls:
        yield "admin.raw_calls: on; raw calls go past every limit of the order of authority"


def _broker(config: Config) -> Iterator[str]:
    url = urlsplit(config.mqtt.url)
    if url.scheme == "mqtt" and not _loopback(url.hostname or ""):
        yield "mqtt.url: commands to discharge cars cross the network in clear; mqtts:// with a ca protects them"


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
