"""The check for import circles itself."""

from __future__ import annotations

from tests.import_circles import circles


def test_a_circle_is_found_and_a_chain_is_not() -> None:
    chain = {"a": {"b", "c"}, "b": {"c"}, "c": set[str]()}
    assert circles(chain) == []
    assert circles(chain | {"c": {"a"}}) == [["a", "b", "c"]]


def test_two_circles_that_one_import_connects_stay_two() -> None:
    graph = {"a": {"b"}, "b": {"a", "c"}, "c": {"d"}, "d": {"c"}, "e": {"a"}}
    assert circles(graph) == [["a", "b"], ["c", "d"]]
