"""The gateway as a node of ECHONET Lite: its objects on UDP, and the orders of HEMS that become commands.

A node has no user and no password: any node of the network may order unless `controllers` lists those that may.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from gateway.hems.evse_orders import EvseOrders
from gateway.hems.objects import evse_object, site_object
from gateway.hems.settings import HemsSettings
from gateway.hems.snapshot import Snapshots
from gateway.model.foreign_text import line
from gateway.service import GatewayService
from protocols.echonet.engine import Node, NodeSettings
from protocols.echonet.events import Announce, DatagramIgnored, Event, PropertyWritten, WriteRefused
from protocols.echonet.io import UdpNode
from protocols.ports import Clock

log = logging.getLogger("v2x.hems")

RETRY_S = 5.0  # until the network has the address


class HemsDevice:
    """Objects of the EVSEs and of the site at one node."""

    def __init__(self, service: GatewayService, settings: HemsSettings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self.orders: dict[str, EvseOrders] = {}
        objects = []
        for instance, evse in enumerate(settings.evses, 1):
            snapshots = Snapshots(service, evse)
            orders = EvseOrders(evse, service, snapshots, settings, clock, self._last_request)
            self.orders[evse] = orders
            objects.append(evse_object(instance, orders, snapshots, settings.plug, settings.node_id))
        objects += [site_object(kind, service, settings.node_id) for kind in settings.site_objects]
        self._evse_of = dict(zip((one.eoj for one in objects), settings.evses, strict=False))
        limits = NodeSettings(requests_per_s=settings.requests_per_s, controllers=settings.controllers)
        self.node = Node(objects, limits, node_id=settings.node_id)

    def _last_request(self, sender: str) -> float | None:
        return self.node.last_request(sender)

    def report(self, events: Sequence[Event]) -> None:
        """Process events of the node."""
        for one in events:
            match one:
                case PropertyWritten() if one.eoj in self._evse_of:
                    self.orders[self._evse_of[one.eoj]].ordered_by(one.node)
                    log.info("HEMS %s sets %s of %s to %s", line(one.node), f"{one.epc:02X}", one.eoj, one.value)
                case WriteRefused():
                    log.warning("HEMS %s: property %s of %s is not set", line(one.node), f"{one.epc:02X}", one.eoj)
                case DatagramIgnored():
                    log.warning("datagram of %s without effect: %s", line(one.node), one.reason)

    async def run(self, *, network: bool = True) -> None:
        """Serve until cancelled, without `network` only orders. An address that does not exist yet is tried again."""
        async with asyncio.TaskGroup() as tasks:
            for evse, orders in self.orders.items():
                tasks.create_task(orders.run(), name=f"hems {evse}")
            while network:
                udp = UdpNode(self.node, self._settings.udp, self._clock, self.report)
                try:
                    udp.open()
                except OSError as error:
                    place = f"{self._settings.udp.address} port {self._settings.udp.port}"
                    log.warning("echonet: %s cannot be used: %s; next attempt in %.0f s", place, error, RETRY_S)
                    await self._clock.sleep(RETRY_S)
                    continue
                udp.command(Announce())
                await udp.run()
