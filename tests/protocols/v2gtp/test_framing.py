"""V2GTP: the frames are independent of the segmentation of a stream."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import LocalProtocolError
from protocols.v2gtp import HEADER_SIZE, LARGEST_PAYLOAD, Frame, Framer, FramingError, PayloadType, frame, parse

FRAMES = st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=80)), max_size=8)


def feed(framer: Framer, data: bytes, cuts: list[int]) -> list[Frame]:
    frames: list[Frame] = []
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, end in pairwise(edges):
        frames += framer.feed(data[start:end])
    return frames


@given(FRAMES, st.lists(st.integers(0, 2000), max_size=30))
def test_framing_ignores_how_bytes_arrive(sent: list[tuple[int, bytes]], cuts: list[int]) -> None:
    data = b"".join(frame(kind, payload) for kind, payload in sent)
    framer = Framer()
    assert feed(framer, data, cuts) == [Frame(kind, payload) for kind, payload in sent]
    assert framer.pending == 0


@given(FRAMES, st.integers(1, 80))
def test_a_truncated_message_is_detected(sent: list[tuple[int, bytes]], missing: int) -> None:
    data = b"".join(frame(kind, payload) for kind, payload in [*sent, (0x8002, b"x" * 80)])
    framer = Framer()
    assert len(framer.feed(data[:-missing])) == len(sent)
    assert framer.pending == HEADER_SIZE + 80 - missing


@given(st.binary(max_size=200))
def test_arbitrary_bytes_give_frames_or_a_framing_error(data: bytes) -> None:
    framer = Framer()
    try:
        frames = framer.feed(data)
    except FramingError:
        return
    assert sum(HEADER_SIZE + len(one.payload) for one in frames) + framer.pending == len(data)


def test_a_golden_frame() -> None:
    request = bytes.fromhex("01fe9000000000021000")
    assert frame(PayloadType.SDP_REQUEST, b"\x10\x00") == request
    assert parse(request) == Frame(PayloadType.SDP_REQUEST, b"\x10\x00")


def test_wrong_version_bytes_are_marked() -> None:
    assert Framer().feed(bytes.fromhex("02fd800200000001ff")) == [Frame(0x8002, b"\xff", well_formed=False)]


@pytest.mark.parametrize("length", [LARGEST_PAYLOAD + 1, 2**32 - 1])
def test_an_excessive_length_is_rejected_at_once(length: int) -> None:
    with pytest.raises(FramingError):
        Framer().feed(b"\x01\xfe\x80\x02" + length.to_bytes(4, "big"))


def test_the_largest_payload_passes() -> None:
    assert len(Framer().feed(frame(0x8002, bytes(LARGEST_PAYLOAD)))[0].payload) == LARGEST_PAYLOAD
    with pytest.raises(LocalProtocolError):
        frame(0x8002, bytes(LARGEST_PAYLOAD + 1))


@pytest.mark.parametrize("datagram", [b"", b"\x01\xfe\x90", bytes.fromhex("01fe90000000000310"), b"\0" * 9])
def test_a_datagram_holds_one_whole_frame(datagram: bytes) -> None:
    with pytest.raises(FramingError):
        parse(datagram)
