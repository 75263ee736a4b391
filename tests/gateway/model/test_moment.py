"""Moments: written, read and written again without drifting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.moment import EARLIEST, LATEST, parse_moment, rfc3339


@given(st.floats(EARLIEST, LATEST - 1))
def test_a_moment_survives_being_written_and_read_as_often_as_you_like(wall: float) -> None:
    text = rfc3339(wall)
    assert rfc3339(parse_moment(text)) == text
    assert abs(parse_moment(text) - wall) < 0.00051


@pytest.mark.parametrize(
    "value", ["2026-01-31T12:00:00", "yesterday", "", 12, 1.7e12, True, None, [], float("nan"), float("inf")]
)
def test_what_is_no_moment_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="must"):
        parse_moment(value)


def test_zones_and_unix_seconds() -> None:
    assert parse_moment("2026-01-31T21:00:00+09:00") == parse_moment("2026-01-31T12:00:00Z") == parse_moment(1769860800)
