"""Own objects of a node: access by the tables, property maps, and the values that the host supplies."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from protocols.echonet.classes import LATEST, object_class
from protocols.echonet.frames import NODE_PROFILE, Eoj, encode_map
from protocols.echonet.values import OVERFLOW, UNDERFLOW, EchonetValueError, Value
from protocols.errors import LocalProtocolError

INF_MAP, SET_MAP, GET_MAP, VERSION = 0x9D, 0x9E, 0x9F, 0x82
INSTANCE_COUNT, CLASS_COUNT, INSTANCE_NOTIFICATION, INSTANCE_LIST, CLASS_LIST = 0xD3, 0xD4, 0xD5, 0xD6, 0xD7
MOST_INSTANCES, MOST_CLASSES = 84, 8  # of a list in one property
_OWN = frozenset({INF_MAP, SET_MAP, GET_MAP})
PROTOCOL_VERSION = b"\x01\x0e\x01\x00"  # of the node profile: 1.14, message format 1


class Plant(Protocol):
    """Equipment that an object represents. Values are those of the declared types."""

    def read(self, epc: int, now: float) -> Value | None:
        """Return the value, None if there is none at present."""

    def write(self, epc: int, value: Value, now: float) -> bool:
        """Apply a value; return False to refuse it."""


class FixedValues:
    """A plant of constant values."""

    def __init__(self, values: Mapping[int, Value]) -> None:
        self._values = dict(values)

    def read(self, epc: int, now: float) -> Value | None:
        return self._values.get(epc)

    def write(self, epc: int, value: Value, now: float) -> bool:
        return False


class LocalObject:
    """An object with the properties `epcs`. `settable` and `hidden` narrow what may be set and read of them."""

    def __init__(
        self,
        eoj: Eoj,
        plant: Plant,
        epcs: Collection[int],
        *,
        release: str = LATEST,
        settable: Collection[int] | None = None,
        hidden: Collection[int] = (),
    ) -> None:
        self.eoj = eoj
        self.release = release
        self._plant = plant
        rules = object_class(eoj.class_code).properties(release)
        if missing := set(epcs) - set(rules):
            names = " ".join(f"{epc:02X}" for epc in sorted(missing))
            raise LocalProtocolError(f"release {release} of {eoj} has no property {names}")
        self._rules = {epc: rules[epc] for epc in (*epcs, *_OWN)}
        self.get = frozenset(epc for epc, rule in self._rules.items() if rule.get != "-") - frozenset(hidden)
        self.set = frozenset(epc for epc, rule in self._rules.items() if rule.set != "-")
        if settable is not None:
            self.set &= frozenset(settable)
        self.inf = frozenset(epc for epc, rule in self._rules.items() if rule.inf == "R")

    def read(self, epc: int, now: float) -> bytes | None:
        """Return the bytes of a property that may be read, None if it may not or has no value."""
        if epc not in self.get:
            return None
        return self.value(epc, now)

    def value(self, epc: int, now: float) -> bytes | None:
        """Return the bytes of a property, also of one that is only announced; None for a value outside of its type."""
        if epc in _OWN:
            return encode_map({INF_MAP: self.inf, SET_MAP: self.set, GET_MAP: self.get}[epc])
        rule = self._rules.get(epc)
        value = None if rule is None else self._plant.read(epc, now)
        if rule is None or value is None:
            return None
        try:
            return rule.kind.encode(value)
        except LocalProtocolError:
            return None

    def write(self, epc: int, data: bytes, now: float) -> Value | None:
        """Set a property; return the value, None if it is refused."""
        if epc not in self.set:
            return None
        try:
            value = self._rules[epc].kind.decode(data)
        except EchonetValueError:
            return None
        if value in (OVERFLOW, UNDERFLOW) or not self._plant.write(epc, value, now):
            return None
        return value


def version(release: str) -> bytes:
    """Return the value of property 82 of a device object."""
    return bytes((0, 0, ord(release), 0))


def release_of(data: bytes) -> str:
    """Return the release of property 82 of a device object, "" if it states none."""
    letter = chr(data[2]) if len(data) == 4 else ""
    return letter if letter.isascii() and letter.isupper() else ""


def node_profile(objects: Collection[LocalObject], maker: bytes, node_id: bytes) -> LocalObject:
    """Return the node profile of a node with these objects."""
    instances = tuple(one.eoj.pack() for one in objects)
    if not 1 <= len(instances) <= MOST_INSTANCES or len(set(instances)) != len(instances):
        raise LocalProtocolError(f"a node has 1 to {MOST_INSTANCES} different objects")
    codes = sorted({one[:2] for one in instances})
    found: dict[int, Value] = {
        0x80: True,
        VERSION: PROTOCOL_VERSION,
        0x83: b"\xfe" + maker + node_id[:13].rjust(13, b"\0"),
        0x88: False,
        0x8A: maker,
        INSTANCE_COUNT: len(instances).to_bytes(3, "big"),
        CLASS_COUNT: len(codes) + 1,  # with the node profile
        INSTANCE_NOTIFICATION: {"numberOfinstances": len(instances), "instanceList": instances},
        INSTANCE_LIST: {"numberOfInstances": len(instances), "instanceList": instances},
        CLASS_LIST: {"numberOfClasses": len(codes[:MOST_CLASSES]), "classList": tuple(codes[:MOST_CLASSES])},
    }
    return LocalObject(NODE_PROFILE, FixedValues(found), found)
