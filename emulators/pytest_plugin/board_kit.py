"""Conformance kit for board drivers: `pytest --v2x-board NAME` collects this module; see docs/hardware.md.

One test for each check of `gateway.drivers.board.conformance`. Simulated drivers run in virtual time, hardware in real
time. A check that needs a port or a bench that the driver does not have is skipped with the reason.
"""

from __future__ import annotations

import asyncio
import tomllib
from pathlib import Path

import pytest

from emulators.runtime.clock import VirtualClock, run_virtual
from gateway.clock import SystemClock
from gateway.drivers.board import registry
from gateway.drivers.board.conformance import CHECKS, run_check
from gateway.drivers.board.laboratory import NotApplicable


@pytest.mark.parametrize("check", CHECKS)
def test_board(check: str, pytestconfig: pytest.Config) -> None:
    """Run one check of the driver of `--v2x-board`."""
    driver = registry.driver(pytestconfig.getoption("--v2x-board"))
    file = pytestconfig.getoption("--v2x-board-settings")
    settings = {} if file is None else tomllib.loads(Path(file).read_text())
    try:
        if driver.simulated:
            run_virtual(run_check(CHECKS[check], driver, VirtualClock(), settings))
        else:
            asyncio.run(run_check(CHECKS[check], driver, SystemClock(), settings))
    except NotApplicable as reason:
        pytest.skip(str(reason))
