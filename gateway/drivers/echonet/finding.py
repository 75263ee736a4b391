"""Search of the object that a configuration names: by the address of its node, or among all that are discovered."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass

from gateway.drivers.echonet.network import EchonetNetwork
from protocols.echonet.events import Discover, ObjectDescribed, Request, RequestAnswered
from protocols.echonet.frames import NODE_PROFILE, Eoj, Esv, Property
from protocols.echonet.objects import INSTANCE_LIST

log = logging.getLogger("v2x.drivers")

ID, MAKER = 0x83, 0x8A
FOUND_S = 1.0  # for the answer to the discovery
AGAIN_S = 5.0  # for objects of a node to be described
MOVED_S = 30.0  # of silence, until an object that is discovered is searched at another address
DISCOVER = "discover"


@dataclass(frozen=True, slots=True)
class ObjectLink:
    """Identity of an object. `address` is that of its node, or DISCOVER; "" and None permit any."""

    classes: Collection[int]
    address: str = DISCOVER
    eoj: Eoj | None = None
    node_id: str = ""  # hexadecimal
    maker: str = ""

    def fits(self, eoj: Eoj) -> bool:
        """Return whether an object is of the class, and the one named."""
        return eoj.class_code in self.classes and self.eoj in (None, eoj)

    @property
    def wanted(self) -> str:
        """Object that is searched for, as text for messages."""
        eoj = str(self.eoj) if self.eoj is not None else " or ".join(f"0x{one:04X}" for one in self.classes)
        named = [f"node id {self.node_id}"] * bool(self.node_id) + [f"maker {self.maker}"] * bool(self.maker)
        place = "any node" if self.address == DISCOVER else self.address
        return f"object {eoj} at {place}" + (f" with {' and '.join(named)}" if named else "")


class NotFound(Exception):
    """No object, or more than one, is what is configured; the text is for people."""


async def find(network: EchonetNetwork, link: ObjectLink) -> ObjectDescribed:
    """Return the object. Raises NotFound after one search."""
    if link.address != DISCOVER and link.address not in network.instances:
        await network.wait(FOUND_S)
    if link.address != DISCOVER and link.address not in network.instances:
        known = Request(link.address, NODE_PROFILE, Esv.GET, (Property(INSTANCE_LIST),))
        answered = await network.ask(known)
        if not isinstance(answered, RequestAnswered):
            raise NotFound(f"{link.address} does not answer: {answered.reason}")
    while _undescribed(network, link) and await network.wait(AGAIN_S):
        pass
    found = [one for one in _candidates(network, link) if await _identified(network, link, one)]
    nodes = sorted({one.node for one in found})
    if len(nodes) > 1:
        raise NotFound(f"{link.wanted}: {', '.join(nodes)} have one; set address, node_id or eoj")
    if not found:
        raise NotFound(f"{link.wanted}: not found{_instead(network, link)}")
    return min(found, key=lambda one: one.eoj.pack())


async def find_again(
    network: EchonetNetwork, link: ObjectLink, name: str, before: ObjectDescribed | None
) -> ObjectDescribed:
    """Return the object; one that was found before is searched once, and then used as before."""
    reported = ""
    while True:
        if before is not None:
            network.command(Discover())
            await network.wait(AGAIN_S)
        try:
            return await find(network, link)
        except NotFound as error:
            if before is not None:
                return before
            if str(error) != reported:
                reported = str(error)
                log.warning("%s: %s", name, error)
        if link.address == DISCOVER:
            network.command(Discover())
        await network.wait(MOVED_S)


def _undescribed(network: EchonetNetwork, link: ObjectLink) -> bool:
    """Return whether an object that may be the one has not stated its properties yet."""
    here = [(node, eojs) for node, eojs in network.instances.items() if link.address in (DISCOVER, node)]
    return any(link.fits(eoj) and (node, eoj) not in network.objects for node, eojs in here for eoj in eojs)


def _candidates(network: EchonetNetwork, link: ObjectLink) -> list[ObjectDescribed]:
    here = [one for (node, _), one in network.objects.items() if link.address in (DISCOVER, node)]
    return [one for one in here if link.fits(one.eoj)]


def _instead(network: EchonetNetwork, link: ObjectLink) -> str:
    listed = {
        node: " ".join(map(str, instances))
        for node, instances in network.instances.items()
        if link.address in (DISCOVER, node)
    }
    return "; " + ", ".join(f"{node} has {eojs}" for node, eojs in listed.items()) if listed else ""


async def _identified(network: EchonetNetwork, link: ObjectLink, found: ObjectDescribed) -> bool:
    """Return whether the node, or the object itself, states the id and the maker that are configured."""
    wanted = {epc: value.lower() for epc, value in ((ID, link.node_id), (MAKER, link.maker)) if value}
    for eoj in (NODE_PROFILE, found.eoj):
        if not wanted:
            break
        stated = await network.ask(Request(found.node, eoj, Esv.GET, tuple(Property(epc) for epc in wanted)))
        if isinstance(stated, RequestAnswered) and stated.answer is not None:
            for one in stated.answer.properties:
                if wanted.get(one.epc) == one.data.hex():
                    del wanted[one.epc]
    return not wanted
