"""Heartbeat of the controller: a counter in the device, by which it recognises that its controller is active. Pure.

It is counted each second from the first order of a connection on, and not while a power is overdue: a device that does
not take 0 W then ends it by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.drivers.modbus.orders import write
from gateway.drivers.modbus.poller import NOT_THERE
from protocols.modbus.messages import Answer, Refused, Write
from protocols.modbus.register import Meaning, Register
from protocols.modbus.register_map import RegisterMap

PERIOD_S = 1.0
MODULUS = 0xFFFF  # the counter begins anew before the value of a register that is not implemented


@dataclass(slots=True)
class Heartbeat:
    """Heartbeat counters of one device. `begin` is called on each connection."""

    count: int = 0
    _product: RegisterMap | None = None
    _registers: list[Register] = field(default_factory=list)  # those that the device takes
    _due: list[Register] = field(default_factory=list)
    _at: float | None = None  # of the next count, None before the first order

    def begin(self, product: RegisterMap) -> None:
        """Begin a connection; nothing is counted before its first order."""
        self._product, self._at = product, None
        self._registers = [one for one in product.registers if one.meaning is Meaning.HEARTBEAT and one.writable]
        self._due.clear()

    def start(self, now: float) -> None:
        """Count from now on."""
        if self._at is None:
            self._at = now

    def next(self, now: float) -> Write | None:
        """Return the write that is due."""
        if self._at is None or self._product is None or not self._registers:
            return None
        if not self._due and now >= self._at:
            self.count = (self.count + 1) % MODULUS
            self._at, self._due = now + PERIOD_S, list(self._registers)
        return write(self._product, self._due[0], float(self.count), _no_scale) if self._due else None

    def deadline(self) -> float | None:
        """Return when `next` has a write."""
        return 0.0 if self._due else self._at if self._registers else None

    def written(self, answer: Answer) -> None:
        """Apply the answer to the write that was due; one that the device does not have is left out from then on."""
        register = self._due.pop(0)
        if isinstance(answer, Refused) and answer.code in NOT_THERE:
            self._registers.remove(register)


def _no_scale(_: Register) -> int:
    return 0
