"""Reads of one device: its registers at their intervals, in complete rounds. Pure; time is an argument."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from gateway.drivers.modbus.events import Event, ReadRefused, ValuesRead
from gateway.drivers.modbus.polling import Block, plan, raw_of, values_of
from protocols.modbus.messages import Answer, ExceptionCode, NoAnswer, Read, Refused
from protocols.modbus.register import Meaning, Poll, Register
from protocols.modbus.register_map import RegisterMap

NOT_THERE = (ExceptionCode.ILLEGAL_FUNCTION, ExceptionCode.ILLEGAL_ADDRESS)  # of registers that it does not have


@dataclass(slots=True)
class Poller:
    """Reader of one device on one connection; the first round reads everything."""

    product: RegisterMap
    values: dict[Meaning, float | str] = field(default_factory=dict)  # of the last complete round
    read_at: float = -math.inf  # it began
    complete: bool = False  # there was one
    _raw: dict[str, tuple[int, ...]] = field(default_factory=dict)
    _round: dict[str, tuple[int, ...]] = field(default_factory=dict)  # of the fast registers, in this round
    _blocks: deque[Block] = field(default_factory=deque)
    _plan: dict[Poll, tuple[Block, ...]] = field(default_factory=dict)
    _due: dict[Poll, float] = field(default_factory=dict)
    _asked_at: float | None = None  # when this round began
    _settles_at: float = -math.inf

    def __post_init__(self) -> None:
        self._plan = {poll: plan(self.product, poll) for poll in (Poll.START, Poll.SLOW, Poll.FAST)}
        self._blocks.extend(block for blocks in self._plan.values() for block in blocks)

    def next(self, now: float) -> Read | None:
        """Return the read that is due."""
        if not self._blocks:
            timing = self.product.timing
            for poll, period in ((Poll.SLOW, timing.slow_s), (Poll.FAST, timing.fast_s)):
                if now >= self._due.get(poll, now):
                    self._due[poll] = now + period
                    self._blocks.extend(self._plan[poll])
        if self._blocks and self._asked_at is None:
            self._asked_at = now
        return self._blocks[0].read if self._blocks else None

    @property
    def empty(self) -> bool:
        """True where the device has none of the registers that are read each time."""
        return not self._plan[Poll.FAST]

    def deadline(self) -> float:
        """Return when `next` has a read."""
        return min(self._due.values(), default=0.0) if not self._blocks else 0.0

    def settle(self, until: float) -> None:
        """Leave out readings that begin before what was written shows; reading goes on, as it keeps the device on."""
        self._settles_at = until
        self._clear()

    def receive(self, answer: Answer, now: float) -> list[Event]:
        """Apply the answer to the read that is due. Registers that the device does not have are left out from then on;
        after another exception the round is read again."""
        block = self._blocks.popleft()
        events: list[Event] = []
        if isinstance(answer, NoAnswer) or (isinstance(answer, Refused) and answer.code not in NOT_THERE):
            self._clear()
            return events
        if isinstance(answer, Refused):
            self._plan = {poll: tuple(one for one in blocks if one is not block) for poll, blocks in self._plan.items()}
            events.append(ReadRefused(now, tuple(one.name for one in block.registers), str(answer)))
        else:
            raw = raw_of(block, answer.words)
            self._raw |= raw
            self._round |= raw
        if not self._blocks:
            events += self._end_round(now)
        return events

    def _end_round(self, now: float) -> list[Event]:
        fast = [one.name for block in self._plan[Poll.FAST] for one in block.registers]
        read, at, self._round = self._round, self._asked_at, {}
        self._asked_at = None
        if not fast or not all(name in read for name in fast) or (at is not None and at < self._settles_at):
            return []
        others = {name: words for name, words in self._raw.items() if name not in fast}
        self.values = values_of(self.product, others | read, self.exponent)
        self.complete, self.read_at = True, now if at is None else at
        return [ValuesRead(self.read_at, dict(self.values))]

    def _clear(self) -> None:
        self._blocks.clear()
        self._round.clear()
        self._asked_at = None

    # registers

    def exponent(self, register: Register) -> int | None:
        """Return the power of ten of a register, None where the device has not stated it."""
        if not register.scale_register:
            return 0
        words = self._raw.get(register.scale_register)
        value = None if words is None else self.product.by_name[register.scale_register].decode(words)
        return int(value) if isinstance(value, float) else None

    def words(self, name: str) -> tuple[int, ...] | None:
        """Return the words of a register as they were read last."""
        return self._raw.get(name)
