"""Plan of reads: registers of one poll group in as few requests as the device allows. Pure."""

from __future__ import annotations

from collections.abc import Callable

from protocols.frozen import frozen
from protocols.modbus.messages import Read
from protocols.modbus.register import Meaning, Poll, Register
from protocols.modbus.register_map import RegisterMap


@frozen
class Block:
    """One read and the registers in it."""

    read: Read
    registers: tuple[Register, ...]


def plan(product: RegisterMap, poll: Poll) -> tuple[Block, ...]:
    """Return the reads of a poll group, by unit, table and address."""
    wanted = [one for one in product.registers if one.poll is poll and one.readable and one.address is not None]
    blocks: list[Block] = []
    for register in sorted(wanted, key=lambda one: (product.unit_of(one), one.table, one.address)):
        address, end = register.address or 0, (register.address or 0) + register.count
        if blocks and _joins(product, blocks[-1].read, register, end):
            before = blocks.pop()
            count = max(before.read.count, end - before.read.address)
            read = Read(before.read.unit, before.read.table, before.read.address, count)
            blocks.append(Block(read, (*before.registers, register)))
        else:
            read = Read(product.unit_of(register), register.table, address, register.count)
            blocks.append(Block(read, (register,)))
    return tuple(blocks)


def _joins(product: RegisterMap, read: Read, register: Register, end: int) -> bool:
    same = (read.unit, read.table) == (product.unit_of(register), register.table)
    gap = (register.address or 0) - (read.address + read.count)
    return same and gap <= product.read_gap and end - read.address <= product.read_most


def raw_of(block: Block, words: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Return the words of each register of a block, by name."""
    return {
        one.name: words[(at := (one.address or 0) - block.read.address) : at + one.count] for one in block.registers
    }


def values_of(
    product: RegisterMap, raw: dict[str, tuple[int, ...]], exponent: Callable[[Register], int | None]
) -> dict[Meaning, float | str]:
    """Return the values by meaning; of several registers with one meaning, the first that states one. A fault is its
    code, with its label where it has one."""
    values: dict[Meaning, float | str] = {}
    for register in product.registers:
        meaning, words = register.meaning, raw.get(register.name)
        if meaning is None or words is None:
            continue
        if meaning is Meaning.FAULT:
            if (code := register.raw(words)) not in (0, *register.absent):
                values.setdefault(meaning, register.values.get(str(code), f"{register.name} {code}"))
            continue
        power = exponent(register)
        value = None if power is None else register.decode(words, power)
        if value is not None:
            values.setdefault(meaning, value)
    return values
