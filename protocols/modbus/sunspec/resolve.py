"""The registers of a SunSpec product at the addresses of one device. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from protocols.modbus.register import Poll, Register, RegisterType
from protocols.modbus.register_map import Control, RegisterMap
from protocols.modbus.sunspec.chain import Entry
from protocols.modbus.sunspec.models import Point, tables


def resolve(product: RegisterMap, chain: Iterable[Entry]) -> RegisterMap | None:
    """Return the map with addresses: registers that the device does not have are left out, those of scale factors are
    added, and of several with one meaning the first counts. None where nothing is left."""
    present: dict[int, Entry] = {}
    for one in chain:
        present.setdefault(one.id, one)
    found: dict[str, Register] = {}
    for declared in product.registers:
        entry = next((present[one] for one in declared.models if one in present), None)
        if declared.address is not None:
            found[declared.name] = declared
        elif entry is not None:
            point = tables()[entry.id].points[declared.point]
            if _fits(entry, point):
                found |= {one.name: one for one in _placed(declared, entry, point)}
    if not found:
        return None
    controls = tuple(one for one in product.control if _complete(one, found))
    watchdog = product.watchdog
    if watchdog is not None and controls and controls[0].watchdog:
        watchdog = watchdog.model_copy(update={"seconds": controls[0].watchdog})
    if watchdog is not None and watchdog.seconds not in found:
        watchdog = None
    return product.changed(registers=tuple(found.values()), control=controls, watchdog=watchdog, sunspec=False)


def _complete(control: Control, found: dict[str, Register]) -> bool:
    needed = {*control.requires, *(step.register_ for step in control.steps)}
    return needed <= found.keys()


def _fits(entry: Entry, point: Point) -> bool:
    """Devices of older models have fewer points than the table."""
    return point.offset + _count(point) <= entry.length + 2


def _count(point: Point) -> int:
    return point.words or {RegisterType.U32: 2, RegisterType.I32: 2, RegisterType.F32: 2}.get(
        point.type, 4 if point.type in (RegisterType.U64, RegisterType.I64) else 1
    )


def _placed(declared: Register, entry: Entry, point: Point) -> Iterable[Register]:
    scale = point.scale if isinstance(point.scale, str) else ""
    factor = 10.0**point.scale if isinstance(point.scale, int) else 1.0
    scale_name = f"m{entry.id}_{scale.lower()}" if scale else ""
    yield declared.model_copy(
        update={
            "address": entry.address + point.offset,
            "models": (),
            "point": "",
            "type": point.type,
            "words": point.words,
            "absent": declared.absent or (() if declared.writable else point.absent),
            "scale": declared.scale * factor,
            "scale_register": scale_name,
        }
    )
    if scale:
        factor_point = tables()[entry.id].points[scale]
        poll = Poll.START if declared.poll is Poll.NEVER else declared.poll
        yield Register(
            name=scale_name,
            address=entry.address + factor_point.offset,
            type=RegisterType.I16,
            poll=poll,
            absent=factor_point.absent,
        )
