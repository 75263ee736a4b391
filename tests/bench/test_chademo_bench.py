"""The benchmark of CHAdeMO reports its figures; no speed is asserted."""

from __future__ import annotations

from gateway.bench import chademo


def test_both_engines_are_measured() -> None:
    found = chademo.figures(20.0)
    assert found["engines_s_per_hour"] > 0
    assert found["pair_s_per_hour"] > 0
    assert found["frames_per_s"] > 1000
    assert "aim 2 s" in "\n".join(chademo.text(found))
