"""Writes to attributes of other objects, and uses of private names, found in the syntax trees of the project.

A class is a record where it is declared as one (dataclass, `Struct`, pydantic model, named tuple): its values may be
written by whoever it is given to. Every other class is a component, which alone writes its attributes.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

Modules = list[tuple[str, ast.Module]]

_RECORD_BASES = re.compile(r"\b(Struct|BaseModel|Section|NamedTuple|TypedDict)\b")
_NAME = re.compile(r"\w+")


def classes(modules: Modules) -> Iterator[tuple[str, ast.ClassDef]]:
    """Yield the classes of all modules; none is defined inside a function."""
    for name, tree in modules:
        yield from ((name, node) for node in tree.body if isinstance(node, ast.ClassDef))


def is_record(node: ast.ClassDef) -> bool:
    """Return whether a class is declared as a record."""
    decorated = any(re.search("dataclass|frozen", ast.unparse(one)) for one in node.decorator_list)
    return decorated or any(_RECORD_BASES.search(ast.unparse(one)) for one in node.bases)


def written(node: ast.AST) -> Iterator[ast.Attribute]:
    """Yield the attributes that one statement writes."""
    targets: Iterable[ast.expr] = ()
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign | ast.AugAssign):
        targets = (node.target,)
    for target in targets:
        for one in target.elts if isinstance(target, ast.Tuple) else (target,):
            if isinstance(one, ast.Attribute):
                yield one


def of_self(attribute: ast.Attribute) -> bool:
    """Return whether an attribute is one of the object itself."""
    return isinstance(attribute.value, ast.Name) and attribute.value.id in {"self", "cls"}


class Types:
    """Classes of attributes and parameters, as far as annotations and constructors show them."""

    def __init__(self, modules: Modules) -> None:
        self.records: set[str] = set()
        self.components: dict[str, str] = {}  # name: module
        self.attributes: dict[str, dict[str, str]] = defaultdict(dict)  # class: attribute: class
        self.of_records: set[str] = set()  # names of attributes
        self.of_components: dict[str, set[str]] = defaultdict(set)  # attribute: classes
        found = list(classes(modules))
        for module, node in found:
            if is_record(node):
                self.records.add(node.name)
            else:
                self.components[node.name] = module
        for name in self.records & self.components.keys():  # two classes of one name
            del self.components[name]
        for _, node in found:
            self._read(node)

    def _read(self, node: ast.ClassDef) -> None:
        for one in node.body:
            if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
                self._attribute(node.name, one.target.id, self.named(one.annotation))
            elif isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
                if any(ast.unparse(deco) == "property" for deco in one.decorator_list) and one.returns is not None:
                    self.attributes[node.name].setdefault(one.name, self.named(one.returns))
                parameters = self.parameters(one)
                for statement in ast.walk(one):
                    for attribute in written(statement):
                        if of_self(attribute):
                            kind = self._value(statement, attribute, parameters)
                            self._attribute(node.name, attribute.attr, kind)

    def _attribute(self, owner: str, name: str, kind: str) -> None:
        if kind or name not in self.attributes[owner]:
            self.attributes[owner][name] = kind
        if owner in self.records:
            self.of_records.add(name)
        else:
            self.of_components[name].add(owner)

    def _value(self, statement: ast.AST, attribute: ast.Attribute, parameters: dict[str, str]) -> str:
        """Return the class of the value that a statement gives to an attribute; "" where it does not show."""
        if isinstance(statement, ast.AnnAssign):
            return self.named(statement.annotation)
        if not isinstance(statement, ast.Assign):
            return ""
        value = statement.value
        for target in statement.targets:
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and attribute in target.elts:
                value = value.elts[target.elts.index(attribute)]
                break
        return self.result(value, parameters)

    def result(self, value: ast.expr, known: dict[str, str], owner: str = "") -> str:
        """Return the class of an expression: a name, an attribute or a constructor; "" where it does not show."""
        if isinstance(value, ast.Name):
            return owner if value.id == "self" else known.get(value.id, "")
        if isinstance(value, ast.Attribute):
            return self.attributes.get(self.result(value.value, known, owner), {}).get(value.attr, "")
        if isinstance(value, ast.Call):
            return self.named(value.func)
        return ""

    def named(self, annotation: ast.expr) -> str:
        """Return the one class of the project that an annotation names; "" for none or several."""
        if isinstance(annotation, ast.Subscript):
            return ""
        names = {one for one in _NAME.findall(ast.unparse(annotation)) if one in self.components or one in self.records}
        return names.pop() if len(names) == 1 else ""

    def parameters(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, str]:
        """Return the classes of the parameters of a function."""
        given = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
        return {one.arg: self.named(one.annotation) for one in given if one.annotation is not None}


def foreign_writes(modules: Modules) -> Iterator[str]:
    """Yield `file:line: target` for each write to an attribute of a component outside its class.

    The class of the target counts where it shows; elsewhere an attribute counts that components have and no record.
    """
    types = Types(modules)
    for module, tree in modules:
        for owner, function in _functions(tree):
            known = types.parameters(function)
            for statement in ast.walk(function):
                if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
                    target = statement.targets[0]
                    if isinstance(target, ast.Name) and (kind := types.result(statement.value, known, owner)):
                        known[target.id] = kind
                for attribute in written(statement):
                    if of_self(attribute):
                        continue
                    kind = types.result(attribute.value, known, owner)
                    name = attribute.attr
                    owned = types.of_components.get(name, set())
                    component = kind in types.components if kind else name not in types.of_records
                    if component and owned and not (kind and kind == owner) and owner not in owned:
                        of = kind or " or ".join(sorted(owned))
                        yield f"{module}:{attribute.lineno}: {ast.unparse(attribute)} of {of}"


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield "", node
        elif isinstance(node, ast.ClassDef):
            for one in node.body:
                if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield node.name, one


class Use(NamedTuple):
    """A name that a module uses."""

    module: str
    line: int
    name: str


def foreign_names(modules: Modules) -> Iterator[Use]:
    """Yield each private name that a module uses and does not define, also of libraries.

    Named tuples have public methods that begin with an underscore.
    """
    for module, tree in modules:
        own, used = set(), []
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                own.add(node.name)
            elif isinstance(node, ast.ImportFrom):
                used += [(node.lineno, one.name) for one in node.names]
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                own.add(node.target.id)
            elif isinstance(node, ast.Attribute) and _private(node.attr):
                if not of_self(node):
                    used.append((node.lineno, node.attr))
                elif isinstance(node.ctx, ast.Store):
                    own.add(node.attr)
        yield from (Use(module, *one) for one in used if _private(one[1]) and one[1] not in own)


def _private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in {"_asdict", "_make", "_replace"}
