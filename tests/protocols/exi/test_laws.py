"""Properties of every message of every type."""

from __future__ import annotations

import contextlib
import copy
import json
import pickle
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.errors import RemoteProtocolError
from protocols.exi.codec import Codec
from protocols.exi.explain import explain
from protocols.exi.fragment import FragmentCodec
from protocols.exi.lookups import number_reader
from protocols.exi.readers import DecodeFault
from protocols.exi.schema import Kind, Simple, declaration
from protocols.exi.values import Coder
from protocols.iso15118.codecs import BY_NAME, DIN, ISO2, ISO20_AC, ISO20_COMMON, ISO20_DC, SAP, XMLDSIG_FRAGMENT
from tests.protocols.exi.strategies import UNREADABLE, messages, values
from tests.rounds import rounds, some

SIGNATURES = "http://www.w3.org/2000/09/xmldsig#"


def roots(codec: Codec) -> list[type[Any]]:
    """Return the classes that can be messages of a codec; those of XML Signature only for their own codec."""
    return [
        member.cls
        for member in codec.schema.roots
        if member.cls is not None
        and not member.abstract
        and (member.qname.uri != SIGNATURES or codec is XMLDSIG_FRAGMENT)
        and member.cls.__name__ not in UNREADABLE
    ]


EVERY_TYPE = [
    (codec, cls)
    for codec in (SAP, DIN, ISO2, ISO20_COMMON, ISO20_DC, ISO20_AC, XMLDSIG_FRAGMENT)
    for cls in roots(codec)
]


@pytest.mark.parametrize(
    ("codec", "cls"), some(EVERY_TYPE, 4), ids=lambda one: one.name if isinstance(one, Codec) else one.__name__
)
@settings(max_examples=rounds(3, 6))
@given(data=st.data())
def test_what_is_written_reads_the_same(codec: Codec, cls: Any, data: st.DataObject) -> None:
    message = data.draw(messages(codec.schema, cls))
    written = codec.encode(message)
    element, read = codec.decode_element(written, lenient=False)
    assert (element, read) == (cls.__name__, message)
    assert type(read) is cls
    assert codec.encode(read) == written
    plain = json.loads(json.dumps(codec.to_plain(message)))
    assert codec.from_plain(plain) == (cls.__name__, message)


@pytest.mark.parametrize(
    "codec", [SAP, DIN, ISO2, ISO20_COMMON, ISO20_DC, ISO20_AC, XMLDSIG_FRAGMENT], ids=lambda codec: codec.name
)
@settings(max_examples=20)
@given(data=st.data())
def test_an_explanation_covers_every_bit_once(codec: Codec, data: st.DataObject) -> None:
    cls = data.draw(st.sampled_from(roots(codec)))
    written = codec.encode(data.draw(messages(codec.schema, cls)))
    steps = list(explain(codec, written))
    assert not any(step.fault for step in steps)
    assert steps[0].bit == 0
    for step, following in pairwise(steps):
        assert step.bit < following.bit
        if "..." not in step.bits:
            assert step.bit + len(step.bits.replace(" ", "")) == following.bit


@settings(max_examples=rounds(20, 60))
@given(data=st.data())
def test_fragments_read_the_same(data: st.DataObject) -> None:
    codec = data.draw(st.sampled_from([c for c in BY_NAME.values() if isinstance(c, FragmentCodec)]))
    root = data.draw(st.sampled_from([r for r in codec.roots if r.qname.local not in UNREADABLE]))
    kind = data.draw(st.sampled_from(root.types))
    if isinstance(kind, Simple):
        message = data.draw(values(kind))
    elif declaration(kind).abstract:
        return
    else:
        message = data.draw(messages(codec.schema, kind))
    written = codec.encode(message, element=root.qname.local)
    assert codec.decode_element(written, lenient=False) == (root.qname.local, message)
    assert not any(step.fault for step in explain(codec, written))
    plain = json.loads(json.dumps(codec.to_plain(message, root.qname.local)))
    assert codec.from_plain(plain) == (root.qname.local, message)


@settings(max_examples=rounds(40, 150))
@given(name=st.sampled_from(sorted(BY_NAME)), data=st.data())
def test_any_bytes_are_a_message_or_one_error(name: str, data: st.DataObject) -> None:
    codec = BY_NAME[name]
    noise = b"\x80" + data.draw(st.binary(max_size=200))
    try:
        element, message = codec.decode_element(noise)
    except RemoteProtocolError:
        assert any(step.fault for step in explain(codec, noise))
        return
    assert codec.decode_element(codec.encode(message, element=element), lenient=False) == (element, message)


@settings(max_examples=rounds(40, 150))
@given(data=st.data())
def test_flipped_bits_are_a_message_or_one_error(data: st.DataObject) -> None:
    codec = data.draw(st.sampled_from([SAP, ISO2, ISO20_COMMON, ISO20_DC, ISO20_AC]))
    cls = data.draw(st.sampled_from(roots(codec)))
    written = bytearray(codec.encode(data.draw(messages(codec.schema, cls))))
    for bit in data.draw(st.lists(st.integers(8, 8 * len(written) - 1), min_size=1, max_size=4)):
        written[bit >> 3] ^= 128 >> (bit & 7)
    with contextlib.suppress(RemoteProtocolError):
        codec.encode(codec.decode(bytes(written)))


@settings(max_examples=30)
@given(data=st.data())
def test_messages_are_values(data: st.DataObject) -> None:
    codec = data.draw(st.sampled_from([ISO2, ISO20_COMMON, ISO20_DC]))
    cls = data.draw(st.sampled_from(roots(codec)))
    message = data.draw(messages(codec.schema, cls))
    read = codec.decode(codec.encode(message))
    assert read == message
    assert hash(read) == hash(message)
    assert pickle.loads(pickle.dumps(read)) == copy.deepcopy(message) == message
    assert repr(read) == repr(message)
    assert declaration(cls).name == cls.__name__


@given(st.integers(0, 2**36 - 1), st.lists(st.integers(0, 2**14 - 1), max_size=3), st.booleans(), st.integers(1, 48))
def test_numbers_with_known_upper_groups_read_the_same(first: int, lower: list[int], signed: bool, cut: int) -> None:
    simple = Simple(Kind.SIGNED, -(2**63), 2**63 - 1) if signed else Simple(Kind.UNSIGNED, 0, 2**64 - 1)
    read, code = number_reader(simple, "00", {}), Coder(simple)
    for number in (first, *(first >> 14 << 14 | low for low in lower)):
        bits = f"00{code[number]}0"
        assert read("", f"1{bits}1", b"", 1) == (number, 1 + len(bits))
        with pytest.raises((IndexError, DecodeFault)):
            read("", bits[:-cut], b"", 0)


def test_prepared_messages_compile_no_codec() -> None:
    codec = Codec("prepared", lambda: ISO20_DC.schema.modules)
    every = [
        cls
        for cls in codec.schema.declared()
        if not declaration(cls).abstract and declaration(cls).namespace.uri != SIGNATURES
    ]
    codec.prepare(writes=every, reads=every)
    decoder, encoder = codec._decoder(None, False), codec._encoder(None)
    stubs = {cls.__name__ for side in (decoder, encoder) for cls in side._names.keys() - side.compiled.keys()}
    assert stubs == {"Signature"}  # of a header: optional, and not named


def test_preparing_to_write_compiles_no_reading() -> None:
    codec = Codec("prepared", lambda: ISO20_DC.schema.modules)
    codec.prepare(writes=roots(codec))
    assert not codec._decoders
