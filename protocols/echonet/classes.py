"""Classes of objects: their properties with access, type and release, as `tables/*.table` declare them."""

from __future__ import annotations

import functools
import re
from importlib.resources import files

from protocols.echonet.notation import parse
from protocols.echonet.values import Kind
from protocols.frozen import frozen

LATEST = "R"
NODE_PROFILE_CLASS = 0x0EF0
SUPER_CLASS = 0x0000
EV_CHARGER_DISCHARGER, STORAGE_BATTERY, SOLAR, DISTRIBUTION_BOARD, SMART_METER, MULTIPLE_INPUT_PCS = (
    0x027E,
    0x027D,
    0x0279,
    0x0287,
    0x0288,
    0x02A5,
)
DEVICE_CLASSES = (
    EV_CHARGER_DISCHARGER,
    STORAGE_BATTERY,
    SOLAR,
    DISTRIBUTION_BOARD,
    SMART_METER,
    MULTIPLE_INPUT_PCS,
)
_ANY = "Z"  # a release after all others


@frozen
class Rule:
    """Declaration of a property from release `since` to `until`. `get`, `set` and `inf` are R, c, o or -.

    `atomic` is the property that must be set before this one is read.
    """

    epc: int
    name: str
    get: str
    set: str
    inf: str
    since: str
    until: str
    kind: Kind
    notation: str
    atomic: int | None = None


@frozen
class ObjectClass:
    """A class of objects."""

    code: int
    name: str
    title: str
    rules: tuple[Rule, ...]

    def properties(self, release: str = LATEST) -> dict[int, Rule]:
        """Return the properties of a release, with those of the super class."""
        return _properties(self.code, release)

    def named(self, name: str, release: str = LATEST) -> Rule:
        """Return the property with a short name. Raises KeyError."""
        for rule in self.properties(release).values():
            if rule.name == name:
                return rule
        raise KeyError(f"{self.name} of release {release} has no property {name}")


@functools.cache
def object_class(code: int) -> ObjectClass:
    """Return a class, such as 0x027E; of one without a table the super class only."""
    table = files(__package__).joinpath("tables", f"{code:04X}.table")
    if not table.is_file():
        return ObjectClass(code, f"class{code:04X}", f"Class 0x{code:04X}", ())
    return _read(table.read_text(encoding="utf-8"))


@functools.lru_cache(256)
def _properties(code: int, release: str) -> dict[int, Rule]:
    rules = object_class(code).rules
    if code not in (SUPER_CLASS, NODE_PROFILE_CLASS):
        rules = object_class(SUPER_CLASS).rules + rules
    return {rule.epc: rule for rule in rules if rule.since <= release <= rule.until}


def _read(text: str) -> ObjectClass:
    aliases: dict[str, str] = {}
    rules: list[Rule] = []
    code, name, title = "", "", ""
    for line in text.splitlines():
        if line.startswith("class "):
            _, code, name, title = line.split(" ", 3)
        elif line.startswith("$"):
            alias, _, meaning = line[1:].partition(" = ")
            aliases[alias] = meaning
        elif line and not line.startswith("#"):
            rules += _rules(line, aliases)
    return ObjectClass(int(code, 16), name, title, tuple(rules))


def _rules(line: str, aliases: dict[str, str]) -> list[Rule]:
    epcs, name, access, releases, notation = line.split(None, 4)
    notation, _, atomic = notation.partition("  @")
    notation = re.sub(r"\$(\w+)", lambda found: aliases[found[1]], notation)
    first, _, last = epcs.partition("-")
    since, _, until = releases.partition("-")
    kind, low = parse(notation), int(first, 16)
    return [
        Rule(
            epc,
            name.replace("#", str(epc - low + 1)),
            access[0],
            access[1],
            access[2],
            since,
            until or _ANY,
            kind,
            notation,
            int(atomic, 16) if atomic else None,
        )
        for epc in range(low, int(last or first, 16) + 1)
    ]
