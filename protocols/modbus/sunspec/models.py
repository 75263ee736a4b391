"""Models as tables: `models/<id>.toml` has offset, name, type, scale factor, unit and access of each point.

Offsets count from the model's ID register. From the published models of the SunSpec Alliance (sunspec/models).
"""

from __future__ import annotations

import functools
import re
import tomllib
from pathlib import Path

from protocols.frozen import frozen
from protocols.modbus.register import RegisterType

MODELS = Path(__file__).parent / "models"
END = 0xFFFF  # the ID behind the last model
SCALE = "sunssf"
_TYPES: dict[str, tuple[RegisterType, tuple[int, ...]]] = {  # encoding, and raw values of points not implemented
    "int16": (RegisterType.I16, (-0x8000,)),
    "uint16": (RegisterType.U16, (0xFFFF,)),
    "enum16": (RegisterType.U16, (0xFFFF,)),
    "bitfield16": (RegisterType.U16, (0xFFFF,)),
    "sunssf": (RegisterType.I16, (-0x8000,)),
    "int32": (RegisterType.I32, (-0x8000_0000,)),
    "uint32": (RegisterType.U32, (0xFFFF_FFFF,)),
    "bitfield32": (RegisterType.U32, (0xFFFF_FFFF,)),
    "acc32": (RegisterType.U32, (0,)),
    "acc64": (RegisterType.U64, (0,)),
    "uint64": (RegisterType.U64, (0xFFFF_FFFF_FFFF_FFFF,)),
    "float32": (RegisterType.F32, ()),  # NaN
    "string": (RegisterType.STRING, ()),
}


@frozen
class Point:
    """One point of a model."""

    offset: int
    name: str
    kind: str  # type of SunSpec
    scale: str | int = ""  # the point of the scale factor, or the factor
    si: str = ""
    access: str = ""

    @property
    def type(self) -> RegisterType:
        """Encoding."""
        return _TYPES[self.kind.partition("(")[0]][0]

    @property
    def absent(self) -> tuple[int, ...]:
        """Raw values of a point that is not implemented."""
        return _TYPES[self.kind.partition("(")[0]][1]

    @property
    def words(self) -> int:
        """Number of registers of a string, else 0."""
        size = re.search(r"\((\d+)\)", self.kind)
        return int(size[1]) if size else 0


@frozen
class Model:
    """One model. `length` is that of its L register, without ID and L; a device may have a shorter or a longer one."""

    id: int
    label: str
    length: int
    points: dict[str, Point]


@functools.cache
def tables() -> dict[int, Model]:
    """Return all models, by id."""
    found = {}
    for path in sorted(MODELS.glob("*.toml"), key=lambda one: int(one.stem)):
        table = tomllib.loads(path.read_text("utf-8"))
        points = {row[1]: Point(*row) for row in table["points"]}
        found[table["id"]] = Model(table["id"], table["label"], table["length"], points)
    return found
