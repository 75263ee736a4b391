"""Properties with shared tables are those of paho."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import paho.mqtt.client as paho
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt import MQTTException
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gateway.mqtt.properties import SharedTables, properties_of, share_tables

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff"), max_size=20)
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "PayloadFormatIndicator": st.integers(0, 1),
        "MessageExpiryInterval": st.integers(0, 2**32 - 1),
        "ContentType": TEXTS,
        "ResponseTopic": TEXTS,
        "CorrelationData": st.binary(max_size=20),
        "SubscriptionIdentifier": st.lists(st.integers(1, 268_435_455), min_size=1, max_size=2),
        "UserProperty": st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=3),
    },
)


def filled(kind: Callable[[int], Any], values: dict[str, object]) -> Any:
    made: Any = kind(PacketTypes.PUBLISH)
    for name, value in values.items():
        setattr(made, name, value)
    return made


@given(VALUES)
def test_they_are_packed_and_read_as_by_paho(values: dict[str, object]) -> None:
    packed = filled(SharedTables, values).pack()
    assert packed == filled(Properties, values).pack()
    read: Any = SharedTables(PacketTypes.PUBLISH)
    _, length = read.unpack(packed)
    again: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    again.unpack(packed)
    assert (length, read.json()) == (len(packed), again.json())


@given(st.binary(max_size=30))
def test_the_same_bytes_are_rejected(data: bytes) -> None:
    def outcome(kind: Callable[[int], Properties]) -> object:
        read: Any = kind(PacketTypes.PUBLISH)
        try:
            return read.unpack(bytes([len(data)]) + data)[1], read.json()
        except Exception as error:
            return type(error), str(error)

    assert outcome(SharedTables) == outcome(Properties)


def test_one_object_does_not_change_another() -> None:
    share_tables()
    used_by_clients: Any = vars(paho)["Properties"]
    first = used_by_clients(PacketTypes.PUBLISH)
    first.ContentType = "a"
    second = used_by_clients(PacketTypes.PUBACK)
    assert second.isEmpty()
    assert second.names is first.names
    with pytest.raises(MQTTException):
        second.ContentType = "a"  # PUBACK has none


def test_properties_of_a_message_are_packed_once() -> None:
    made, again = [properties_of(b"1", "a/b", 3, (("a", "b"),)) for _ in range(2)]
    assert made is again
    packed: bytes = made.pack()  # type: ignore[no-untyped-call]
    assert again.pack() is packed  # type: ignore[no-untyped-call]
    expected = {
        "CorrelationData": b"1",
        "ResponseTopic": "a/b",
        "MessageExpiryInterval": 3,
        "UserProperty": [("a", "b")],
    }
    assert packed == filled(Properties, expected).pack()
