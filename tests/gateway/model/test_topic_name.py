"""Topics that a broker refuses are never published to."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.model.topic_name import MAX_BYTES, MAX_LEVELS, topic_fault
from gateway.mqtt.topics import Topics, to_topic_level

ANY = st.text(st.characters(codec=None, exclude_categories=()), max_size=40)


@pytest.mark.parametrize(
    "topic",
    ["", "a\x00", "a\x01x", "a\x1f", "a\x7f", "a\x85x", "a\x9f", "a\ufdd0", "a\uffff", "a\ufffe", "a\U0001ffff",
     "a\U0010fffe", "a\ud800", "a\ufeff", "a/+", "a/#", "a+b", "$SYS/x", "$share/x/y", "/".join("a" * 250), "/" * 511,
     "/" * MAX_LEVELS, "a" * (MAX_BYTES + 1), "ä" * (MAX_BYTES // 2 + 1)],
)  # fmt: skip
def test_what_brokers_refuse_is_not_publishable(topic: str) -> None:
    assert topic_fault(topic)


@pytest.mark.parametrize("topic", ["a", "/", "a/b c", "ä/€", "a\xa0", "a" * MAX_BYTES, "/" * (MAX_LEVELS - 1)])
def test_what_brokers_accept_is_publishable(topic: str) -> None:
    assert topic_fault(topic) is None


@given(ANY)
@example("a\U0003fffe")
def test_a_publishable_topic_is_text_without_signs_that_the_standard_advises_against(topic: str) -> None:
    if topic_fault(topic) is None:
        assert 0 < len(topic.encode()) <= MAX_BYTES
        for sign in topic:
            assert unicodedata.category(sign) not in ("Cc", "Cs")
            assert ord(sign) & 0xFFFE != 0xFFFE
            assert not 0xFDD0 <= ord(sign) <= 0xFDEF


@given(ANY.filter(bool))
@example("A+B/#\x00\x85\uffff")
@example("$SYS")
def test_every_name_of_an_evse_makes_a_publishable_topic(name: str) -> None:
    topics = Topics("home", "gw1", mirror="mirror")
    assert topic_fault(to_topic_level(name).lstrip("$") or "x") is None
    assert topic_fault(topics.evse(name, "result")) is None
    assert topic_fault(topics.mirrored(name, "result")) is None
