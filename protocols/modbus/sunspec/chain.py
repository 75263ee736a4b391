"""Walk along the model chain: `SunS` at 40000, 0 or 50000, then ID and length of each model until ID 0xFFFF. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from protocols.frozen import frozen
from protocols.modbus.messages import ADDRESSES, Answer, Read, Table, Words
from protocols.modbus.sunspec.models import END

MARK = (0x5375, 0x6E53)  # SunS
BASES = (40_000, 0, 50_000)
MOST_MODELS = 128


@frozen
class Entry:
    """A model that a device has: `address` is that of its ID register."""

    id: int
    length: int
    address: int


@dataclass
class Walk:
    """One walk. `request` until `done`; `fault` states why there is no chain."""

    unit: int
    chain: list[Entry] = field(default_factory=list)
    done: bool = False
    fault: str = ""
    _bases: list[int] = field(default_factory=lambda: list(BASES))
    _address: int | None = None  # of the next header

    def request(self) -> Read:
        """Return the next read."""
        address = self._bases[0] if self._address is None else self._address
        return Read(self.unit, Table.HOLDING, address, 2)

    def receive(self, answer: Answer) -> None:
        """Apply the answer to the last request; an exception at a base address is another negative answer."""
        words = answer.words if isinstance(answer, Words) else ()
        if self._address is None:
            self._receive_mark(words)
        elif len(words) != 2:
            self._end(f"the header of a model at {self._address} cannot be read")
        else:
            self._receive_header(*words)

    def _receive_mark(self, words: tuple[int, ...]) -> None:
        base = self._bases.pop(0)
        if words == MARK:
            self._address = base + 2
        elif not self._bases:
            self._end(f"no SunS at {', '.join(map(str, BASES))}: unit {self.unit} has no SunSpec models")

    def _receive_header(self, model: int, length: int) -> None:
        assert self._address is not None
        if model == END:
            self._end("" if self.chain else "the model chain is empty")
            return
        after = self._address + 2 + length
        if after + 2 > ADDRESSES or len(self.chain) == MOST_MODELS:
            self._end(f"the model chain does not end: model {model} of {length} registers at {self._address}")
            return
        self.chain.append(Entry(model, length, self._address))
        self._address = after

    def _end(self, fault: str) -> None:
        self.done, self.fault = True, fault
