"""Tables of frames: declarations of fields within eight bytes, and the codec that follows from them.

Fields are little endian. Bits that no field declares are kept in `undeclared`, so that every frame encodes to the
bytes from which it was decoded.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar, dataclass_transform

from protocols.can import CanFrame
from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.frozen import freeze, frozen

LENGTH = 8  # bytes of every frame
_WHOLE = (1 << 8 * LENGTH) - 1


class FrameError(RemoteProtocolError):
    """A frame that is not eight bytes long."""


@frozen
class Place:
    """Place of a field: first bit, number of bits, physical value of one bit, and inversion (0xFF - value)."""

    shift: int
    width: int
    scale: int = 1
    inverted: bool = False

    @property
    def mask(self) -> int:
        """Bits of the field within the frame."""
        return ((1 << self.width) - 1) << self.shift


def octet(at: int, *, initial: int = 0, inverted: bool = False, scale: int = 1) -> int:
    """Declare a field of one byte; an inverted one is sent as 0xFF - value."""
    return dataclasses.field(default=initial, metadata={"place": Place(8 * at, 8, scale, inverted)})


def word(at: int, *, initial: int = 0, scale: int = 1) -> int:
    """Declare a field of two bytes, the low one first."""
    return dataclasses.field(default=initial, metadata={"place": Place(8 * at, 16, scale)})


def octets(at: int, count: int) -> int:
    """Declare a field of some bytes without a known structure, as a little-endian number."""
    return dataclasses.field(default=0, metadata={"place": Place(8 * at, 8 * count)})


def bit(at: int, number: int) -> bool:
    """Declare a bit of a byte; bit 0 is the lowest."""
    return dataclasses.field(default=False, metadata={"place": Place(8 * at + number, 1)})


@frozen
class Message:
    """Content of one frame; `undeclared` are the bits of the frame without a field."""

    undeclared: int = 0


M = TypeVar("M", bound=Message)


@frozen
class Layout:
    """A declared frame: its class, its fields with their places."""

    can_id: int
    message: type[Message]
    places: tuple[tuple[str, Place], ...]

    @property
    def undeclared_mask(self) -> int:
        """Bits without a field."""
        free = _WHOLE
        for _, place in self.places:
            free &= ~place.mask
        return free


LAYOUTS: dict[int, Layout] = {}
_BY_CLASS: dict[type[Message], Layout] = {}


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(dataclasses.field,))
def frame(can_id: int) -> Callable[[type[M]], type[M]]:
    """Declare a class as the content of the frames with an identifier."""

    def declare(cls: type[M]) -> type[M]:
        made = freeze(cls, kw_only=True)
        declared = [f for f in dataclasses.fields(made) if "place" in f.metadata]
        layout = Layout(can_id, made, tuple((f.name, f.metadata["place"]) for f in declared))
        LAYOUTS[can_id] = _BY_CLASS[made] = layout
        return made

    return declare


@lru_cache(maxsize=4096)
def decode(received: CanFrame) -> Message | None:
    """Return the content of a frame; None if its identifier is not declared. Raises FrameError."""
    layout = None if received.extended else LAYOUTS.get(received.can_id)
    if layout is None:
        return None
    if len(received.data) != LENGTH:
        raise FrameError(f"frame {received.can_id:#05x} has {len(received.data)} bytes instead of {LENGTH}")
    whole = int.from_bytes(received.data, "little")
    values: dict[str, int | bool] = {}
    for name, place in layout.places:
        raw = (whole >> place.shift) & ((1 << place.width) - 1)
        if place.width == 1:
            values[name] = bool(raw)
        else:
            values[name] = (0xFF - raw if place.inverted else raw) * place.scale
    return layout.message(undeclared=whole & layout.undeclared_mask, **values)


@lru_cache(maxsize=4096)
def encode(message: Message) -> CanFrame:
    """Return the frame of a content. Raises LocalProtocolError for a value that its field cannot contain."""
    layout = _BY_CLASS[type(message)]
    whole = message.undeclared & layout.undeclared_mask
    for name, place in layout.places:
        raw = int(getattr(message, name)) // place.scale
        if not 0 <= raw < 1 << place.width:
            raise LocalProtocolError(f"{type(message).__name__}.{name} cannot contain {getattr(message, name)}")
        whole |= (0xFF - raw if place.inverted else raw) << place.shift
    return CanFrame(layout.can_id, whole.to_bytes(LENGTH, "little"))
