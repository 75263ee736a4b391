"""Settings for all tests.

Hypothesis has no deadlines: a test counts steps, never milliseconds. pytest-asyncio runs all examples of a hypothesis
test on one event loop, whose virtual time and tasks would pass from one example to the next; so coroutine tests with
`@given` have `@virtual_examples` below it.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests import distribution
from tests.peers import NO_PYTHON_2
from tests.requirement_report import Report
from tests.rounds import rounds

settings.register_profile(
    "default", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=rounds(25, 100)
)
settings.register_profile("ci", parent=settings.get_profile("default"), print_blob=True, derandomize=True)
settings.register_profile("soak", parent=settings.get_profile("default"), max_examples=5000)
settings.register_profile(  # a failure is all that counts there, not its smallest example, and each mutant has its run
    "mutants",
    parent=settings.get_profile("default"),
    derandomize=True,
    max_examples=25,
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "default"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect the tests without garbage collection, which traverses the modules and tests again and again.

    The tests run with fewer collections than Python's default, which take 4 to 12 % of the time of a test.
    """
    gc.disable()
    found = yield
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
    gc.enable()
    return found


@pytest.fixture
def collected_garbage() -> Iterator[None]:
    """Collect what a test has left, so that its warnings appear in this test and with its filters."""
    yield
    gc.collect()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "requirement(*ids): the requirements of a standard that the test verifies")
    config.pluginmanager.register(Report(), "requirement-report")
    if worker := getattr(config, "workerinput", None):  # not of the environment, which inner runs of pytest inherit
        distribution.lower_priority(worker["workerid"], worker["workercount"])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for mark in item.iter_markers("requirement"):
            item.user_properties += [("requirement", name) for name in mark.args]
    items.sort(key=lambda item: distribution.position(item.nodeid))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Report a skipped test as failed where every part is required (CI)."""
    report = yield
    if report.skipped and os.environ.get("V2X_REQUIRE_PEERS") == "1":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        if NO_PYTHON_2 not in str(reason):  # no longer packaged, so it cannot be required
            report.outcome, report.longrepr = "failed", f"no test may skip here: {reason}"
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Return the scheduler of `make test`, instead of the one that `--dist` names."""
    return distribution.scheduler(config, log)
