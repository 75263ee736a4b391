"""Requests and answers of Modbus, without their framing. Addresses are those of the PDU (the first register is 0)."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import TypeAlias

from protocols.frozen import frozen

MOST_READ = 125  # registers in one request (Modbus application protocol 1.1b3, 6.3)
ADDRESSES = 65_536


class Table(StrEnum):
    """Tables of registers, by the function that reads them: 03 and 04."""

    HOLDING = "holding"
    INPUT = "input"


class ExceptionCode(IntEnum):
    """Exception codes of a response."""

    ILLEGAL_FUNCTION = 1
    ILLEGAL_ADDRESS = 2
    ILLEGAL_VALUE = 3
    DEVICE_FAILURE = 4
    ACKNOWLEDGE = 5
    DEVICE_BUSY = 6
    NEGATIVE_ACKNOWLEDGE = 7
    MEMORY_PARITY_ERROR = 8
    GATEWAY_PATH_UNAVAILABLE = 10
    GATEWAY_NO_RESPONSE = 11


@frozen
class Read:
    """Read registers of one table of a unit."""

    unit: int
    table: Table
    address: int
    count: int


@frozen
class Write:
    """Write holding registers: with function 06 where `single`, else with 16."""

    unit: int
    address: int
    words: tuple[int, ...]
    single: bool = False


Request: TypeAlias = Read | Write


@frozen
class Words:
    """Registers that were read; empty for a write that was confirmed."""

    words: tuple[int, ...] = ()


@frozen
class Refused:
    """The device answered with an exception; `code` may be one that the standard does not define."""

    code: int

    def __str__(self) -> str:
        known = self.code in ExceptionCode.__members__.values()
        return f"exception {self.code}" + (f" ({ExceptionCode(self.code).name.lower()})" if known else "")


@frozen
class NoAnswer:
    """No valid answer: silence, a broken frame, or one of another unit. `closed`: the connection has ended."""

    reason: str
    closed: bool = False


Answer: TypeAlias = Words | Refused | NoAnswer
