"""The list of failed tests of peers that CI repeats: only after a complete run in which nothing else failed."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

TESTS = """
import os, pytest
def test_own(): assert {own}
@pytest.mark.peer
@pytest.mark.parametrize("how", ["a b", "c@d"])
def test_of_a_peer(how): assert {peer}
@pytest.mark.peer
def test_at_the_end(): {end}
"""
BOTH = ["test_of_a_peer[a b]", "test_of_a_peer[c@d]"]
CASES = [
    ("True", "True", "pass", (), 0, None),
    ("True", "how != 'a b'", "pass", (), 1, ["test_of_a_peer[a b]"]),
    ("True", "False", "pass", (), 1, BOTH),
    ("False", "False", "pass", (), 1, None),
    ("False", "True", "pass", (), 1, None),
    ("True", "False", "pass", ("--maxfail=1",), None, None),  # not every test ran
    ("True", "False", "pytest.exit('no more', 1)", (), None, None),
    ("True", "False", "pass\nimport nothing_of_that_name", (), None, None),
    ("True", "False", "pass", ("-k", "no_such_test"), 5, None),
]
XDIST = ("-n", "1")  # each starts a process, so only where its reports differ
CASES += [
    ("True", "False", "pass", XDIST, 1, BOTH),
    ("False", "False", "pass", XDIST, 1, None),
    ("True", "False", "pass", (*XDIST, "--maxfail=1"), None, None),
]


@pytest.mark.parametrize(("own", "peer", "end", "options", "code", "listed"), CASES)
def test_failed_peer_tests_of_a_complete_run_are_listed(
    own: str,
    peer: str,
    end: str,
    options: tuple[str, ...],
    code: int | None,
    listed: list[str] | None,
    pytester: pytest.Pytester,
) -> None:
    pytester.makeini("[pytest]\nmarkers = peer: x\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile(test_it=TESTS.format(own=own, peer=peer, end=end))
    file = Path("retry").absolute()
    file.write_text("from an earlier run\n")
    done = pytester.runpytest_inprocess(
        "-p", "tests.peer_retries", f"--peers-to-retry={file}", "-p", "no:cacheprovider", *options
    )
    assert done.ret == code if code is not None else done.ret != 0
    found = [line.partition("::")[2] for line in file.read_text().splitlines()] if file.exists() else None
    assert found == listed
