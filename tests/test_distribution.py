"""A worker that ends in a test costs this test, and the run goes on to its end."""

from __future__ import annotations

import pytest

from tests.distribution import runs_waiting

pytest_plugins = ["pytester"]

CONFTEST = """
from tests.distribution import scheduler
def pytest_xdist_make_scheduler(config, log): return scheduler(config, log)
"""
ENDS = """
import os
def test_before(): pass
def test_that_ends(): os._exit(1)
def test_after(): pass
"""


def test_what_a_worker_left_is_run_by_the_next(pytester: pytest.Pytester) -> None:
    """The module that it had finished is not given out again: a worker without tests would be waited for for ever."""
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_1="def test_it(): pass", test_2=ENDS, test_3="def test_it(): pass")
    done = pytester.runpytest_subprocess("-n", "1", "-p", "no:cacheprovider", timeout=60)
    done.assert_outcomes(passed=4, failed=1)


@pytest.mark.parametrize(
    ("workers", "waiting"), [(1, []), (2, []), (3, ["gw2"]), (4, ["gw2", "gw3"]), (5, ["gw3", "gw4"])]
)
def test_the_last_workers_run_what_waits_and_no_more_than_half_of_them(workers: int, waiting: list[str]) -> None:
    names = [f"gw{number}" for number in range(workers)]
    assert [name for name in names if runs_waiting(name, workers)] == waiting
