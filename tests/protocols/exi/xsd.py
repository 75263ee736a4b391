"""Parser of XML Schema files, as far as the comparison with the declarations requires."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

from protocols.exi.schema import Kind, Simple
from tests.peers import JOSEV, python_peer

XS = "{http://www.w3.org/2001/XMLSchema}"
WHERE = "import importlib.util; print(importlib.util.find_spec('iso15118').submodule_search_locations[0])"
INTEGERS = {
    "byte": (-(2**7), 2**7 - 1),
    "short": (-(2**15), 2**15 - 1),
    "int": (-(2**31), 2**31 - 1),
    "long": (-(2**63), 2**63 - 1),
    "unsignedByte": (0, 2**8 - 1),
    "unsignedShort": (0, 2**16 - 1),
    "unsignedInt": (0, 2**32 - 1),
    "unsignedLong": (0, 2**64 - 1),
    "integer": (None, None),
}
STRINGS = {"string", "anyURI", "ID", "IDREF"}
BINARIES = {"base64Binary", "hexBinary"}
N_BIT_RANGE = 4096


class Name(NamedTuple):
    """A qualified name, as in the declarations' QName."""

    local: str
    uri: str


class XsdField(NamedTuple):
    """One element or attribute of a type."""

    name: Name
    attribute: bool
    least: int
    most: int | None
    type: Any  # a Simple, or the Name of a complex type
    reference: bool


@functools.cache
def schemas() -> Path:
    """Return the folder of the schemas that the peer bundles."""
    python = python_peer(*JOSEV)
    done = subprocess.run([python, "-c", WHERE], capture_output=True, text=True, check=True, timeout=60)
    return Path(done.stdout.strip()) / "shared" / "schemas"


class Xsd:
    """The global declarations of some schema files."""

    def __init__(self, *files: str) -> None:
        self.elements: dict[Name, Any] = {}
        self.types: dict[Name, Any] = {}
        self.forms: dict[str, tuple[bool, bool]] = {}
        self._prefixes: dict[Any, dict[str, str]] = {}
        self._space: dict[Any, str] = {}
        for file in files:
            self._load(schemas() / file)

    def _load(self, path: Path) -> None:
        prefixes: dict[str, str] = {}
        for _, (prefix, uri) in ElementTree.iterparse(path, events=["start-ns"]):
            prefixes[prefix] = uri
        root = ElementTree.parse(path).getroot()
        space = root.get("targetNamespace", "")
        qualified = (root.get("elementFormDefault"), root.get("attributeFormDefault"))
        self.forms[space] = (qualified[0] == "qualified", qualified[1] == "qualified")
        for node in root.iter():
            self._prefixes[node] = prefixes
            self._space[node] = space
        for child in root:
            name = Name(child.get("name", ""), space)
            if child.tag == XS + "element":
                self.elements[name] = child
                inline = child.find(XS + "complexType")
                if inline is not None:
                    self.types[Name(f"{name.local}Type", space)] = inline
            elif child.tag in (XS + "complexType", XS + "simpleType"):
                self.types[name] = child

    def resolve(self, node: Any, reference: str) -> Name:
        """Return the qualified name of a prefixed one."""
        prefix, _, local = reference.rpartition(":")
        return Name(local, self._prefixes[node].get(prefix, self._space[node] if not prefix else ""))

    def complex_types(self) -> dict[Name, Any]:
        """Return all complex types, named or inside an element."""
        return {name: node for name, node in self.types.items() if node.tag == XS + "complexType"}

    def type_of(self, element: Any) -> Any:
        """Return the type of an element: a Simple, or the name of a complex type."""
        type_name = element.get("type")
        if type_name is None:
            if element.find(XS + "complexType") is not None:
                return Name(f"{element.get('name')}Type", self._space[element])
            return self._restricted(element.find(XS + "simpleType"))
        return self.named_type(element, type_name)

    def named_type(self, node: Any, type_name: str) -> Any:
        """Return a type by its prefixed name: a Simple, or the name of a complex type."""
        name = self.resolve(node, type_name)
        if name.uri == XS[1:-1]:
            return _builtin(name.local)
        found = self.types[name]
        return name if found.tag == XS + "complexType" else self._restricted(found)

    def _restricted(self, node: Any) -> Simple:
        restriction = node.find(XS + "restriction")
        base: Simple = self.named_type(restriction, restriction.get("base"))
        facets = {facet.tag.removeprefix(XS): facet.get("value") for facet in restriction}
        literals = tuple(facet.get("value") for facet in restriction if facet.tag == XS + "enumeration")
        if literals:
            return Simple(Kind.ENUMERATION, None, None, literals)
        if base.kind in (Kind.STRING, Kind.BINARY):
            exact = facets.get("length")
            low, high = facets.get("minLength", exact), facets.get("maxLength", exact)
            return base._replace(
                low=base.low if low is None else int(low), high=base.high if high is None else int(high)
            )
        low, high = facets.get("minInclusive"), facets.get("maxInclusive")
        return _integer(base.low if low is None else int(low), base.high if high is None else int(high))

    def fields(self, name: Name) -> list[XsdField]:
        """Return elements and attributes of a complex type, inherited ones first."""
        node = self.types[name]
        found: list[XsdField] = []
        extension = node.find(f"{XS}complexContent/{XS}extension")
        if extension is not None:
            found += self.fields(self.named_type(extension, extension.get("base")))
            node = extension
        simple = node.find(f"{XS}simpleContent/{XS}extension")
        if simple is not None:
            value = self.named_type(simple, simple.get("base"))
            found.append(XsdField(Name("value", ""), False, 1, 1, value, False))
            node = simple
        for child in node.iter():
            if child.tag == XS + "element":
                found.append(self._element(child))
            elif child.tag == XS + "attribute":
                qualified = self.forms[self._space[child]][1]
                uri = self._space[child] if qualified else ""
                least = int(child.get("use") == "required")
                kind = self.named_type(child, child.get("type"))
                found.append(XsdField(Name(child.get("name"), uri), True, least, 1, kind, False))
        return found

    def _element(self, node: Any) -> XsdField:
        least, most = occurrence(node)
        if node.get("ref") is not None:
            name = self.resolve(node, node.get("ref"))
            return XsdField(name, False, least, most, self.type_of(self.elements[name]), True)
        uri = self._space[node] if self.forms[self._space[node]][0] else ""
        return XsdField(Name(node.get("name"), uri), False, least, most, self.type_of(node), False)

    def content(self, name: Name) -> Any:
        """Return the particles of a complex type as nested tuples, see `canonical`."""
        node = self.types[name]
        inherited: list[Any] = []
        extension = node.find(f"{XS}complexContent/{XS}extension")
        if extension is not None:
            inherited = [self.content(self.named_type(extension, extension.get("base")))]
            node = extension
        own = [self._particle(child) for child in node if child.tag in (XS + "sequence", XS + "choice")]
        return canonical(("sequence", tuple(inherited + own), 1, 1))

    def _particle(self, node: Any) -> Any:
        kind = node.tag.removeprefix(XS)
        least, most = occurrence(node)
        if kind == "any":
            return ("*", least, most)
        if kind == "element":
            name = node.get("name") or self.resolve(node, node.get("ref")).local
            return (name, least, most)
        inner = tuple(self._particle(child) for child in node if child.tag != XS + "annotation")
        return (kind, inner, least, most)

    def is_abstract(self, element: Any) -> bool:
        """Return True if an element or its type is abstract."""
        kind = self.type_of(element)
        abstract_type = isinstance(kind, Name) and self.types[kind].get("abstract") == "true"
        return element.get("abstract") == "true" or abstract_type

    def group(self, head: Name) -> set[Name]:
        """Return a substitution group, the head included, members of members too."""
        found = {head}
        while True:
            more = {
                name
                for name, node in self.elements.items()
                if node.get("substitutionGroup") and self.resolve(node, node.get("substitutionGroup")) in found
            }
            if more <= found:
                return found
            found |= more


def occurrence(node: Any) -> tuple[int, int | None]:
    """Return minOccurs and maxOccurs."""
    most = node.get("maxOccurs", "1")
    return int(node.get("minOccurs", "1")), None if most == "unbounded" else int(most)


def canonical(particle: Any) -> Any:
    """Return nested particles without redundant groups: (name, least, most) or (kind, parts, least, most)."""
    if len(particle) == 3:
        return particle
    kind, parts, least, most = particle
    flat: list[Any] = []
    for part in map(canonical, parts):
        same = len(part) == 4 and part[0] == kind and part[2:] == (1, 1)
        flat += part[1] if same else [part]
    flat = [part for part in flat if not (len(part) == 4 and not part[1])]
    if len(flat) == 1:
        only = flat[0]
        if (least, most) == (1, 1):
            return only
        if only[-2:] == (1, 1):
            return (*only[:-2], least, most)
    return (kind, tuple(flat), least, most)


def _builtin(local: str) -> Simple:
    if local in INTEGERS:
        return _integer(*INTEGERS[local])
    if local in STRINGS:
        return Simple(Kind.STRING, 0, None)
    if local in BINARIES:
        return Simple(Kind.BINARY, 0, None, (), local == "hexBinary")
    assert local == "boolean", local
    return Simple(Kind.BOOLEAN, 0, 1)


def _integer(low: int | None, high: int | None) -> Simple:
    if low is not None and high is not None and high - low < N_BIT_RANGE:
        return Simple(Kind.N_BIT, low, high)
    return Simple(Kind.UNSIGNED if low is not None and low >= 0 else Kind.SIGNED, low, high)
