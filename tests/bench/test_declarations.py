"""Cost of declaring classes with `@frozen` and with `@dataclass`, the reason for `protocols.frozen` (`make bench`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from protocols.frozen import frozen

pytestmark = pytest.mark.benchmark
CLASSES = 100  # about as many as one message set declares


def declare(decorate: Callable[[type[Any]], type[Any]]) -> list[type[Any]]:
    """Declare classes of six fields, and create one object of each, as a first session does."""
    annotations = {"a": "int", "b": "int", "c": "str", "d": "bytes", "e": "int | None", "f": "int | None"}
    space = {"__module__": __name__, "__annotations__": annotations, "e": None, "f": None}
    classes = [decorate(type(f"Message{number}", (), dict(space))) for number in range(CLASSES)]
    for cls in classes:
        assert cls(1, 2, "", b"").e is None
    return classes


@pytest.mark.benchmark(group="declarations")
def test_frozen(benchmark: BenchmarkFixture) -> None:
    assert len(benchmark(declare, frozen)) == CLASSES


@pytest.mark.benchmark(group="declarations")
def test_dataclass(benchmark: BenchmarkFixture) -> None:
    assert len(benchmark(declare, dataclass(frozen=True, slots=True))) == CLASSES
