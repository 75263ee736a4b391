"""The garbage collector: what is there is left alone, what becomes garbage later still goes."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from gateway import garbage_collection


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = gc.get_threshold()
    gc.unfreeze()
    yield
    gc.freeze()
    gc.set_threshold(*before)


class Node:
    """One that can be in a cycle."""

    def __init__(self) -> None:
        self.other: Node | None = None


def cycle() -> tuple[Node, weakref.ref[Node]]:
    one, other = Node(), Node()
    one.other, other.other = other, one
    return one, weakref.ref(one)


def test_existing_objects_are_not_traversed_and_later_garbage_is_collected() -> None:
    kept, _ = cycle()
    walked = len(gc.get_objects())
    garbage_collection.settle()
    assert gc.get_freeze_count() > 1000
    assert len(gc.get_objects()) < walked / 10  # what a full collection looks at from now on
    one, seen = cycle()
    del one
    gc.collect()
    assert seen() is None
    assert kept.other is not None


def test_frozen_objects_that_become_garbage_are_collected_hourly() -> None:
    one, seen = cycle()
    garbage_collection.settle()
    del one
    gc.collect()
    assert seen() is not None  # frozen
    gc.unfreeze()
    garbage_collection.settle()
    assert seen() is None
