"""Generation of mutants: everything that decides is mutated, texts for people are not."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.mutants.generate import Mutated

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CODE = '''
def decide(a, b, log):
    """A text of its own."""
    what = "two words" if a else "three short words"
    limit = f"at most {a + 1} W"
    both = limit + " and more"
    log.warning("seen %d times", a + 2)
    send(both, text="two words", code="two_words")
    send(what, "one")
    return a < b
'''


def mutate(path: str, code: str) -> Mutated:
    """Import what makes mutants where a test needs it, and not in every process that collects the tests."""
    from tests.mutants import generate

    return generate.mutate(path, code)


def test_mutants_of_texts_are_left_out() -> None:
    mutated = mutate("gateway/x.py", CODE)
    names = [one.name for one in mutated.mutants]
    assert "decide: return a < b -> return a <= b" in names
    assert any('code="XXtwo_wordsXX"' in name for name in names)
    assert any('send(what, "XXoneXX")' in name for name in names)
    changed = [name.partition(" -> ")[2] for name in names]
    assert not any(word in text for text in changed for word in ("XXtwo words", "a - 1", "a + 3", "and False", "log"))
    assert not any(text in ("what = None", "limit = None", "both = None") for text in changed)
    assert not any("text=None" in text or "send(None, text" in text for text in changed)
    assert mutated.texts > 10


def test_mutants_of_checks_are_left_out() -> None:
    mutated = mutate("gateway/x.py", "def pair(a, b):\n    return zip(a, b, strict=True)\n")
    assert not any("strict=" not in one.name.partition(" -> ")[2] for one in mutated.mutants if "zip(" in one.name)
    assert mutated.texts == 3


def test_the_strictness_at_a_tolerance_is_left_out() -> None:
    code = "TINY_W = 1\n\n\ndef f(a, b):\n    return a < b - TINY_W or a < b\n"
    names = [one.name for one in mutate("gateway/x.py", code).mutants]
    assert "f: return a < b - TINY_W or a < b -> return a < b - TINY_W or a <= b" in names
    assert not any("<= b - TINY_W" in name for name in names)


def test_equal_changes_have_names_of_their_own() -> None:
    names = [one.name for one in mutate("gateway/x.py", "def f(a):\n    a += 1\n    a += 1\n").mutants]
    assert len(names) == len(set(names))
    assert "f: a += 1 -> a += 2 (2)" in names


def test_names_survive_edits_elsewhere() -> None:
    before = {one.name for one in mutate("gateway/x.py", "def f(a):\n    return a < 1\n").mutants}
    after = {
        one.name
        for one in mutate("gateway/x.py", "def g(a):\n    return a\n\n\ndef f(a):\n    return a < 1  # x\n").mutants
    }
    assert before
    assert before == after


@pytest.mark.parametrize("path", tomllib.loads((HERE / "targets.toml").read_text()))
def test_targets_and_their_tests_exist(path: str) -> None:
    targets: dict[str, list[str]] = tomllib.loads((HERE / "targets.toml").read_text())
    assert (ROOT / path).is_file()
    assert targets[path]
    assert all((ROOT / one).exists() for one in targets[path])


def test_every_survivor_has_a_reason() -> None:
    targets = tomllib.loads((HERE / "targets.toml").read_text())
    for path, names in tomllib.loads((HERE / "survivors.toml").read_text()).items():
        assert path in targets
        assert all(reason.strip() for reason in names.values()), path


SURVIVORS = [
    (path, name) for path, names in tomllib.loads((HERE / "survivors.toml").read_text()).items() for name in names
]


@pytest.mark.parametrize(("path", "name"), SURVIVORS)
def test_every_survivor_changes_a_line_that_exists(path: str, name: str) -> None:
    function, _, change = name.partition(": ")
    source = functions((ROOT / path).read_text()).get(function)
    assert source is not None, f"{path} has no function {function}"
    parts = re.sub(r"\bx(ǁ\w+ǁ|_)(?=\w+\()", "", change).split(" -> ")
    befores = [" -> ".join(parts[:count]) for count in range(1, len(parts))]
    assert any(before in source or before == "nothing" for before in befores), f"{path}: {befores[0]}"


def functions(code: str) -> dict[str, str]:
    """Return the lines of each function and method, without indentation and comments, joined by a space."""
    lines, found = code.splitlines(), {}
    body = [("", node) for node in ast.parse(code).body]
    for owner, node in body:
        if isinstance(node, ast.ClassDef):
            body += [(f"{node.name}.", one) for one in node.body]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            bare = [line.partition("  #")[0].strip() for line in lines[node.lineno - 1 : node.end_lineno]]
            found[owner + node.name] = " ".join(bare)
    return found
