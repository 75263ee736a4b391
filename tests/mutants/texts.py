"""Mutants that are left out: of texts, which no test should assert word by word, of checks and of tolerances.

A text is a string literal with a space in it, an f-string, a join or concatenation of such, a conditional between such,
and a local name that is assigned one. A mutant is of a text when it changes something inside a text or inside a call of
`log`, or replaces or drops a text as an argument or an assigned value. Codes, topics and names on the wire have no
space and are mutated like everything else.

A check is `strict=True` of `zip`: an assertion on our own code, which no input can make fail. Of a comparison with a
tolerance the strictness (`<` or `<=`) is left out too: it differs at exactly the tolerance.
"""

from __future__ import annotations

import libcst as cst

TOLERANCES = {"TINY_W"}


class Texts:
    """Texts and checks of one module, by node."""

    def __init__(self, module: cst.Module) -> None:
        self._parents: dict[int, cst.CSTNode] = {}
        self._names: dict[int, set[str]] = {}  # names that hold a text, per function
        self._index(module)

    def _index(self, node: cst.CSTNode) -> None:
        for child in node.children:
            self._parents[id(child)] = node
            self._index(child)
        if isinstance(node, cst.FunctionDef):
            names = self._names.setdefault(id(node), set())
            finder = _Assigned()
            node.visit(finder)
            for _ in range(2):  # a text made of a text
                names |= {name for name, value in finder.found if self._is_text(value, names)}

    def mutated(self, original: cst.CSTNode, mutated: cst.CSTNode) -> bool:
        """Return whether the mutant changes only a text, a check or the strictness at a tolerance."""
        names = self._names_at(original)
        if isinstance(original, cst.ComparisonTarget) and _names_tolerance(self._parents[id(original)]):
            return True
        if isinstance(original, cst.Assign | cst.AnnAssign) and original.value is not None:
            return self._is_text(original.value, names)
        if isinstance(original, cst.Call) and isinstance(mutated, cst.Call):
            kept = {id(arg) for arg in mutated.args}
            changed = [arg for arg in original.args if id(arg) not in kept]
            if changed and all(_is_check(arg) or self._is_text(arg.value, names) for arg in changed):
                return True
        node: cst.CSTNode | None = original
        while node is not None and not isinstance(node, cst.BaseStatement | cst.SimpleStatementLine):
            if isinstance(node, cst.BaseExpression) and (self._is_text(node, names) or _is_log(node)):
                return True
            if isinstance(node, cst.Arg) and _is_check(node):
                return True
            node = self._parents.get(id(node))
        return False

    def _names_at(self, node: cst.CSTNode | None) -> set[str]:
        names: set[str] = set()
        while node is not None:
            names |= self._names.get(id(node), set())
            node = self._parents.get(id(node))
        return names

    def _is_text(self, node: cst.BaseExpression, names: set[str]) -> bool:
        match node:
            case cst.SimpleString():
                return " " in node.value
            case cst.FormattedString():
                return True
            case cst.ConcatenatedString():
                return self._is_text(node.left, names) or self._is_text(node.right, names)
            case cst.IfExp():
                return self._is_text(node.body, names) or self._is_text(node.orelse, names)
            case cst.BooleanOperation() | cst.BinaryOperation():
                return self._is_text(node.right, names)
            case cst.Call(func=cst.Attribute(value=cst.SimpleString() as joint)):
                return self._is_text(joint, names)
            case cst.Name():
                return node.value in names
            case _:
                return False


class _Assigned(cst.CSTVisitor):
    def __init__(self) -> None:
        self.found: list[tuple[str, cst.BaseExpression]] = []

    def visit_Assign(self, node: cst.Assign) -> None:
        target = node.targets[0].target
        if isinstance(target, cst.Name):
            self.found.append((target.value, node.value))
        elif isinstance(target, cst.Tuple) and isinstance(node.value, cst.Tuple):
            for one, value in zip(target.elements, node.value.elements, strict=False):
                if isinstance(one.value, cst.Name):
                    self.found.append((one.value.value, value.value))


def _is_log(node: cst.BaseExpression) -> bool:
    match node:
        case cst.Call(func=cst.Attribute(value=cst.Name("log"))):
            return True
        case _:
            return False


def _is_check(arg: cst.Arg) -> bool:
    return arg.keyword is not None and arg.keyword.value == "strict"


def _names_tolerance(node: cst.CSTNode) -> bool:
    if isinstance(node, cst.Name):
        return node.value in TOLERANCES
    return any(_names_tolerance(child) for child in node.children)
