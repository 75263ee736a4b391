"""Frames and property maps: captured frames of real devices, laws, wrong lengths."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.echonet.frames import (
    CONTROLLER,
    LONGEST_FRAME,
    WITH_TWO_LISTS,
    EchonetFrameError,
    Eoj,
    Esv,
    Frame,
    Property,
    decode_map,
    encode_map,
)
from protocols.errors import LocalProtocolError
from tests.protocols.echonet.captured import BATTERY_ANSWER, MAPS

eojs = st.builds(Eoj, st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))
lists = st.lists(st.builds(Property, st.integers(0, 255), st.binary(max_size=255)), max_size=12).map(tuple)


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    esv = draw(st.sampled_from(Esv))
    second = draw(lists) if esv in WITH_TWO_LISTS else ()
    return Frame(draw(st.integers(0, 0xFFFF)), draw(eojs), draw(eojs), esv, draw(lists), second)


@given(frames())
def test_every_frame_decodes_to_itself(frame: Frame) -> None:
    assert Frame.decode(frame.encode()) == frame


@given(frames(), st.data())
def test_a_frame_that_ends_early_or_late_is_refused(frame: Frame, data: st.DataObject) -> None:
    encoded = frame.encode()
    with pytest.raises(EchonetFrameError):
        Frame.decode(encoded[: data.draw(st.integers(0, len(encoded) - 1))])
    with pytest.raises(EchonetFrameError):
        Frame.decode(encoded + b"\0")


@given(st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(lambda tail: b"\x10\x81" + tail)))
def test_arbitrary_bytes_raise_one_error_only(data: bytes) -> None:
    with suppress(EchonetFrameError):
        assert Frame.decode(data).encode() == data


@given(st.frozensets(st.integers(0x80, 0xFF)))
def test_every_property_map_decodes_to_itself(epcs: frozenset[int]) -> None:
    encoded = encode_map(epcs)
    assert decode_map(encoded) == epcs
    assert len(encoded) == (1 + len(epcs) if len(epcs) < 16 else 17)


@given(st.binary(max_size=40))
def test_an_arbitrary_property_map_has_properties_or_an_error(data: bytes) -> None:
    with suppress(EchonetFrameError):
        assert all(0x80 <= epc <= 0xFF for epc in decode_map(data))


def test_the_captured_answer_of_a_storage_battery() -> None:
    frame = Frame.decode(BATTERY_ANSWER)
    assert (frame.tid, frame.source, frame.destination, frame.esv) == (0x46, Eoj(2, 0x7D, 2), CONTROLLER, Esv.GET_RES)
    assert len(frame.properties) == 10
    assert frame.properties[1] == Property(0xA0, bytes.fromhex("00002710"))
    assert frame.encode() == BATTERY_ANSWER


@pytest.mark.parametrize("epcs", [*MAPS.values()], ids=[*MAPS])
def test_the_property_maps_of_real_devices(epcs: frozenset[int]) -> None:
    assert decode_map(encode_map(epcs)) == epcs


def test_a_bitmap_has_the_low_nibble_as_byte_and_the_high_nibble_as_bit() -> None:
    epcs = set(range(0x80, 0x90)) | {0xF0}
    assert encode_map(epcs) == bytes((17, 0b10000001, *[1] * 15))
    assert encode_map({0x9E, 0x80}) == bytes((2, 0x80, 0x9E))


def test_a_frame_that_cannot_be_encoded_is_a_local_error() -> None:
    one = Property(0x80, bytes(255))
    frame = Frame(1, CONTROLLER, CONTROLLER, Esv.SETGET, (one,) * 255, (one,) * 255)
    for wrong, text in (
        (frame, f"does not fit a datagram|{LONGEST_FRAME}"),
        (Frame(0x10000, CONTROLLER, CONTROLLER, Esv.GET, ()), "out of range"),
        (Frame(1, CONTROLLER, CONTROLLER, Esv.GET, (one,) * 256), "out of range"),
        (Frame(1, CONTROLLER, CONTROLLER, Esv.SETC, (Property(0x80, bytes(256)),)), "out of range"),
        (Frame(1, CONTROLLER, CONTROLLER, Esv.GET, (), (one,)), "one list"),
    ):
        with pytest.raises(LocalProtocolError, match=text):
            wrong.encode()
    with pytest.raises(LocalProtocolError, match="0x80 to 0xFF"):
        encode_map({0x7F})


def test_the_text_of_an_object() -> None:
    assert str(Eoj(2, 0x7E)) == "027E01"
    assert Eoj(2, 0x7E).class_code == 0x027E
