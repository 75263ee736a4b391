"""Devices over ECHONET Lite that the configuration names, the network that they share, and the gateway as a device.

The driver is imported where a device is configured: a gateway without one starts sooner.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from gateway.config.settings import (
    Config,
    ConfigError,
    EchonetEvseEntry,
    EchonetLink,
    EchonetMeterEntry,
    EchonetSection,
    EchonetStorageEntry,
    MeterPlace,
    StoragePlace,
)
from gateway.drivers.site_inputs import SiteInputs
from gateway.model.event import Report
from gateway.model.reason import Reason
from gateway.model.site import InputKind
from gateway.service import GatewayService
from protocols.ports import Clock

if TYPE_CHECKING:
    from gateway.drivers.echonet.evse import EchonetEvse
    from gateway.drivers.echonet.finding import ObjectLink
    from gateway.drivers.echonet.network import EchonetNetwork, OpenNode
    from gateway.drivers.echonet.profile import BoxProfile
    from gateway.drivers.echonet.site import EchonetSiteObjects
    from gateway.hems.device import HemsDevice
    from protocols.echonet.io import UdpSettings


def echonet_entries(config: Config) -> Iterator[tuple[str, EchonetLink]]:
    """Yield all entries with the driver, each with its place such as `evses.0`."""
    for section in ("evses", "meters", "storages", "pvs"):
        for number, entry in enumerate(getattr(config, section)):
            if isinstance(entry, EchonetLink):
                yield f"{section}.{number}", entry


def echonet_network(config: Config, open_node: OpenNode | None, clock: Clock) -> EchonetNetwork | None:
    """Return the network, None where neither a device is configured nor the gateway as one.

    `open_node`: instead of sockets.
    """
    section, device = config.echonet, config.echonet.device
    controls = any(True for _ in echonet_entries(config))
    if not controls and device is None:
        return None
    from gateway.drivers.echonet.network import EchonetNetwork
    from protocols.echonet.engine import Node, NodeSettings
    from protocols.echonet.io import UdpNode

    settings = NodeSettings(
        discover_every_s=section.discover_s if controls else None,
        finds=controls,
        requests_per_s=None if device is None else device.requests_per_s,
        controllers=frozenset() if device is None else frozenset(device.controllers),
    )
    node, udp = Node(settings=settings, node_id=_node_id(config)), udp_settings(section)
    return EchonetNetwork(node, open_node or (lambda node, clock, report: UdpNode(node, udp, clock, report)), clock)


def _node_id(config: Config) -> bytes:
    return hashlib.sha256(f"{config.site.id} {config.mqtt.gateway_id}".encode()).digest()[:13]


def hems_device(
    config: Config, service: GatewayService, clock: Clock, network: EchonetNetwork | None
) -> HemsDevice | None:
    """Return the gateway as a device at the node of the network, None where it is none."""
    device = config.echonet.device
    if device is None or network is None:
        return None
    from gateway.hems.device import HemsDevice
    from gateway.hems.settings import HemsSettings

    settings = HemsSettings(
        tuple(device.evses), tuple(device.site), device.lease_s, device.priority, device.plug, _node_id(config)
    )
    hems = HemsDevice(service, settings, clock, network.node)
    network.listeners.append(hems.report)
    return hems


def udp_settings(section: EchonetSection) -> UdpSettings:
    """Return where the node is on the network."""
    from protocols.echonet.io import UdpSettings

    return UdpSettings(section.address, section.interface or "", section.port, section.multicast)


def link_of(entry: EchonetLink) -> ObjectLink:
    """Return what identifies the object of an entry."""
    from gateway.drivers.echonet.finding import ObjectLink
    from protocols.echonet import classes
    from protocols.echonet.frames import Eoj

    if isinstance(entry, EchonetEvseEntry):
        wanted = [classes.EV_CHARGER_DISCHARGER]
    elif isinstance(entry, EchonetMeterEntry):
        wanted = [classes.DISTRIBUTION_BOARD, classes.SMART_METER, classes.MULTIPLE_INPUT_PCS]
    else:
        wanted = [classes.STORAGE_BATTERY if isinstance(entry, EchonetStorageEntry) else classes.SOLAR]
    eoj = None if entry.eoj is None else Eoj.unpack(bytes.fromhex(entry.eoj))
    return ObjectLink(wanted, entry.address, eoj, entry.node_id or "", entry.maker or "")


def profile_of(key: str, entry: EchonetEvseEntry, config: Config) -> BoxProfile:
    """Return the profile of a box; ConfigError where it cannot be used."""
    from gateway.drivers.echonet.profile import BadProfile, load

    try:
        return load(entry.profile, config.folder)
    except BadProfile as error:
        raise ConfigError(f"{key}.profile: {error}") from None


def echonet_evses(
    config: Config,
    network: EchonetNetwork | None,
    report: Report,
    clock: Clock,
    grid_reported: Callable[[], bool],
    send: Callable[[str, bytes], Reason | None],
) -> list[EchonetEvse]:
    """Return the V2H boxes. `grid_reported`: whether an input states the grid; `send` takes inputs of the site."""
    found = []
    for key, entry in echonet_entries(config):
        if isinstance(entry, EchonetEvseEntry) and network is not None:
            from gateway.drivers.echonet.evse import EchonetEvse
            from gateway.drivers.echonet.outage import OutageRole
            from gateway.drivers.echonet.session import BoxSession

            profile = profile_of(key, entry, config)
            session = BoxSession(entry.id, profile.title, entry.max_charge_w, entry.max_discharge_w)
            outage = OutageRole(grid_reported, entry.grid_evidence)
            if entry.main_switch:
                outage.report_switch = _switch(send, clock)
            found.append(EchonetEvse(session, link_of(entry), profile, network, report, clock, outage))
    return found


def site_objects(
    config: Config,
    network: EchonetNetwork | None,
    inputs: SiteInputs,
    clock: Clock,
    independent: Callable[[], bool],
    storage_w: Callable[[], float | None],
) -> EchonetSiteObjects | None:
    """Return storage batteries, PV and meters, None without any. `independent`: a V2H box supplies the site alone;
    `storage_w`: the set-point of all storages together, None leaves them to themselves.
    """
    entries = [(key, entry) for key, entry in echonet_entries(config) if not isinstance(entry, EchonetEvseEntry)]
    if not entries or network is None:
        return None
    from gateway.drivers.echonet.site import EchonetSiteObjects
    from gateway.drivers.echonet.site_object import SiteObject
    from protocols.echonet.classes import SMART_METER

    found = []
    for key, entry in entries:
        turned = isinstance(entry, MeterPlace | StoragePlace) and entry.reversed
        link = link_of(entry)
        outside = link.eoj is not None and link.eoj.class_code == SMART_METER  # on the grid's side of every switch
        found.append(SiteObject(key, _input_of(entry), link, -1 if turned else 1, behind_box=not outside))
    ordered_w = storage_w if config.energy.storage.controlled else None
    return EchonetSiteObjects(found, network, inputs, clock, independent, ordered_w)


def _input_of(entry: EchonetLink) -> InputKind:
    if isinstance(entry, EchonetMeterEntry):
        return InputKind(entry.input)
    return InputKind.STORAGE if isinstance(entry, EchonetStorageEntry) else InputKind.PV


def _switch(send: Callable[[str, bytes], Reason | None], clock: Clock) -> Callable[[bool], None]:
    """Return what publishes the position of the main switch."""

    def report(is_open: bool) -> None:
        send(InputKind.SWITCH, json.dumps({"ts": clock.wall(), "open": is_open}).encode())

    return report
