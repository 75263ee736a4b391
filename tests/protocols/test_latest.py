"""`Latest` and `Frames`: repeated arguments and messages give the object of before, others never do."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.frozen import frozen
from protocols.iso15118.iso20 import messages
from protocols.iso15118.iso20.common import SessionStopRes
from protocols.iso15118.iso20.messages import Frames, header
from protocols.iso15118.iso20.types import ResponseCode
from protocols.latest import Latest
from protocols.v2gtp import Framer, PayloadType


@frozen
class Value:
    watts: float
    name: str = ""


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["a", "b"]))))
def test_the_result_is_always_that_of_the_present_arguments(calls: list[tuple[int, str]]) -> None:
    made: list[Value] = []

    def make(value: Value, *, name: str) -> Value:
        made.append(Value(value.watts, name))
        return made[-1]

    latest = Latest(make)
    results = [latest(Value(watts), name=name) for watts, name in calls]
    assert [(result.watts, result.name) for result in results] == calls
    changes = sum(1 for before, call in zip([None, *calls], calls, strict=False) if before != call)
    assert len(made) == changes


def test_an_error_is_not_remembered() -> None:
    latest = Latest(int)
    assert latest("1") == 1
    with pytest.raises(ValueError, match="invalid literal"):
        latest("x")
    with pytest.raises(ValueError, match="invalid literal"):
        latest("x")
    assert latest("1") == 1


@given(st.lists(st.integers(0, 2), min_size=1))
def test_frames_of_repeated_and_of_changed_messages(seconds: list[int]) -> None:
    sender, receiver, framer = Frames(), Frames(), Framer()
    sent = {one: SessionStopRes(Header=header(bytes(8), one), ResponseCode=ResponseCode.OK) for one in range(3)}
    received = []
    for one in seconds:
        data = sender.encode(sent[one])
        assert data == messages.encode(sent[one])
        received += [receiver.decode(frame) for frame in framer.feed(data)]
    assert received == [sent[one] for one in seconds]
    for one, (before, message) in zip(seconds[1:], pairwise(received), strict=True):
        assert (message is before) is (before == sent[one])


def test_an_object_is_sent_again_as_a_stream_of_its_own() -> None:
    frames, message = Frames(), SessionStopRes(Header=header(bytes(8), 1), ResponseCode=ResponseCode.OK)
    stream = PayloadType.ISO20_METERING_STREAM
    assert frames.encode(message) != frames.encode(message, stream) == messages.encode(message, stream)
