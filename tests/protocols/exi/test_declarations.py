"""Comparison of the declarations with the schemas that the PyPI package `iso15118` bundles."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest

from protocols.exi.codec import Codec
from protocols.exi.declare import Particles
from protocols.exi.schema import Field, Kind, Simple, content, declaration
from protocols.iso15118.codecs import DIN, ISO2, ISO20_AC, ISO20_COMMON, ISO20_DC, SAP
from tests.protocols.exi.xsd import Name, Xsd, canonical

SIGNATURE = "xmldsig-core-schema.xsd"
PARTS = ("Def", "Header", "Body", "DataTypes")
SETS = {
    "sap": (SAP, ("V2G_CI_AppProtocol.xsd",)),
    "din": (DIN, (*(f"din_spec/V2G_CI_Msg{part}.xsd" for part in PARTS), SIGNATURE)),
    "iso2": (
        ISO2,
        (*(f"iso15118_2/V2G_CI_Msg{part}.xsd" for part in PARTS), SIGNATURE),
    ),
    **{
        f"iso20-{part}": (codec, (*(f"iso15118_20/V2G_CI_{file}.xsd" for file in files), SIGNATURE))
        for part, codec, files in (
            ("common", ISO20_COMMON, ("CommonMessages", "CommonTypes")),
            ("dc", ISO20_DC, ("DC", "CommonTypes")),
            ("ac", ISO20_AC, ("AC", "CommonTypes")),
        )
    },
}
pytestmark = pytest.mark.peer


@pytest.fixture(params=SETS, scope="module")
def both(request: pytest.FixtureRequest) -> tuple[Codec, Xsd]:
    codec, files = SETS[request.param]
    return codec, Xsd(*files)


def xsd_type(xsd: Xsd, cls: type[Any]) -> Name:
    """Return the name of the complex type that a class declares."""
    declared = declaration(cls)
    if declared.is_element:
        kind = xsd.type_of(xsd.elements[Name(declared.name, declared.namespace.uri)])
        assert isinstance(kind, Name), cls
        return kind
    return Name(f"{declared.name}Type", declared.namespace.uri)


def test_namespaces_qualify_as_the_schemas_do(both: tuple[Codec, Xsd]) -> None:
    codec, xsd = both
    for cls in codec.schema.declared():
        space = declaration(cls).namespace
        assert xsd.forms[space.uri] == (space.qualified_elements, space.qualified_attributes), cls


def test_elements_are_all_there_with_their_abstractness(both: tuple[Codec, Xsd]) -> None:
    codec, xsd = both
    declared = {Name(*member.qname): member.abstract for member in codec.schema.roots}
    assert declared == {name: xsd.is_abstract(node) for name, node in xsd.elements.items()}


def test_types_are_all_there(both: tuple[Codec, Xsd]) -> None:
    codec, xsd = both
    declared = {xsd_type(xsd, cls) for cls in codec.schema.declared()}
    wanted = set(xsd.complex_types())
    bases_only = {  # abstract types without an element of their own, whose heirs extend the head's class instead
        name for name in wanted - declared if xsd.types[name].get("abstract") == "true" and not xsd.fields(name)
    }
    assert declared == wanted - bases_only


def test_types_derive_and_substitute_as_in_the_schemas(both: tuple[Codec, Xsd]) -> None:
    codec, xsd = both
    for cls in codec.schema.elements:
        declared = declaration(cls)
        group = {Name(*member.qname) for member in codec.schema.substitutes(cls)}
        assert group == xsd.group(Name(declared.name, declared.namespace.uri)), cls


def test_fields_have_names_order_cardinality_and_types_of_the_schemas(both: tuple[Codec, Xsd]) -> None:
    codec, xsd = both
    for cls in codec.schema.declared():
        wanted = xsd.fields(xsd_type(xsd, cls))
        described = codec.schema.describe(cls)
        for attributes in (False, True):
            ours = [field for field in described.fields if field.attribute is attributes]
            theirs = [field for field in wanted if field.attribute is attributes]
            if described.declaration.content is None:
                assert [f.name for f in ours] == [f.name.local for f in theirs], cls
            else:
                assert {f.name for f in ours} == {f.name.local for f in theirs}, cls
            for field in ours:
                same = next(f for f in theirs if f.name.local == field.name)
                check_field(codec, xsd, cls, field, same, explicit=described.declaration.content is not None)


def check_field(codec: Codec, xsd: Xsd, cls: type[Any], field: Field, wanted: Any, *, explicit: bool) -> None:
    where = f"{cls.__name__}.{field.name}"
    if field.name != "value":
        assert Name(*field.qname) == wanted.name, where
    if not explicit or field.attribute:
        least = 0 if field.choice is not None else wanted.least
        assert (field.least, field.most) == (least, wanted.most), where
    assert field.is_list == (wanted.most != 1 or (explicit and field.is_list)), where
    if isinstance(wanted.type, Simple):
        ours = field.simple
        assert ours is not None, where
        if ours.kind is Kind.ENUMERATION:
            ours = ours._replace(literals=tuple(literal.value for literal in ours.literals))
        assert ours == wanted.type, where
    elif wanted.reference:
        assert {Name(*m.qname) for m in field.members} == xsd.group(wanted.name), where
    else:
        (member,) = field.members
        assert member.cls is not None, where
        assert xsd_type(xsd, member.cls) == wanted.type, where


def test_choices_and_groups_are_those_of_the_schemas(both: tuple[Codec, Xsd]) -> None:
    codec, xsd = both
    for cls in codec.schema.declared():
        described = codec.schema.describe(cls)
        if described.value is not None:
            continue
        bounds = {f.name: (f.least, f.most) if f.choice is None else (1, 1) for f in described.elements}
        explicit = described.declaration.content is not None
        ours = canonical(particles(content(described), bounds, explicit))
        assert ours == xsd.content(xsd_type(xsd, cls)), cls
        assert described.declaration.mixed == (xsd.types[xsd_type(xsd, cls)].get("mixed") == "true"), cls


def particles(part: Any, bounds: dict[str, tuple[int, int | None]], explicit: bool) -> Any:
    """Return declared content in the form of `Xsd.content`."""
    if isinstance(part, Particles):
        return (part.kind, tuple(particles(p, bounds, explicit) for p in part.parts), part.least, part.most)
    if part == "*":
        return ("*", 1, 1)
    if explicit:
        return (part.rstrip("?"), 0 if part.endswith("?") else 1, 1)
    return (part, *bounds[part])


def test_literals_and_limits_of_types_that_nothing_uses_are_declared_too(both: tuple[Codec, Xsd]) -> None:
    codec, xsd = both
    used = set()
    for cls in codec.schema.declared():
        for field in codec.schema.describe(cls).fields:
            if field.simple is not None and field.simple.kind is Kind.ENUMERATION:
                used.add(tuple(literal.value for literal in field.simple.literals))
    for module in codec.schema.modules:
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Enum) and value.__module__ == module.__name__:
                used.add(tuple(literal.value for literal in value))
    for name, node in xsd.types.items():
        if node.tag.endswith("simpleType"):
            kind = xsd._restricted(node)
            if kind.kind is Kind.ENUMERATION:
                assert kind.literals in used, name
