"""Link of a CAN bus in memory between a vehicle and its charger: what faults act on, as `Link` of a stream is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from emulators.runtime.memory_can import MemoryCan, MemoryCanPort
from emulators.runtime.transports import Link
from protocols.can import CanFrame
from protocols.chademo.frames import FROM_VEHICLE

_ID_BYTES = 4
ENDS = ["vehicle", "charger"]


@dataclass(slots=True)
class CanLink(Link[bytes]):
    """Both directions of a bus. A frame is its identifier and its data, so that a fault can damage either."""

    broken: bool = False

    @property
    def senders(self) -> list[str]:
        """Names of both ends."""
        return ENDS

    def cut(self) -> None:
        """Break the wires until the plug is pulled."""
        self.broken = True

    def deliveries(self, sender: str, frame: CanFrame) -> Iterable[tuple[float, CanFrame]]:
        """Return what arrives of a frame, each with its delay in s."""
        self.count[sender] = self.count.get(sender, 0) + 1
        if self.broken or sender in self.silent:
            return ()
        if self.tamper is None:
            return ((self.latency_s, frame),)
        data = frame.can_id.to_bytes(_ID_BYTES, "big") + frame.data
        found = self.tamper(sender, data)
        return [(self.latency_s + delay, _frame(part)) for delay, part in found if len(part) >= _ID_BYTES]


def _frame(data: bytes) -> CanFrame:
    can_id = int.from_bytes(data[:_ID_BYTES], "big") & 0x7FF
    return CanFrame(can_id, data[_ID_BYTES:])


class LinkedCan(MemoryCan):
    """CAN bus in memory between a vehicle and its charger, with the faults of a link. `observe` gets each frame."""

    def __init__(self, link: CanLink, observe: Callable[[CanFrame], None]) -> None:
        super().__init__()
        self.link, self._observe = link, observe

    def deliver(self, sender: MemoryCanPort, frame: CanFrame) -> None:
        """Distribute a frame as the link delivers it."""
        self._observe(frame)
        vehicle, charger = ENDS
        for delay, arriving in self.link.deliveries(vehicle if frame.can_id in FROM_VEHICLE else charger, frame):
            if delay > 0:
                asyncio.get_running_loop().call_later(delay, self.distribute, sender, arriving)
            else:
                self.distribute(sender, arriving)
