"""Vendor profiles: keys of earlier versions."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from protocols.ocpp import vendor

PROFILE = """
name = "acme"
ocpp = ["1.6"]

[setpoint]
channel = "limit"
"""


def written(folder: Path, *lines: str) -> Path:
    path = folder / "acme.toml"
    path.write_text(PROFILE + "\n".join(lines))
    return path


@pytest.mark.parametrize(("old", "new"), [("dead_man", "watchdog"), ("safe_profile", "fallback_profile")])
def test_a_former_key_loads_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, old: str, new: str
) -> None:
    with caplog.at_level(logging.WARNING):
        former = vendor.read(written(tmp_path, f"{old} = false"))
    assert f"setpoint.{old} is now called setpoint.{new}" in caplog.text
    assert former == vendor.read(written(tmp_path, f"{new} = false"))
    assert getattr(former.setpoint, new) is False


def test_the_present_keys_load_without_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    profile = vendor.read(written(tmp_path, "watchdog = false", "fallback_profile = false"))
    assert (profile.setpoint.watchdog, profile.fallback_profile) == (False, False)
    assert not caplog.records


def test_both_names_of_a_key_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(vendor.BadProfile, match="dead_man is the former name"):
        vendor.read(written(tmp_path, "dead_man = true", "watchdog = true"))
