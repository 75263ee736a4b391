"""Modules of the project as syntax trees, for tests that read the code."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator

from tests.peers import ROOT


def modules(*folders: str, containing: str = "") -> Iterator[tuple[str, ast.Module]]:
    """Yield name and tree of the modules in folders whose text contains a pattern; to parse all takes seconds."""
    pattern = re.compile(containing)
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text("utf-8")
            if pattern.search(text):
                yield path.relative_to(ROOT).as_posix(), ast.parse(text)


@functools.cache
def literal_decisions() -> frozenset[str]:
    """Return the codes that are passed to `decided` as texts."""
    calls = (
        node
        for _, tree in modules("gateway", containing=r"\.decided\(")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "decided"
    )
    codes = (call.args[0] for call in calls if call.args)
    return frozenset(one.value for one in codes if isinstance(one, ast.Constant) and isinstance(one.value, str))
