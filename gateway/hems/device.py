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
from protocols.echonet.classes import object_class
from protocols.echonet.engine import Node, NodeSettings, controller_object
from protocols.echonet.events import Announce, DatagramIgnored, Event, PropertyWritten, WriteRefused
from protocols.echonet.frames import Eoj
from protocols.echonet.io import UdpNode
from protocols.ports import Clock

log = logging.getLogger("v2x.hems")

RETRY_S = 5.0  # until the network has the address


class HemsDevice:
    """Objects of the EVSEs and of the site at one node. `node` may be that of drivers too, which then run it."""

    def __init__(
        self, service: GatewayService, settings: HemsSettings, clock: Clock, *, controls: bool = False
    ) -> None:
        """`controls`: the node also orders other devices, as controller object 05FF01."""
        self._settings, self._clock = settings, clock
        self.orders: dict[str, EvseOrders] = {}
        objects = [controller_object()] if controls else []
        self._evse_of: dict[Eoj, str] = {}
        for instance, evse in enumerate(settings.evses, 1):
            snapshots = Snapshots(service, evse)
            orders = EvseOrders(evse, service, snapshots, settings, clock, self._last_request)
            self.orders[evse] = orders
            one = evse_object(instance, orders, snapshots, settings.plug, settings.node_id)
            self._evse_of[one.eoj] = evse
            objects.append(one)
        objects += [site_object(kind, service, settings.node_id) for kind in settings.site_objects]
        limits = NodeSettings(finds=controls, requests_per_s=settings.requests_per_s, controllers=settings.controllers)
        self.node = Node(objects, limits, node_id=settings.node_id)

    def _last_request(self, sender: str) -> float | None:
        return self.node.last_request(sender)

    def report(self, events: Sequence[Event]) -> None:
        """Process events of the node."""
        for one in events:
            match one:
                case PropertyWritten() if (evse := self._evse_of.get(one.eoj)) is not None:
                    self.orders[evse].ordered_by(one.node)
                    log.info("%s: HEMS %s sets %s to %s", evse, line(one.node), _name(one.eoj, one.epc), one.value)
                case WriteRefused() if (evse := self._evse_of.get(one.eoj)) is not None:
                    why = self._why_refused(one, evse)
                    log.warning("%s: %s of HEMS %s refused: %s", evse, _name(one.eoj, one.epc), line(one.node), why)
                case DatagramIgnored():
                    log.warning("datagram of %s without effect: %s", line(one.node), one.reason)

    def _why_refused(self, event: WriteRefused, evse: str) -> str:
        if not self.node.may_order(event.node):
            return "the node is none of echonet.device.controllers"
        return self.orders[evse].take_refusal(event.epc) or "its value is not permitted"

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


def _name(eoj: Eoj, epc: int) -> str:
    rule = object_class(eoj.class_code).properties().get(epc)
    return f"{epc:02X}" if rule is None else rule.name
