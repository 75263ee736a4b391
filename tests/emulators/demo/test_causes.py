"""Error text of a demo or a benchmark whose session ended."""

from __future__ import annotations

import pytest

from emulators.demo import discharge
from emulators.demo.discharge import DemoError, causes
from gateway.bench import hosted


def test_the_errors_of_nested_groups_are_named() -> None:
    inner = ExceptionGroup("unhandled errors in a TaskGroup", [DemoError("no current"), DemoError("no session")])
    assert causes(ExceptionGroup("unhandled errors in a TaskGroup", [inner])) == "no current; no session"


async def test_the_benchmark_of_a_hosted_evse_reports_a_session_that_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discharge, "STEP_WITHIN_S", 0.0)
    found = await hosted.figures(1)
    assert found["ok"] is False
    assert "timeout" in str(found["error"])
