"""Plant of an emulated object: stated values, settings, and functions for what is measured."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Mapping

from emulators.echonet.home import Home
from protocols.echonet.classes import object_class
from protocols.echonet.frames import Eoj
from protocols.echonet.objects import LocalObject, version
from protocols.echonet.values import Value

Measure = Callable[[float], "Value | None"]
MAKER = b"\xff\xff\xff"


def eoj_of(class_code: int, instance: int = 1) -> Eoj:
    """Return the identifier of an object of a class."""
    return Eoj(class_code >> 8, class_code & 0xFF, instance)


def identity(class_code: int, release: str, product: str) -> dict[int, Value]:
    """Return what every device states about itself."""
    return {
        0x80: True,
        0x82: version(release),
        0x83: b"\xfe" + MAKER + bytes(11) + class_code.to_bytes(2, "big"),
        0x86: b"\x00",
        0x88: False,
        0x89: "noFault",
        0x8A: MAKER,
        0x8C: product.encode("ascii")[:12].ljust(12, b"\0"),
        0x8D: f"EMU{class_code:04X}".encode("ascii").ljust(12, b"\0"),
    }


class HomePlant:
    """A device of a home. `stated` never changes, `settings` may be set, `measured` follows the home."""

    def __init__(
        self, home: Home, stated: Mapping[int, Value], settings: Mapping[int, Value], measured: Mapping[int, Measure]
    ) -> None:
        self.home = home
        self.settings = {0x81: b"\x00", **settings}
        self._stated = {**stated}
        self._measured = {0x97: self._clock, 0x98: self._date, **measured}

    @property
    def epcs(self) -> set[int]:
        """Properties that it has."""
        return {*self._stated, *self.settings, *self._measured}

    def read(self, epc: int, now: float) -> Value | None:
        """Return a value, None if there is none at present."""
        self.home.advance(now)
        if epc in self.settings:
            return self.settings[epc]
        measure = self._measured.get(epc)
        return self._stated.get(epc) if measure is None else measure(now)

    def write(self, epc: int, value: Value, now: float) -> bool:
        """Apply a setting; the clock may be set and is not changed."""
        self.home.advance(now)
        if epc in self.settings:
            self.settings[epc] = value
        return epc in self.settings or epc in (0x97, 0x98)

    def _local(self, now: float) -> datetime.datetime:
        return local_time(self.home, self.home.wall(now))

    def _clock(self, now: float) -> Value:
        return f"{self._local(now):%H:%M}"

    def _date(self, now: float) -> Value:
        return f"{self._local(now):%Y-%m-%d}"


def local_time(home: Home, wall: float) -> datetime.datetime:
    """Return the local time of a Unix time."""
    return datetime.datetime.fromtimestamp(wall + home.utc_offset_s, datetime.UTC)


def device(
    class_code: int,
    plant: HomePlant,
    release: str,
    *,
    get: Collection[int] | None = None,
    settable: Collection[int] | None = None,
) -> LocalObject:
    """Return the object of a plant; `get` and `settable` are the property maps of a product that has fewer."""
    declared = set(object_class(class_code).properties(release))
    epcs = plant.epcs & declared
    if get is not None:
        epcs &= {*get, *(settable or ())}
    hidden = () if get is None else epcs - set(get)
    return LocalObject(eoj_of(class_code), plant, epcs, release=release, settable=settable, hidden=hidden)
