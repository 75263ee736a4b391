"""Fixtures of several folders."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.store.postgres import Cluster, postgres


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One Postgres for all tests that only need databases of their own; it is not stopped or killed."""
    with postgres(tmp_path_factory.mktemp("postgres")) as running:
        yield running
