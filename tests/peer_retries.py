"""pytest plugin of CI (`-p tests.peer_retries`): list the failed tests that may be repeated.

The list is written only after a run in which every collected test ended and only tests marked `peer` failed, which
drive another implementation in a process of its own. An interrupted run writes none, nor does one in which another test
failed. The list has one node id per line, as pytest reads it from `@FILE`.
"""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--peers-to-retry", type=Path, metavar="FILE", help="where to write the failed tests of peers")


def pytest_configure(config: pytest.Config) -> None:
    file = config.getoption("peers_to_retry")
    if file is not None and not hasattr(config, "workerinput"):  # the controller receives the results of all workers
        config.pluginmanager.register(PeerRetries(file), "peer-retries")


class PeerRetries:
    """Records which tests ended and which failed."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._collected: set[str] = set()
        self._ended: set[str] = set()
        self._failed: dict[str, bool] = {}  # by node id: whether the test is marked `peer`
        self._collecting_failed = False
        file.unlink(missing_ok=True)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._collected |= {item.nodeid for item in session.items}

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: object, ids: list[str]) -> None:
        self._collected |= set(ids)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._collecting_failed |= report.failed

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown":
            self._ended.add(report.nodeid)
        if report.failed:
            self._failed[report.nodeid] = "peer" in report.keywords

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        complete = not self._collecting_failed and self._ended == self._collected
        if exitstatus == pytest.ExitCode.TESTS_FAILED and complete and self._failed and all(self._failed.values()):
            self._file.write_text("".join(f"{name}\n" for name in sorted(self._failed)))
