"""What CI may try once more: failed tests of peers, after a complete pass, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TESTS = """
import os, pytest
def test_ours(): assert {ours}
@pytest.mark.peer
@pytest.mark.parametrize("how", ["a b", "c"])
def test_of_a_peer(how): assert {peer}
@pytest.mark.peer
def test_at_the_end(): {end}
"""


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "xdist"])
@pytest.mark.parametrize(
    ("ours", "peer", "end", "options", "code", "listed"),
    [
        ("True", "True", "pass", (), 0, None),
        ("True", "how != 'a b'", "pass", (), 1, ["test_of_a_peer[a b]"]),
        ("True", "False", "pass", (), 1, ["test_of_a_peer[a b]", "test_of_a_peer[c]"]),
        ("False", "False", "pass", (), 1, None),
        ("False", "True", "pass", (), 1, None),
        ("True", "False", "pass", ("--maxfail=1",), None, None),  # not every test ran
        ("True", "False", "pytest.exit('no more', 1)", (), None, None),
        ("True", "False", "pass\nimport nothing_of_that_name", (), None, None),
        ("True", "False", "pass", ("-k", "no_such_test"), 5, None),
    ],
)
def test_failed_peer_tests_of_a_complete_run_are_listed(
    ours: str,
    peer: str,
    end: str,
    options: tuple[str, ...],
    code: int | None,
    listed: list[str] | None,
    workers: tuple[str, ...],
    tmp_path: Path,
) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = peer: x\naddopts = --strict-markers\n")
    (tmp_path / "test_it.py").write_text(TESTS.format(ours=ours, peer=peer, end=end))
    file = tmp_path / "retry"
    file.write_text("from a run before\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.peer_retries", f"--peers-to-retry={file}", "-q"]
    command += ["-p", "no:cacheprovider", f"--rootdir={tmp_path}", "-c", str(tmp_path / "pytest.ini")]
    done = subprocess.run(
        [*command, *workers, *options, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == code if code is not None else done.returncode != 0, done.stdout
    found = [line.partition("::")[2] for line in file.read_text().splitlines()] if file.exists() else None
    assert found == listed, done.stdout
