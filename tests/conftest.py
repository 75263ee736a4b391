"""What holds for every test: hypothesis without deadlines (a test counts steps, never milliseconds)."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.requirement_report import Report

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("default"), print_blob=True, derandomize=True)
settings.register_profile("soak", parent=settings.get_profile("default"), max_examples=5000)
settings.register_profile(  # a failure is all that counts there, not its smallest example, and each mutant has its run
    "mutants",
    parent=settings.get_profile("default"),
    derandomize=True,
    max_examples=25,
    phases=[Phase.explicit, Phase.generate],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "default"))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "requirement(*ids): the requirements of a standard that the test proves")
    config.pluginmanager.register(Report(), "requirement-report")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for mark in item.iter_markers("requirement"):
            item.user_properties += [("requirement", name) for name in mark.args]
