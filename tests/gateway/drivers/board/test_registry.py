"""Boards by name, their settings, and boards of several drivers."""

from __future__ import annotations

import pytest

from emulators.runtime.clock import VirtualClock
from gateway.drivers.board import registry
from gateway.drivers.board.combined import DRIVER as COMBINED
from gateway.drivers.board.registry import BoardError

NAMES = {"combined", "emulated", "everest", "infypower", "infypower-beg", "winline"}


class StillClock(VirtualClock):
    def now(self) -> float:
        return 0.0


def test_the_drivers_are_entry_points() -> None:
    assert set(registry.names()) >= NAMES
    for name in NAMES:
        assert registry.driver(name).name == name


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("no-such", {}, "unknown board no-such; installed: combined, emulated"),
        ("emulated", {"current": 3}, "board emulated: board_settings.current: Extra inputs are not permitted"),
        ("emulated", {"max_current_a": "many"}, "board_settings.max_current_a: Input should be a valid number"),
        ("infypower-beg", {"channel": "can0"}, "board infypower-beg has no pilot, contactors, meter, isolation"),
        ("winline", {"addresses": [64]}, "board_settings.addresses.0"),
        ("infypower-beg", {"silence_s": 1}, "board_settings.silence_s: Input should be greater than 2"),
        ("everest", {"url": "http://x"}, "board_settings.url"),
    ],
)
def test_wrong_settings_name_the_key(name: str, settings: dict[str, object], message: str) -> None:
    with pytest.raises(BoardError) as raised:
        registry.build(name, settings, StillClock())
    assert message in str(raised.value)


def member(driver: str, *ports: str, **settings: object) -> dict[str, object]:
    return {"driver": driver, "ports": list(ports), "settings": settings}


def test_a_combined_board_has_the_ports_of_its_members() -> None:
    settings = {
        "members": [
            member("emulated", "pilot", "contactors", "isolation", "meter", "lock"),
            member("infypower-beg", "power", channel="can0"),
        ]
    }
    board = registry.build("combined", settings, StillClock())
    assert board.power is not None
    assert board.lock is not None


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([member("winline", "meter")], "winline has no meter"),
        ([member("emulated", "meter"), member("emulated", "meter")], "meter is given twice"),
        ([member("emulated", "engine")], "board_settings.members.0.ports.0"),
        ([], "board_settings.members"),
    ],
)
def test_a_combined_board_names_what_is_wrong(members: list[dict[str, object]], message: str) -> None:
    with pytest.raises(BoardError, match=message):
        COMBINED.build({"members": members}, StillClock())
