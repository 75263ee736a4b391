"""CAN frame as the engines exchange it; independent of adapters and of protocols above it."""

from __future__ import annotations

from typing import NamedTuple


class CanFrame(NamedTuple):
    """One data frame. `extended` is true for 29-bit identifiers."""

    can_id: int
    data: bytes
    extended: bool = False
