"""Runs of pytest that a test starts: without the cache, and without plugins whose import takes longer than the run."""

from __future__ import annotations

import sys

UNUSED = (
    "anyio",
    "benchmark",
    "cacheprovider",
    "hypothesispytest",
    "pytest_cov",
    "timeout",
    "xdist",
    "xdist.looponfail",
)
PYTEST = [sys.executable, "-m", "pytest", *(word for name in UNUSED for word in ("-p", f"no:{name}"))]
