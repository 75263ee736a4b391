"""Network of ECHONET Lite nodes in memory, for tests in virtual time, with faults of the network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from protocols.echonet.engine import Node
from protocols.echonet.events import Datagram, Event
from protocols.echonet.io import NodeRunner
from protocols.ports import Clock


@dataclass(frozen=True, slots=True)
class Flight:
    """A datagram on its way from one address to another."""

    at: float
    sender: str
    receiver: str
    data: bytes
    multicast: bool = False


Tamper = Callable[[Flight], Iterable[tuple[float, bytes]]]  # delays and contents with which it arrives


@dataclass
class MemoryLan:
    """A network: what a node sends reaches its destination, or all others.

    `tamper` drops, delays, repeats or changes datagrams. Nodes at an address in `cut` receive and send nothing.
    `trace` has every datagram that was sent.
    """

    clock: Clock
    delay_s: float = 0.002
    tamper: Tamper | None = None
    cut: set[str] = field(default_factory=set)
    trace: list[Flight] = field(default_factory=list)
    nodes: dict[str, MemoryNode] = field(default_factory=dict)

    def node(self, address: str, node: Node, report: Callable[[Sequence[Event]], None] = lambda _: None) -> MemoryNode:
        """Return a node at an address; it takes part from now on."""
        made = self.nodes[address] = MemoryNode(self, address, node, report)
        return made

    def deliver(self, sender: str, datagram: Datagram) -> None:
        """Send a datagram."""
        others = [address for address in self.nodes if address != sender]
        for receiver in others if datagram.destination is None else [datagram.destination]:
            flight = Flight(self.clock.now(), sender, receiver, datagram.data, datagram.destination is None)
            self.trace.append(flight)
            if not self.cut & {sender, receiver}:
                arrivals = [(self.delay_s, flight.data)] if self.tamper is None else self.tamper(flight)
                for delay_s, data in arrivals:
                    self.inject(data, sender, receiver, delay_s)

    def inject(self, data: bytes, sender: str, receiver: str, delay_s: float = 0.0) -> None:
        """Let a datagram arrive as if it came from an address."""

        def arrive() -> None:
            if (node := self.nodes.get(receiver)) is not None and receiver not in self.cut:
                node.received(data, sender)

        asyncio.get_running_loop().call_later(delay_s, arrive)


class MemoryNode(NodeRunner):
    """Runs the engine of a node in such a network."""

    def __init__(self, lan: MemoryLan, address: str, node: Node, report: Callable[[Sequence[Event]], None]) -> None:
        super().__init__(node, lan.clock, report)
        self.address = address
        self._lan = lan

    def transmit(self, datagram: Datagram) -> None:
        """Send a datagram."""
        self._lan.deliver(self.address, datagram)
