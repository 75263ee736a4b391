"""Names of EVSEs in topics and Home Assistant ids: valid, reversible, and as before where they were valid before."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mqtt.acl import User, acl
from gateway.mqtt.discovery import messages
from gateway.mqtt.topics import Kind, ParsedTopic, Topics, device_id, from_topic_level, to_id, to_topic_level

TOPICS = Topics("home", "gw1", mirror="v2x-mirror")
TODAY = re.compile(r"[A-Za-z0-9*\-_=|@.]+")  # signs of names that were valid topics before
NAMES = st.text(min_size=1, max_size=48) | st.text("+#/%$ .@_=*|-xX25F\0\nA", min_size=1, max_size=48)


def evse_state(name: str) -> Any:
    """Return what discovery reads of the state of an EVSE."""
    return SimpleNamespace(evse=name, vendor="V", model="M", protocol="ocpp1.6", station_limits=None)


@given(NAMES, NAMES)
def test_two_names_are_two_topics_and_each_is_valid(one: str, other: str) -> None:
    level = to_topic_level(one)
    assert level.isascii()
    assert not re.search(r"[+#/\0-\x20\x7f]", level)
    assert (level == to_topic_level(other)) is (one == other)
    assert from_topic_level(level) == one
    if TODAY.fullmatch(one):
        assert level == one


@given(NAMES, NAMES)
def test_two_names_are_two_ids_and_each_is_valid(one: str, other: str) -> None:
    part = to_id(one)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", part)
    assert (part == to_id(other)) is (one == other)
    if re.fullmatch(r"[A-Za-z0-9_-]+", one) and not re.search("_x[0-9A-F]{2}", one):
        assert part == one


SIGNS = st.text("_xX5F-Aa", max_size=8)


@given(SIGNS | NAMES, SIGNS | NAMES, SIGNS | NAMES, SIGNS | NAMES)
def test_two_evses_of_any_sites_are_two_devices(site: str, evse: str, other_site: str, other_evse: str) -> None:
    one, other = device_id(site, evse), device_id(other_site, other_evse)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", one)
    assert (one == other) is ((site, evse) == (other_site, other_evse))


@given(st.text("_x5FA", max_size=14))
def test_wherever_a_name_is_divided_into_site_and_evse_it_is_another_device(text: str) -> None:
    divided = [(text[:at], text[at + 1 :]) for at, sign in enumerate(text) if sign == "_"]
    assert len({device_id(*one) for one in divided}) == len(set(divided))


@pytest.mark.parametrize(
    ("one", "other"),
    [(("hq", "x_CP1-1"), ("hq_x", "CP1-1")), (("hq", "x5Fx_CP1-1"), ("hq_x", "CP1-1")), (("a_b", "c"), ("a", "b_c"))],
)
@pytest.mark.parametrize("how", ["device", "components"])
def test_no_entity_of_one_site_is_one_of_another(one: tuple[str, str], other: tuple[str, str], how: str) -> None:
    first, second = (str(messages(Topics(site, "gw"), evse_state(evse), how)) for site, evse in (one, other))
    ids = [set(re.findall(r"'unique_id': '([^']+)'", text)) for text in (first, second)]
    assert ids[0]
    assert not ids[0] & ids[1]


@given(NAMES, st.sampled_from(["discharge", "stop"]))
def test_a_command_reaches_the_evse_that_its_topic_names(name: str, verb: str) -> None:
    assert TOPICS.parse(TOPICS.evse(name, f"cmd/{verb}")) == ParsedTopic(Kind.EVSE_COMMAND, name, verb)
    assert TOPICS.parse(TOPICS.mirrored(name, verb) + "/set") == ParsedTopic(Kind.MIRROR, name, verb)


@given(st.text(max_size=30))
def test_no_level_is_another_name_for_an_evse(level: str) -> None:
    name = from_topic_level(level)
    assert name is None or to_topic_level(name) == level


@pytest.mark.parametrize("level", ["A%2b", "%41", "A%", "A%zz", "A%FF", "A\u00e9", ""])
def test_a_level_that_is_no_name_is_unknown(level: str) -> None:
    assert TOPICS.parse(f"v2x/1/home/evse/{level}/cmd/stop").kind is Kind.UNKNOWN


def test_similar_names_are_two_devices() -> None:
    configs = [messages(TOPICS, evse_state(name), "device") for name in ("CP.1-1", "CP@1-1", "CP_1-1", "CP+1-1")]
    assert len({topic for config in configs for topic in config}) == 4
    assert len({str(one["device"]) for config in configs for one in config.values()}) == 4
    for config in configs:
        for payload in config.values():
            components = payload["components"]
            assert isinstance(components, dict)
            for entity in components.values():
                assert not any("+" in str(entity.get(key, "")) for key in ("state_topic", "command_topic"))


def test_access_lists_name_the_encoded_topic() -> None:
    text = acl(TOPICS, [User("bems", read=["A+B-1"], command=["A+B-1"])])
    assert "v2x/1/home/evse/A%2BB-1/cmd/+" in text
    assert "A+B" not in text
