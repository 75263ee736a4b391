"""Each benchmark states on its error output what it measures, so that minutes without figures are not silence."""

from __future__ import annotations

import ast
import importlib
import inspect

import pytest

from gateway.bench import chademo, plan
from gateway.cli.main import Bench


@pytest.mark.parametrize("name", list(Bench))
def test_every_benchmark_states_its_steps(name: Bench) -> None:
    module = importlib.import_module(f"gateway.bench.{name.name.lower()}")
    calls = [node.func for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.Call)]
    assert any(isinstance(called, ast.Name) and called.id == "progress" for called in calls)


def test_progress_stands_on_the_error_output(capsys: pytest.CaptureFixture[str]) -> None:
    plan.measure(1)
    chademo.figures(1.0)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "measuring 1 vehicles",
        "measuring both engines, then a pair with its converter",
    ]
