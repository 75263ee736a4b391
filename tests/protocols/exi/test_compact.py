"""What recurs within and between messages: RationalNumber and similar types in pieces, headers as a whole."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bench.exi_loop import loop_request
from protocols.errors import LocalProtocolError
from protocols.exi.codec import Codec, ExiError
from protocols.exi.compact import CACHED_PIECES
from protocols.exi.encoder import CACHED_HEADS, CACHED_NUMBERS
from protocols.iso15118.codecs import ISO20_DC
from protocols.iso15118.iso20.dc import DC_PreChargeReq, Dynamic_DC_CLReqControlMode
from protocols.iso15118.iso20.types import MessageHeader, Processing, RationalNumber
from protocols.iso15118.xmldsig import (
    CanonicalizationMethod,
    DigestMethod,
    Reference,
    Signature,
    SignatureMethod,
    SignatureValue,
    SignedInfo,
)

HEADER = MessageHeader(SessionID=bytes(range(1, 9)), TimeStamp=1_725_456_333)
VALUE_AT = 154  # bit of the first Value in a DC_PreChargeReq
NEAR = [edge + off for edge in (-32768, -16384, -128, 0, 128, 16384, 32768) for off in range(-129, 130)]
EDGES = [value for value in NEAR if -32768 <= value <= 32767]


def message(*numbers: RationalNumber) -> DC_PreChargeReq:
    """Return a message with two numbers."""
    first, second = numbers
    return DC_PreChargeReq(
        Header=HEADER, EVProcessing=Processing.Ongoing, EVPresentVoltage=first, EVTargetVoltage=second
    )


def number(exponent: int, value: int) -> RationalNumber:
    """Return a RationalNumber."""
    return RationalNumber(Exponent=exponent, Value=value)


def bits(value: int, groups: int = 1) -> str:
    """Return an Integer (EXI 1.0 §7.1.5) of at least so many groups, step by step."""
    found: list[int] = []
    rest = ~value if value < 0 else value
    while rest or len(found) < groups:
        found.append(rest & 127)
        rest >>= 7
    text = "".join(f"{int(i < len(found) - 1)}{group:07b}" for i, group in enumerate(found))
    return f"{int(value < 0)}{text}"


def stream(value: str) -> bytes:
    """Return the stream of a message whose first Value has these bits."""
    zero, data = bits(0), ISO20_DC.encode(message(number(-1, 0), number(-1, 4000)))
    text = f"{int.from_bytes(data, 'big'):b}"
    assert text[VALUE_AT:].startswith(zero)
    text = text[:VALUE_AT] + value + text[VALUE_AT + len(zero) :]
    text += "0" * (-len(text) & 7)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def test_each_number_is_written_and_read() -> None:
    for value in EDGES:
        written = ISO20_DC.encode(message(number(-1, value), number(3, 4000)))
        assert f"{int.from_bytes(written, 'big'):b}"[VALUE_AT:].startswith(f"{bits(value)}00")
        assert ISO20_DC.decode(written) == message(number(-1, value), number(3, 4000))


def compiled_functions(work: Callable[[], object]) -> list[str]:
    """Return the names of the compiled functions that are called."""
    found: list[str] = []
    sys.setprofile(lambda frame, event, argument: found.append(frame.f_code.co_filename) if event == "call" else None)
    try:
        work()
    finally:
        sys.setprofile(None)
    return [name for name in found if name.startswith("<exi")]


@given(st.lists(st.tuples(st.integers(-128, 127), st.integers(-32768, 32767)), min_size=2, max_size=40))
def test_numbers_read_the_same_by_a_new_codec(row: list[tuple[int, int]]) -> None:
    fresh = Codec("iso20-dc", ISO20_DC.modules, ISO20_DC.peers)  # it has not met any piece yet
    for first, second in pairwise(row):
        sent = message(number(*first), number(*second))
        assert fresh.decode(ISO20_DC.encode(sent)) == sent == ISO20_DC.decode(fresh.encode(sent))


@pytest.mark.parametrize("groups", [2, 3, 4, 9])
@pytest.mark.parametrize("value", [0, 5, -1, -128])
def test_superfluous_groups_are_read(value: int, groups: int) -> None:
    for _ in range(3):
        assert ISO20_DC.decode(stream(bits(value, groups))).EVPresentVoltage == number(-1, value)


@pytest.mark.parametrize("value", [32768, -32769, 65535, 100_000, -(2**20)])
def test_a_number_beyond_the_limits_is_refused_although_its_pieces_occur(value: int) -> None:
    for known in (value & 127, 32767, -32768, 16384):
        ISO20_DC.decode(stream(bits(known)))
    for _ in range(3):
        with pytest.raises(ExiError, match=r"EVPresentVoltage/Value, bit 154: -?\d+ is (more|less) than the m"):
            ISO20_DC.decode(stream(bits(value)))


def test_undeclared_content_is_refused_although_the_number_was_read_before() -> None:
    for value in (7, 300, -20_000):
        ISO20_DC.decode(stream(bits(value)))
        for at in (140, 141, 142, 151, 152, 153, VALUE_AT + len(bits(value)), VALUE_AT + len(bits(value)) + 1):
            data = stream(bits(value))
            foreign = int.from_bytes(data, "big") | 1 << 8 * len(data) - 1 - at
            with pytest.raises(ExiError):
                ISO20_DC.decode(foreign.to_bytes(len(data), "big"))


@pytest.mark.parametrize("value", [5.0, Decimal(-300), Fraction(16384), True])
def test_a_number_equal_to_an_integer_is_that_integer(value: Any) -> None:
    assert ISO20_DC.decode(ISO20_DC.encode(message(number(-1, value), number(-1, 1)))).EVPresentVoltage.Value == int(
        value
    )


@pytest.mark.parametrize("value", [5.5, float("nan"), float("inf"), "5", None, [5], 32768, -32769])
def test_any_other_value_is_named(value: Any) -> None:
    with pytest.raises(LocalProtocolError, match="EVPresentVoltage/Value"):
        ISO20_DC.encode(message(number(-1, value), number(-1, 1)))


def test_tables_of_hostile_numbers_are_bounded() -> None:
    codec = Codec("iso20-dc", ISO20_DC.modules, ISO20_DC.peers)
    for i in range(12_000):
        sent = message(number(i % 256 - 128, i * 7919 % 65536 - 32768), number(3, i))
        assert codec.decode(codec.encode(sent)) == sent
    tables = [one for one in codec._decoder(None, False).scope.values() if isinstance(one, dict)]
    numbers = codec._encoder(None).scope[codec._encoder(None).compact_name(RationalNumber)]
    assert len(numbers) <= CACHED_HEADS
    assert all(len(row) <= CACHED_NUMBERS for row in numbers.values())
    assert all(len(table) <= CACHED_PIECES for table in tables)
    tails = [head[-1] for table in tables for head in table.values() if isinstance(head, tuple)]
    assert tails
    assert all(len(table) <= CACHED_PIECES for table in tails if isinstance(table, dict))


def test_an_unsigned_header_is_read_once() -> None:
    codec = Codec("iso20-dc", ISO20_DC.modules, ISO20_DC.peers)
    first, second = (codec.decode(ISO20_DC.encode(message(number(0, i), number(0, 1)))) for i in range(2))
    assert first.Header is second.Header
    signed = SignedInfo(
        CanonicalizationMethod=CanonicalizationMethod(Algorithm="c"),
        SignatureMethod=SignatureMethod(Algorithm="s"),
        Reference=(Reference(DigestMethod=DigestMethod(Algorithm="d"), DigestValue=b"1"),),
    )
    header = replace(HEADER, Signature=Signature(SignedInfo=signed, SignatureValue=SignatureValue(value=b"2")))
    sent = [ISO20_DC.encode(replace(message(number(0, i), number(0, 1)), Header=header)) for i in range(2)]
    third, fourth = map(codec.decode, sent)
    assert third.Header == header == fourth.Header
    assert third.Header is not fourth.Header  # its references are a list, whose length a peer may encode differently


def test_a_control_mode_that_is_sent_again_is_encoded_once() -> None:
    codec = Codec("iso20-dc", ISO20_DC.modules, ISO20_DC.peers)
    first = loop_request(vary=True)
    again = replace(first, EVPresentVoltage=number(0, 1))
    mode = first.CLReqControlMode
    assert isinstance(mode, Dynamic_DC_CLReqControlMode)
    changed = replace(first, CLReqControlMode=replace(mode, DepartureTime=1))
    invalid = replace(first, CLReqControlMode=replace(mode, DepartureTime=-1))
    for sent in (first, again, changed, first, again):
        assert ISO20_DC.decode(codec.encode(sent)) == sent
        with pytest.raises(LocalProtocolError, match="DepartureTime"):
            codec.encode(invalid)
    codec.encode(first)
    assert not any("CLReqControlMode" in name for name in compiled_functions(lambda: codec.encode(again)))
    assert any("CLReqControlMode" in name for name in compiled_functions(lambda: codec.encode(changed)))
