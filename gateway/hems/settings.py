"""Settings of the gateway as a device of ECHONET Lite."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SiteObject(StrEnum):
    """Objects of the site, from its inputs."""

    STORAGE = "storage"
    PV = "pv"
    BOARD = "board"


class Plug(StrEnum):
    """Vehicle connection, as property CC states it."""

    AC = "ac"
    CHADEMO = "chademo"
    CCS1 = "ccs1"
    CCS2 = "ccs2"


@dataclass(frozen=True, slots=True)
class HemsSettings:
    """`evses` in the order of their instances. `lease_s`: of an order, from the last request of its HEMS."""

    evses: tuple[str, ...]
    site_objects: tuple[SiteObject, ...] = ()
    lease_s: float = 180.0
    priority: int = 50
    plug: Plug | None = None
    node_id: bytes = b"\x01"
