"""Coroutine tests are coroutine functions: pytest-asyncio, `virtual_time` or `virtual_examples` runs them."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.ownership import Modules
from tests.source_tree import modules

RUNNERS = {"run_virtual", "asyncio.run"}
OF_THE_RUNNER = "tests/emulators/runtime/test_clock.py"  # tests of `run_virtual` itself


def nested(tests: Modules) -> list[str]:
    """Return the tests that define a coroutine function and run it."""
    found = []
    for module, tree in tests:
        for test in tree.body:
            if isinstance(test, ast.FunctionDef) and test.name.startswith("test"):
                own = {node.name for node in test.body if isinstance(node, ast.AsyncFunctionDef)}
                if own & {name for node in ast.walk(test) for name in _run(node)}:
                    found.append(f"{module}: {test.name}")
    return found


def _run(node: ast.AST) -> list[str]:
    """Return the names of the coroutine functions that a call runs."""
    if not isinstance(node, ast.Call) or ast.unparse(node.func) not in RUNNERS:
        return []
    return [ast.unparse(one.func) for one in node.args if isinstance(one, ast.Call)]


def test_no_test_runs_a_coroutine_function_that_it_defines() -> None:
    tests = modules("tests", containing=r"\b(run_virtual|asyncio\.run)\(")
    assert nested([one for one in tests if one[0] != OF_THE_RUNNER]) == []


@pytest.mark.parametrize("runner", sorted(RUNNERS))
def test_a_nested_coroutine_function_is_found(runner: str) -> None:
    text = f"def test_a():\n    async def main(): ...\n    assert {runner}(main()) == 0\n"
    assert nested([("a.py", ast.parse(text))]) == ["a.py: test_a"]
