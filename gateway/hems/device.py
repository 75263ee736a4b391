"""The gateway as a node of ECHONET Lite: its objects, and the orders of HEMS that become commands.

A node has no user and no password: any node of the network may order unless the settings of the engine list those that
may.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

from gateway.hems.evse_orders import SETTABLE, EvseOrders
from gateway.hems.objects import evse_object, site_object
from gateway.hems.settings import HemsSettings
from gateway.hems.snapshot import Snapshots
from gateway.model.foreign_text import line
from gateway.service import GatewayService
from protocols.echonet.classes import object_class
from protocols.echonet.engine import Node
from protocols.echonet.events import Event, PropertyWritten, WriteRefused
from protocols.echonet.frames import Eoj
from protocols.ports import Clock

log = logging.getLogger("v2x.hems")


class HemsDevice:
    """Objects of the EVSEs and of the site at the node of the gateway, which `report` gets the events of."""

    def __init__(self, service: GatewayService, settings: HemsSettings, clock: Clock, node: Node) -> None:
        self.node = node
        self.orders: dict[str, EvseOrders] = {}
        self._evse_of: dict[Eoj, str] = {}
        objects = []
        for instance, evse in enumerate(settings.evses, 1):
            snapshots = Snapshots(service, evse)
            orders = EvseOrders(evse, service, snapshots, settings, clock, node.last_request)
            self.orders[evse] = orders
            one = evse_object(evse, instance, orders, snapshots, settings.plug, settings.node_id)
            self._evse_of[one.eoj] = evse
            objects.append(one)
        objects += [site_object(kind, service, settings.node_id) for kind in settings.site_objects]
        node.add(objects)

    def report(self, event: Event) -> None:
        """Process an event of the node."""
        match event:
            case PropertyWritten() if (evse := self._evse_of.get(event.eoj)) is not None:
                if event.epc in SETTABLE:
                    self.orders[evse].ordered_by(event.node)
                name = _name(event.eoj, event.epc)
                log.info("%s: HEMS %s sets %s to %s", evse, line(event.node), name, event.value)
            case WriteRefused() if (evse := self._evse_of.get(event.eoj)) is not None:
                name, why = _name(event.eoj, event.epc), self._why_refused(event, evse)
                log.warning("%s: %s of HEMS %s refused: %s", evse, name, line(event.node), why)

    def refused(self) -> Counter[str]:
        """Return the number of refused orders by reason code."""
        return sum((one.refused for one in self.orders.values()), Counter[str]())

    async def run(self) -> None:
        """Submit the orders of all EVSEs until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for evse, orders in self.orders.items():
                tasks.create_task(orders.run(), name=f"hems {evse}")

    def _why_refused(self, event: WriteRefused, evse: str) -> str:
        if not self.node.may_order(event.node):
            return "the node is none of echonet.device.controllers"
        return self.orders[evse].take_refusal(event.epc) or "its value is not permitted"


def _name(eoj: Eoj, epc: int) -> str:
    rule = object_class(eoj.class_code).properties().get(epc)
    return f"{epc:02X}" if rule is None else rule.name
