"""Nodes on a network in memory with loss, duplication and delay, and a charger and discharger with plain values."""

from __future__ import annotations

import heapq
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from protocols.echonet.classes import EV_CHARGER_DISCHARGER, object_class
from protocols.echonet.engine import Node
from protocols.echonet.events import Event, Order
from protocols.echonet.frames import Eoj
from protocols.echonet.objects import LocalObject, version
from protocols.echonet.values import Value

V2H = Eoj(0x02, 0x7E)
BOX, HEMS, OTHER = "192.0.2.10", "192.0.2.20", "192.0.2.30"
VALUES: dict[int, Value] = {
    0x80: True, 0x81: b"\x08", 0x82: version("Q"), 0x88: False, 0x8A: b"\0\0\x77", 0x8C: b"BOX-1".ljust(12, b"\0"),
    0xC5: 6000, 0xC6: 6000, 0xC7: "chargeableDischargeable", 0xCD: "confirmation", 0xD3: 0, 0xDA: "standby",
    0xDB: "reversePowerFlowNotAcceptable", 0xDC: "maximumChargingElectricPower", 0xDD: "loadFollowing", 0xE1: "standby",
    0xE4: 80, 0xEB: 3000, 0xEC: 3000,
}  # fmt: skip


class Values:
    """A plant of values that can be set. `refused` are refused."""

    def __init__(self, values: Mapping[int, Value], refused: frozenset[int] = frozenset()) -> None:
        self.values = dict(values)
        self.refused = refused

    def read(self, epc: int, now: float) -> Value | None:
        return self.values.get(epc)

    def write(self, epc: int, value: Value, now: float) -> bool:
        if epc in self.refused:
            return False
        self.values[epc] = value
        return True


def v2h(plant: Values, eoj: Eoj = V2H, release: str = "Q") -> LocalObject:
    """Return an object with every value of the plant."""
    return LocalObject(eoj, plant, plant.values, release=release)


def rule(name: str) -> Any:
    return object_class(EV_CHARGER_DISCHARGER).named(name)


@dataclass
class Network:
    """Nodes by their addresses. `events` are those of all nodes, with the time and the address."""

    nodes: dict[str, Node]
    seed: int = 0
    loss: float = 0.0
    duplication: float = 0.0
    delay_s: float = 0.01
    now: float = 0.0
    events: list[tuple[float, str, Event]] = field(default_factory=list)
    sent: list[tuple[float, str, str | None, bytes]] = field(default_factory=list)
    _flying: list[tuple[float, int, str, str, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def order(self, node: str, *orders: Order) -> None:
        for one in orders:
            self.record(node, self.nodes[node].command(one, self.now))
        self._collect()

    def inject(self, data: bytes, sender: str, receiver: str) -> list[Event]:
        events = self.nodes[receiver].receive(data, sender, self.now)
        self.record(receiver, events)
        self._collect()
        return events

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while True:
            deadlines = [when for one in self.nodes.values() if (when := one.deadline()) is not None]
            times = [*deadlines, *(one[0] for one in self._flying[:1])]
            following = min(times, default=end + 1)
            if following > end:
                self.now = end
                return
            self.now = max(self.now, following)
            for address, node in self.nodes.items():
                self.record(address, node.expire(self.now))
            while self._flying and self._flying[0][0] <= self.now:
                _, _, sender, receiver, data = heapq.heappop(self._flying)
                self.record(receiver, self.nodes[receiver].receive(data, sender, self.now))
            self._collect()

    def of(self, address: str, kind: type[Any]) -> list[Any]:
        """Return the events of a node of one type."""
        return [event for _, node, event in self.events if node == address and isinstance(event, kind)]

    def record(self, address: str, events: list[Event]) -> None:
        self.events += [(self.now, address, event) for event in events]

    def _collect(self) -> None:
        for address, node in self.nodes.items():
            for one in node.data_to_send():
                self.sent.append((self.now, address, one.destination, one.data))
                for receiver in self.nodes if one.destination is None else [one.destination]:
                    if receiver != address and receiver in self.nodes:
                        self._fly(address, receiver, one.data)

    def _fly(self, sender: str, receiver: str, data: bytes) -> None:
        if self._random.random() < self.loss:
            return
        for _ in range(2 if self._random.random() < self.duplication else 1):
            arrival = self.now + self.delay_s * self._random.uniform(0.5, 1.5)
            heapq.heappush(self._flying, (arrival, len(self.sent), sender, receiver, data))
