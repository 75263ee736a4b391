"""Coverage-guided fuzzing of both engines and the observer of CHAdeMO: seconds here, ten minutes in the soak."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.peers import absent
from tests.protocols.chademo.traces import LEAF_24, trace

HERE = Path(__file__).resolve().parent
SECONDS, SOAK_SECONDS = 2, int(os.environ.get("V2X_SOAK_SECONDS", "600"))
START_WITHIN = 60  # s, for imports under instrumentation


def fuzz(seconds: int, home: Path) -> None:
    """Run the fuzzer in a process of its own; its corpus begins with recorded frames."""
    if importlib.util.find_spec("atheris") is None:
        absent("atheris is not installed")
    corpus = home / "corpus"
    corpus.mkdir()
    (corpus / "recorded").write_bytes(b"".join(frame.data for _, frame in trace(LEAF_24)[:200]))
    options = [f"-max_total_time={seconds}", "-max_len=2048", "-rss_limit_mb=2048", "-timeout=20"]
    command = [sys.executable, str(HERE / "chademo_target.py"), *options, f"-artifact_prefix={home}/", str(corpus)]
    place = {**os.environ, "PYTHONPATH": str(HERE.parent.parent)}
    done = subprocess.run(
        command, env=place, capture_output=True, text=True, timeout=seconds + START_WITHIN, check=False
    )
    found = [f"{path.name}: {path.read_bytes().hex()}" for path in home.iterdir() if path.is_file()]
    assert done.returncode == 0, "\n".join([done.stderr[-3000:], *found])


@pytest.mark.timeout(120)
def test_no_frames_break_an_engine(tmp_path: Path) -> None:
    fuzz(SECONDS, tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_no_frames_break_an_engine_in_ten_minutes(tmp_path: Path) -> None:
    fuzz(SOAK_SECONDS, tmp_path)
