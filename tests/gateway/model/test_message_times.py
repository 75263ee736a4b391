"""Times in messages: format, parse and limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.message import EARLIEST, LATEST, parse_moment, rfc3339


@given(st.floats(EARLIEST, LATEST - 1))
def test_format_and_parse_repeat_without_drift(wall: float) -> None:
    text = rfc3339(wall)
    assert rfc3339(parse_moment(text)) == text
    assert abs(parse_moment(text) - wall) < 0.00051


@pytest.mark.parametrize(
    "value", ["2026-01-31T12:00:00", "yesterday", "", 12, 1.7e12, True, None, [], float("nan"), float("inf")]
)
def test_an_invalid_time_is_rejected(value: object) -> None:
    with pytest.raises(ValueError, match="must"):
        parse_moment(value)


def test_zones_and_unix_seconds() -> None:
    assert parse_moment("2026-01-31T21:00:00+09:00") == parse_moment("2026-01-31T12:00:00Z") == parse_moment(1769860800)
