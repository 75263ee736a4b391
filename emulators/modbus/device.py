"""An emulated device: registers by a map, values from what is behind them (`Plant`), faults of the line on demand.

`answer` is pure in its time; `handle` waits like the product before it answers, and serves `protocols.modbus.io.serve`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from protocols.modbus.messages import Answer, ExceptionCode, NoAnswer, Read, Refused, Request, Table, Words, Write
from protocols.modbus.register import Register, RegisterType
from protocols.modbus.register_map import RegisterMap
from protocols.ports import Clock

Place = tuple[int, Table, int]  # unit, table, address


class Plant(Protocol):
    """Hardware behind the registers."""

    def value(self, register: Register, now: float) -> float | str | None:
        """Return the value of a register in its unit, None where the device states none."""

    def written(self, register: Register, value: float | str, now: float) -> None:
        """Apply a write."""

    def requested(self, now: float) -> None:
        """A request has arrived."""


@dataclass(slots=True)
class Faults:
    """Faults of device and line, each until it is taken back."""

    silent: bool = False  # answers nothing
    deaf: bool = False  # receives nothing
    refuses: int | None = None  # answers with this exception
    refuses_writes: int | None = None
    half: bool = False  # leaves out the last register of what is read
    delay_s: float = 0.0  # of answers
    late_s: float = 0.0  # of requests: what is written applies so late
    busy: int = 0  # so many requests are answered as busy


@dataclass(slots=True)
class EmulatedDevice:
    """One device. `fixed` are words of no register of the map, such as headers of SunSpec models."""

    product: RegisterMap
    plant: Plant
    clock: Clock
    fixed: Mapping[Place, int] = field(default_factory=dict)
    exponents: Mapping[str, int] = field(default_factory=dict)  # values of scale registers
    faults: Faults = field(default_factory=Faults)
    writes: list[tuple[float, Write]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)  # writes that the map forbids
    _stored: dict[str, float | str] = field(default_factory=dict)
    _at: dict[Place, Register] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for one in self.product.registers:
            for offset in range(one.count):
                place = self.product.unit_of(one), one.table, (one.address or 0) + offset
                self._at[place] = one

    async def handle(self, request: Request) -> Answer:
        """Answer a request as late as the product does."""
        if self.faults.deaf:
            return NoAnswer("deaf")
        if self.faults.late_s:
            await self.clock.sleep(self.faults.late_s)
        answer = self.answer(request, self.clock.now())
        delay_s = self.faults.delay_s
        if isinstance(request, Write):
            delay_s += self.product.glitches.write_reply_s
        if delay_s:
            await self.clock.sleep(delay_s)
        return NoAnswer("silent") if self.faults.silent else answer

    def answer(self, request: Request, now: float) -> Answer:
        """Return the answer to a request, and apply a write."""
        self.plant.requested(now)
        faults = self.faults
        if faults.busy > 0:
            faults.busy -= 1
            return Refused(ExceptionCode.DEVICE_BUSY)
        if faults.refuses is not None:
            return Refused(faults.refuses)
        if isinstance(request, Write):
            return Refused(faults.refuses_writes) if faults.refuses_writes is not None else self._write(request, now)
        answer = self._read(request, now)
        return Words(answer.words[:-1]) if faults.half and isinstance(answer, Words) else answer

    def _read(self, request: Read, now: float) -> Answer:
        words: list[int] = []
        encoded: dict[str, tuple[int, ...]] = {}
        for address in range(request.address, request.address + request.count):
            place = request.unit, request.table, address
            register = self._at.get(place)
            if register is not None and register.readable:
                if register.name not in encoded:
                    encoded[register.name] = self._encoded(register, now)
                words.append(encoded[register.name][address - (register.address or 0)])
            elif place in self.fixed:
                words.append(self.fixed[place])
            elif self.product.read_gap and words:
                words.append(0)
            else:
                return Refused(ExceptionCode.ILLEGAL_ADDRESS)
        return Words(tuple(words))

    def _encoded(self, register: Register, now: float) -> tuple[int, ...]:
        if register.name in self.exponents:
            return register.encode(float(self.exponents[register.name]))
        value = self.plant.value(register, now)
        if value is None and register.name in self._stored:
            value = self._stored[register.name]
        if value is None:
            return _absent(register)
        return register.encode(value, self.exponents.get(register.scale_register, 0))

    def _write(self, request: Write, now: float) -> Answer:
        self.writes.append((now, request))
        reason = self.product.forbidden(request)
        if reason is not None:
            self.violations.append(reason)
            known = (request.unit, Table.HOLDING, request.address) in self._at
            if not known:
                return Refused(ExceptionCode.ILLEGAL_ADDRESS)
        position, end = request.address, request.address + len(request.words)
        while position < end:
            register = self._at.get((request.unit, Table.HOLDING, position))
            if register is None or position + register.count > end:
                return Refused(ExceptionCode.ILLEGAL_ADDRESS)
            words = request.words[position - request.address : position - request.address + register.count]
            value = register.decode(words, self.exponents.get(register.scale_register, 0))
            if value is None:
                return Refused(ExceptionCode.ILLEGAL_VALUE)
            self._stored[register.name] = value
            self.plant.written(register, value, now)
            position += register.count
        return Words()


def _absent(register: Register) -> tuple[int, ...]:
    """Return the words of a register without a value."""
    if register.type is RegisterType.STRING:
        return register.encode("")
    if register.values:
        return register.encode(next(iter(register.values.values())))
    if register.type is RegisterType.F32:
        return register.encode(float("nan"))
    raw = register.absent[0] if register.absent else 0
    return register.model_copy(update={"values": {}, "scale": 1.0, "sign": 1}).encode(float(raw))
