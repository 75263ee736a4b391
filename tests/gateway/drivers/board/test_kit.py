"""`pytest --v2x-board`: the conformance kit as a vendor runs it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.inner_pytest import PYTEST


def kit(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PYTEST, "-W", "ignore", *options],
        cwd=folder, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


def test_the_kit_runs_in_the_folder_of_a_vendor(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("lock = false\nmax_current_a = 20\n")
    run = kit(tmp_path, "--v2x-board", "emulated", "--v2x-board-settings", "settings.toml", "-rs", "-v")
    assert run.returncode == 0, run.stdout
    assert "14 passed, 2 skipped" in run.stdout
    assert "this driver has no lock" in run.stdout


def test_a_driver_that_is_not_installed_is_one_failure(tmp_path: Path) -> None:
    run = kit(tmp_path, "--v2x-board", "my-chager")
    assert run.returncode == 4, run.stdout
    assert run.stderr.count("unknown board my-chager") == 1
    assert "emulated-parked" in run.stderr  # the installed ones are named
    assert "FAILED" not in run.stdout
    missing = kit(tmp_path, "--v2x-board", "emulated", "--v2x-board-settings", "none.toml")
    assert (missing.returncode, missing.stderr.count("none.toml")) == (4, 1)
