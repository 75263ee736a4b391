"""Types of property values: bytes to a value and back, as the tables declare them.

Notation: `u16 0..32766 x0.1 A` is an unsigned number of two bytes in tenths of an ampere (`*C2`: times the value of the
property C2), `code1 41=permitted` names codes, `map1 01=0.1` gives them a number, `raw 1..17` is bytes, `date`,
`time2`, `date-time` and `date-time6` are texts, `{a TYPE; b TYPE}` is a structure, `[TYPE]1..10` a list, `A | B` a
choice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol, TypeAlias

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.frozen import frozen

Value: TypeAlias = "bool | int | float | str | bytes | Mapping[str, Value] | tuple[Value, ...]"
OVERFLOW, UNDERFLOW = "overflow", "underflow"
_ROUNDING = 12  # digits; a multiple of 0.001 has no binary representation
SIZES = {"u8": 1, "s8": 1, "u16": 2, "s16": 2, "u32": 4, "s32": 4}
MOMENTS = {
    "time2": ("{:02}:{:02}", (1, 1)),
    "date": ("{:04}-{:02}-{:02}", (2, 1, 1)),
    "date-time6": ("{:04}-{:02}-{:02}T{:02}:{:02}", (2, 1, 1, 1, 1)),
    "date-time": ("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", (2, 1, 1, 1, 1, 1)),
}


class EchonetValueError(RemoteProtocolError):
    """Bytes that the declared type does not permit."""


class Kind(Protocol):
    """A type. A value has `shortest` to `longest` bytes."""

    @property
    def shortest(self) -> int: ...
    @property
    def longest(self) -> int: ...
    def decode(self, data: bytes) -> Value:
        """Return the value. Raises EchonetValueError."""

    def encode(self, value: Value) -> bytes:
        """Return the bytes. Raises LocalProtocolError."""


@frozen
class Number:
    """An integer times `step`. Codes outside of its range that mean overflow and underflow are values too."""

    size: int
    signed: bool
    low: int
    high: int
    step: float = 1
    unit: str = ""
    times: tuple[int, ...] = ()  # properties that the value has to be multiplied with

    @property
    def shortest(self) -> int:
        return self.size

    @property
    def longest(self) -> int:
        return self.size

    def _codes(self) -> dict[int, str]:
        top = (1 << 8 * self.size - 1) - 1 if self.signed else (1 << 8 * self.size) - 1
        bottom = -top - 1 if self.signed else top - 1
        return {
            code: name for code, name in ((top, OVERFLOW), (bottom, UNDERFLOW)) if not self.low <= code <= self.high
        }

    def decode(self, data: bytes) -> Value:
        if len(data) != self.size:
            raise EchonetValueError(f"{len(data)} bytes, expected {self.size}")
        raw = int.from_bytes(data, "big", signed=self.signed)
        if self.low <= raw <= self.high:
            return raw if self.step == 1 else round(raw * self.step, _ROUNDING)
        code = self._codes().get(raw)
        if code is None:
            raise EchonetValueError(f"{raw} is not {self.low} to {self.high}")
        return code

    def encode(self, value: Value) -> bytes:
        raw: int | None = None
        if isinstance(value, str):
            raw = next((code for code, name in self._codes().items() if name == value), None)
        elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= (1 << 32):
            raw = round(value / self.step)
            raw = raw if self.low <= raw <= self.high else None
        if raw is None:
            raise LocalProtocolError(f"{value!r} is no number of {self.low * self.step} to {self.high * self.step}")
        return raw.to_bytes(self.size, "big", signed=self.signed)


@frozen
class Codes:
    """Named codes: (first, last, name)."""

    size: int
    codes: tuple[tuple[int, int, bool | float | str], ...]

    @property
    def shortest(self) -> int:
        return self.size

    @property
    def longest(self) -> int:
        return self.size

    def decode(self, data: bytes) -> Value:
        raw = int.from_bytes(data, "big")
        if len(data) == self.size:
            for first, last, name in self.codes:
                if first <= raw <= last:
                    return name
        raise EchonetValueError(f"0x{data[:8].hex()} is none of the {len(self.codes)} codes")

    def encode(self, value: Value) -> bytes:
        for first, _, name in self.codes:
            if name == value and isinstance(name, bool) is isinstance(value, bool):
                return first.to_bytes(self.size, "big")
        raise LocalProtocolError(f"{value!r} is none of {', '.join(str(name) for _, _, name in self.codes)}")


@frozen
class Raw:
    """Bytes."""

    shortest: int
    longest: int

    def decode(self, data: bytes) -> Value:
        if not self.shortest <= len(data) <= self.longest:
            raise EchonetValueError(f"{len(data)} bytes, expected {self.shortest} to {self.longest}")
        return data

    def encode(self, value: Value) -> bytes:
        if not isinstance(value, bytes) or not self.shortest <= len(value) <= self.longest:
            raise LocalProtocolError(f"{value!r} is not {self.shortest} to {self.longest} bytes")
        return value


@frozen
class Moment:
    """A date, a time, or both, as text. The year has two bytes, everything else one."""

    text: str
    sizes: tuple[int, ...]

    @property
    def shortest(self) -> int:
        return sum(self.sizes)

    @property
    def longest(self) -> int:
        return sum(self.sizes)

    def decode(self, data: bytes) -> Value:
        if len(data) != self.shortest:
            raise EchonetValueError(f"{len(data)} bytes, expected {self.shortest}")
        parts, position = [], 0
        for size in self.sizes:
            parts.append(int.from_bytes(data[position : position + size], "big"))
            position += size
        if not self._valid(parts):
            raise EchonetValueError(f"0x{data.hex()} is no date or time")
        return self.text.format(*parts)

    def encode(self, value: Value) -> bytes:
        parts = [int(part) for part in re.findall(r"\d+", value)] if isinstance(value, str) else []
        if len(parts) != len(self.sizes) or not self._valid(parts) or self.text.format(*parts) != value:
            raise LocalProtocolError(f"{value!r} is no date or time such as {self.text.format(*parts_of(self.sizes))}")
        return b"".join(part.to_bytes(size, "big") for part, size in zip(parts, self.sizes, strict=True))

    def _valid(self, parts: list[int]) -> bool:
        date, clock = (parts[:3], parts[3:]) if self.sizes[0] == 2 else ([], parts)
        if date and not (1 <= date[0] <= 9999 and 1 <= date[1] <= 12 and 1 <= date[2] <= 31):
            return False
        return all(part < limit for part, limit in zip(clock, (24, 60, 60), strict=False))


def parts_of(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the parts of an example."""
    return (2026, 1, 31, 23, 30, 0)[: len(sizes)] if sizes[0] == 2 else (23, 30)


@frozen
class Struct:
    """Named elements. Only the last one may have a variable size."""

    elements: tuple[tuple[str, Kind], ...]

    @property
    def shortest(self) -> int:
        return sum(kind.shortest for _, kind in self.elements)

    @property
    def longest(self) -> int:
        return sum(kind.longest for _, kind in self.elements)

    def decode(self, data: bytes) -> Value:
        if not self.shortest <= len(data) <= self.longest:
            raise EchonetValueError(f"{len(data)} bytes, expected {self.shortest} to {self.longest}")
        found: dict[str, Value] = {}
        position = 0
        for name, kind in self.elements:
            end = position + kind.shortest if kind.shortest == kind.longest else len(data)
            found[name] = kind.decode(data[position:end])
            position = end
        return found

    def encode(self, value: Value) -> bytes:
        names = [name for name, _ in self.elements]
        if not isinstance(value, Mapping) or sorted(value) != sorted(names):
            raise LocalProtocolError(f"a structure of {', '.join(names)} is needed")
        return b"".join(kind.encode(value[name]) for name, kind in self.elements)


@frozen
class Array:
    """A list of elements of a fixed size."""

    kind: Kind
    fewest: int
    most: int

    @property
    def shortest(self) -> int:
        return self.fewest * self.kind.shortest

    @property
    def longest(self) -> int:
        return self.most * self.kind.shortest

    def decode(self, data: bytes) -> Value:
        size = self.kind.shortest
        if len(data) % size or not self.shortest <= len(data) <= self.longest:
            raise EchonetValueError(f"{len(data)} bytes are not {self.fewest} to {self.most} elements of {size} bytes")
        return tuple(self.kind.decode(data[at : at + size]) for at in range(0, len(data), size))

    def encode(self, value: Value) -> bytes:
        if not isinstance(value, tuple) or not self.fewest <= len(value) <= self.most:
            raise LocalProtocolError(f"a list of {self.fewest} to {self.most} elements is needed")
        return b"".join(self.kind.encode(one) for one in value)


@frozen
class Choice:
    """The first of several types that fits."""

    kinds: tuple[Kind, ...]

    @property
    def shortest(self) -> int:
        return min(kind.shortest for kind in self.kinds)

    @property
    def longest(self) -> int:
        return max(kind.longest for kind in self.kinds)

    def decode(self, data: bytes) -> Value:
        reason = ""
        for kind in reversed(self.kinds):  # codes before numbers that overflow
            try:
                return kind.decode(data)
            except EchonetValueError as error:
                reason = str(error)
        raise EchonetValueError(reason)

    def encode(self, value: Value) -> bytes:
        reasons = []
        for kind in self.kinds:
            try:
                return kind.encode(value)
            except LocalProtocolError as error:
                reasons.append(str(error))
        raise LocalProtocolError(" and ".join(reasons))
