"""Hypothesis strategies for messages, derived from their declarations: any value within the limits, lists up to
full."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from protocols.exi.schema import Field, Kind, Schema, Simple
from protocols.exi.shape import simple_of

LONGEST_TEXT = 40
LONGEST_LIST = 4
FULL_LIST = 20  # lists up to this length are sometimes full
CHARACTERS = st.characters(exclude_categories=["Cs"])
VISIBLE = st.characters(exclude_categories=["Cs", "C", "Z"])  # what XML hands on as it is
UNREADABLE = {"SignatureProperty", "SignatureProperties"}  # must hold a foreign element

PAIRS = {  # as the schema's nested groups require
    "DSAKeyValue": lambda k: (k.P is None) == (k.Q is None) and (k.Seed is None) == (k.PgenCounter is None),
    "PGPData": lambda d: d.PGPKeyID is not None or d.PGPKeyPacket is not None,
    "X509Data": lambda d: bool(d.X509IssuerSerial or d.X509SKI or d.X509SubjectName or d.X509Certificate or d.X509CRL),
    "KeyInfo": lambda k: bool(
        k.KeyName or k.KeyValue or k.RetrievalMethod or k.X509Data or k.PGPData or k.SPKIData or k.MgmtData
    ),
}


def values(simple: Simple, visible: bool = False) -> st.SearchStrategy[Any]:
    """Return any value of a simple type; `visible` omits blanks and control characters."""
    if simple.kind is Kind.BOOLEAN:
        return st.booleans()
    if simple.kind is Kind.ENUMERATION:
        return st.sampled_from(simple.literals)
    low, high = simple.low, simple.high
    if simple.kind is Kind.STRING:
        most = min(high if high is not None else LONGEST_TEXT, LONGEST_TEXT)
        return st.text(VISIBLE if visible else CHARACTERS, min_size=low or 0, max_size=max(most, low or 0))
    if simple.kind is Kind.BINARY:
        most = min(high if high is not None else LONGEST_TEXT, LONGEST_TEXT)
        return st.binary(min_size=low or 0, max_size=max(most, low or 0))
    edges = [edge for edge in (low, high, 0) if edge is not None and (low is None or edge >= low)]
    whole = st.integers(low if low is not None else -(2**200), high if high is not None else 2**200)
    return st.one_of(st.sampled_from(edges), whole)


@functools.cache
def messages(schema: Schema, cls: type[Any], visible: bool = False) -> st.SearchStrategy[Any]:
    """Return any object of a declared class."""
    described = schema.describe(cls)
    choices = [f for f in described.fields if f.choice is not None]
    plain = {f.name: _field(schema, f, visible) for f in described.fields if f.choice is None}
    made = st.fixed_dictionaries(plain)
    if choices:
        optional = choices[0].choice is not None and choices[0].choice.role == "optional choice"
        branches = [st.fixed_dictionaries({f.name: _one(schema, f, visible)}) for f in choices]
        taken = st.one_of(*([st.just({})] if optional else []), *branches)
        made = st.tuples(made, taken).map(lambda both: both[0] | both[1])
    result = made.map(lambda fields: cls(**fields))
    return result.filter(PAIRS[cls.__name__]) if cls.__name__ in PAIRS else result


def _later(schema: Schema, cls: Any, visible: bool) -> Callable[[], st.SearchStrategy[Any]]:
    return lambda: messages(schema, cls, visible)


def _one(schema: Schema, field: Field, visible: bool) -> st.SearchStrategy[Any]:
    if field.simple is not None:
        return values(simple_of(field), visible)
    allowed = [m.cls for m in field.members if m.cls is not None and not m.abstract]
    return st.one_of([st.deferred(_later(schema, cls, visible)) for cls in allowed])


def _field(schema: Schema, field: Field, visible: bool) -> st.SearchStrategy[Any]:
    if not field.is_list:
        one = _one(schema, field, visible)
        return one if field.least else st.none() | one
    if {m.qname.local for m in field.members} <= UNREADABLE:
        return st.just(())
    some = st.lists(_one(schema, field, visible), min_size=field.least, max_size=max(field.least, LONGEST_LIST))
    if field.most is not None and field.most <= LONGEST_LIST:
        some = st.lists(_one(schema, field, visible), min_size=field.least, max_size=field.most)
    elif field.most is not None and field.most <= FULL_LIST:
        full = st.lists(_one(schema, field, visible), min_size=field.most, max_size=field.most)
        some = st.one_of(some, some, some, full)
    return some.map(tuple)
