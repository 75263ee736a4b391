"""Codecs for fragments: single elements, wherever declared, as signatures hash them (EXI 1.0 §8.4.2, §8.5.2-3).

A fragment begins with the event code of its element among all element names of the schema set, local ones included, and
ends with an event code of its own. A name that is declared with different types (`eMAID` of ISO 15118-2 is the only
one) has no grammar of its own, so the relaxed grammar applies: any attribute and any element of the set in any order,
and untyped text. libcbv2g does not implement that rule (`PeerGrammar.relaxed`).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

from protocols.errors import LocalProtocolError
from protocols.exi.codec import HEADER, Codec
from protocols.exi.decoder import Decoder
from protocols.exi.encoder import Encoder
from protocols.exi.plain import from_plain, simple_from_plain, simple_to_plain, to_plain
from protocols.exi.readers import DecodeFault, element_reader
from protocols.exi.schema import Field, Kind, Member, QName, Simple, Type, declaration
from protocols.exi.shape import simple_of
from protocols.exi.values import Coder, InvalidValue

UNTYPED = Simple(Kind.STRING, 0, None)


class Root(NamedTuple):
    """An element name and the types it is declared with, classes and simple types."""

    qname: QName
    types: tuple[Simple | type[Any], ...]

    @property
    def ambiguous(self) -> bool:
        """True if the relaxed grammar applies."""
        return len(self.types) > 1


class FragmentCodec(Codec):
    """Codec of the fragments of one schema set. Elements of simple type are plain values and require `element`."""

    def encode(self, message: object, *, element: str | None = None, peer: str | None = None) -> bytes:
        """Return the fragment of an element.

        `element` names it where its class alone does not (`OEMProvisioningCertificateChain` is a
        SignedCertificateChain); `peer` writes it in that peer's form. Raises LocalProtocolError with the violations.
        """
        root = self._root_of(message, element)
        encoder, width = self._encoder(peer), self.root_width
        try:
            if root.ambiguous and self._relaxed(peer):
                body = self._relaxed_bits(root, encoder, message)
            elif hasattr(type(message), "__exi__"):
                body = encoder.function(message.__class__)(message)
            else:
                simple = _simple_of(root)
                assert simple is not None  # checked by `_root_of`
                body = f"0{encoder.coder(simple)[message]}0"
        except Exception as error:
            raise self._explain(message, root.qname.local, error) from error
        bits = f"{HEADER}{self.roots.index(root):0{width}b}{body}{len(self.roots) + 1:0{width}b}"
        bits += "0" * (-len(bits) & 7)
        return int(bits, 2).to_bytes(len(bits) >> 3, "big")

    def _root_of(self, message: object, element: str | None) -> Root:
        cls = message.__class__
        if element is None:
            fitting = [root for root in self.roots if cls in root.types]
            named = [root for root in fitting if root.qname.local == cls.__name__]
            if len(named or fitting) == 1:
                return (named or fitting)[0]
            names = ", ".join(root.qname.local for root in fitting)
            raise LocalProtocolError(
                f"{cls.__name__}: `element` is required, one of: {names or 'none of ' + self.name}"
            )
        named = self._named(element)
        if hasattr(cls, "__exi__"):
            fitting = [root for root in named if cls in root.types]
        else:
            fitting = [root for root in named if _simple_of(root) is not None]
            if len(fitting) > 1:
                fitting = [root for root in fitting if _accepts(root, message)] or fitting
        if not fitting:
            raise LocalProtocolError(f"{element} is no {cls.__name__}")
        return fitting[0]

    def _named(self, element: str) -> list[Root]:
        """Return the elements with a local name, global ones first; more than one if namespaces share the name."""
        found = [root for root in self.roots if root.qname.local == element]
        if not found:
            raise LocalProtocolError(f"{element} is no element of {self.name}")
        return sorted(found, key=lambda root: root.qname not in self._global)

    # -- reading

    def _read(self, decoder: Decoder, s: str, data: bytes) -> tuple[str, object]:
        width, roots = self.root_width, self.roots
        bits = s[8 : 8 + width]
        if len(bits) < width:
            raise IndexError
        index = int(bits, 2)
        if index >= len(roots):
            raise DecodeFault(8, f"element number {index} of {len(roots)}: foreign content")
        root = roots[index]
        name = root.qname.local
        if root.ambiguous:
            decoder.divergent.append(True)
        if root.ambiguous and decoder.relaxed:
            value, p = self._read_relaxed(root, decoder, s, data, 8 + width)
        else:
            value, p = self._read_plain(root.types[-1], root, decoder, s, data, 8 + width)
        if s[p : p + width] != f"{len(roots) + 1:0{width}b}":
            raise DecodeFault(p, "the fragment does not end here" if len(s) >= p + width else "the fragment has no end")
        self.end_bit = p + width
        return name, value

    def _read_plain(
        self, kind: Simple | type[object], root: Root, decoder: Decoder, s: str, data: bytes, p: int
    ) -> tuple[object, int]:
        if isinstance(kind, Simple):
            field = Field(root.qname.local, root.qname, False, None, False, 1, 1, kind, (Member(root.qname, None),))
            return element_reader(kind, decoder.value_reader(field))(s, data, p)
        if declaration(kind).abstract:
            raise DecodeFault(8, f"{root.qname.local} is abstract")
        return decoder.function(kind)(s, data, p)

    # -- the relaxed grammar of ambiguous names

    def _relaxed_bits(self, root: Root, encoder: Encoder, message: Any) -> str:
        out, text, value = [], encoder.coder(UNTYPED), message
        if hasattr(type(message), "__exi__"):
            described = self.schema.describe(message.__class__)
            if described.value is None or described.elements:
                raise InvalidValue("only text with attributes can be written under an ambiguous name")
            for field in described.attributes:
                given = getattr(message, field.name)
                if given is not None:
                    encoder.coder(simple_of(field))[given]  # enforces the declaration
                    out.append(f"{self.attribute_names.index(field.qname):0{self.start_width}b}{text[given]}")
                elif field.least:
                    raise InvalidValue(f"{field.name} is missing")
            kind: Simple | None = simple_of(described.value)
            value = message.value
        else:
            kind = _simple_of(root)
        assert kind is not None  # checked by `_root_of`
        encoder.coder(kind)[value]
        elements = len(self.roots)
        out.append(f"{len(self.attribute_names) + elements + 3:0{self.start_width}b}{text[value]}")
        out.append(f"{elements + 1:0{self.content_width}b}")
        return "".join(out)

    def _read_relaxed(self, root: Root, decoder: Decoder, s: str, data: bytes, p: int) -> tuple[object, int]:
        attributes, elements = self.attribute_names, len(self.roots)
        found: dict[QName, str] = {}
        while True:
            code, start = self._bits(s, p, self.start_width), p
            p += self.start_width
            if code < len(attributes):
                if attributes[code] in found:
                    raise DecodeFault(start, f"attribute {attributes[code].local} comes twice")
                found[attributes[code]], p = self._text(attributes[code], decoder, s, data, p)
                continue
            if code == len(attributes) + elements + 2:
                return self._relaxed_value(root, found, "", start), p
            if code != len(attributes) + elements + 3:
                raise DecodeFault(start, f"undeclared or foreign content (event code {code})")
            text, p = self._text(root.qname, decoder, s, data, p)
            if self._bits(s, p, self.content_width) != elements + 1:
                raise DecodeFault(p, "more content after the text")
            return self._relaxed_value(root, found, text, start), p + self.content_width

    def _text(self, qname: QName, decoder: Decoder, s: str, data: bytes, p: int) -> tuple[str, int]:
        field = Field(qname.local, qname, True, None, False, 1, 1, UNTYPED, ())
        value, q = decoder.value_reader(field)(s, data, p)
        return str(value), q

    def _bits(self, s: str, p: int, width: int) -> int:
        bits = s[p : p + width]
        if len(bits) < width:
            raise IndexError
        return int(bits, 2)

    def _relaxed_value(self, root: Root, found: dict[QName, str], text: str, p: int) -> object:
        """Return the object or plain value of these attributes and text, checked against its limits."""
        for kind in root.types:
            described: Type | None = None if isinstance(kind, Simple) else self.schema.describe(kind)
            names = {f.qname: f for f in described.attributes} if described else {}
            needed = {f.qname for f in described.attributes if f.least} if described else set()
            if not needed <= found.keys() <= names.keys():
                continue
            try:
                if isinstance(kind, Simple):
                    Coder(kind)[text]
                    return text
                for qname, value in found.items():
                    Coder(simple_of(names[qname]))[value]
                assert described is not None
                assert described.value is not None
                Coder(simple_of(described.value))[text]
            except InvalidValue as why:
                raise DecodeFault(p, str(why)) from None
            values: dict[str, object] = {names[qname].name: value for qname, value in found.items()}
            values["value"] = text
            return kind(**values)
        raise DecodeFault(p, "attributes that no declaration of this element has")

    # -- JSON

    def to_plain(self, message: object, element: str | None = None) -> dict[str, object]:
        """Return a fragment as a JSON-ready dictionary with its element as the only key."""
        root = self._root_of(message, element)
        for kind in root.types:
            if isinstance(kind, Simple) and not hasattr(type(message), "__exi__"):
                return {root.qname.local: simple_to_plain(kind, message)}
        return {root.qname.local: to_plain(self.schema, message)}

    def from_plain(self, plain: object) -> tuple[str, Any]:
        """Return the element's name and the object of such a dictionary. Raises LocalProtocolError."""
        if not isinstance(plain, dict) or len(plain) != 1:
            raise LocalProtocolError("a fragment is an object with one key, its element")
        ((name, inner),) = plain.items()
        kinds = [kind for root in self._named(name) for kind in root.types]
        if isinstance(inner, dict):
            for kind in kinds:
                if not isinstance(kind, Simple):
                    return name, from_plain(self.schema, kind, inner, name)
        fault = LocalProtocolError(f"{name}: {inner!r} is not an object")
        for kind in kinds:
            if isinstance(kind, Simple):
                try:
                    return name, simple_from_plain(kind, inner, name)
                except LocalProtocolError as error:
                    fault = error
        raise fault

    # -- element and attribute names

    @cached_property
    def roots(self) -> tuple[Root, ...]:
        types: dict[QName, list[Simple | type[object]]] = {name: [] for name in self.schema.element_names}
        for member in self.schema.roots:
            if member.cls is not None:
                types[member.qname].append(member.cls)
        for cls in self.schema.declared():
            for field in self.schema.describe(cls).elements:
                for member in field.members:
                    kind = member.cls or field.simple
                    if kind is not None and kind not in types[member.qname]:
                        types[member.qname].append(kind)
        return tuple(Root(name, tuple(types[name])) for name in self.schema.element_names)

    @cached_property
    def _global(self) -> frozenset[QName]:
        return frozenset(member.qname for member in self.schema.roots)

    @cached_property
    def attribute_names(self) -> tuple[QName, ...]:
        fields = [f for cls in self.schema.declared() for f in self.schema.describe(cls).attributes]
        return tuple(sorted({f.qname for f in fields}))

    @cached_property
    def root_width(self) -> int:
        """Bits of the root's event code: one production per name, one for foreign elements, one for the end."""
        return (len(self.roots) + 1).bit_length()

    @cached_property
    def start_width(self) -> int:
        """Bits of the first event code: AT for each name and any, SE for each name and any, EE, CH, and the escape
        (§8.5.3)."""
        return (len(self.attribute_names) + len(self.roots) + 4).bit_length()

    @cached_property
    def content_width(self) -> int:
        return (len(self.roots) + 3).bit_length()


def _simple_of(root: Root) -> Simple | None:
    """Return the simple type among a name's types, or None."""
    return next((kind for kind in root.types if isinstance(kind, Simple)), None)


def _accepts(root: Root, value: object) -> bool:
    """Return True if a value is within the limits of a name's simple type."""
    simple = _simple_of(root)
    if simple is None:
        return False
    try:
        Coder(simple)[value]
    except (InvalidValue, TypeError):
        return False
    return True
