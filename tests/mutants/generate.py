"""The mutants of a source file, by mutmut: all of them in one mutated file, one of them active at a time."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mutmut.mutation.file_mutation import combine_mutations_to_source, create_mutations
from mutmut.utils.format_utils import mangled_name_from_mutant_name, orig_function_and_class_names_from_key

from tests.mutants.texts import Texts


@dataclass(frozen=True)
class Mutant:
    """One mutant; `key` is mutmut's name, `name` describes the change and survives edits elsewhere in the file."""

    path: str
    key: str  # module.x_function__mutmut_1
    function: str  # module.x_function: what the run records for each test
    name: str


@dataclass(frozen=True)
class Mutated:
    """A mutated file: its code, its mutants, and how many mutants of texts were left out."""

    code: str
    mutants: list[Mutant]
    texts: int


def mutate(path: str, code: str) -> Mutated:
    """Return the mutants of a file but those of texts."""
    module, mutations, ignored_classes, ignored_functions = create_mutations(path, code)
    mutations = [one for one in mutations if one.contained_by_top_level_function is not None]
    texts = Texts(module)
    kept = [one for one in mutations if not texts.mutated(one.original_node, one.mutated_node)]
    done = combine_mutations_to_source(module, kept, ignored_classes, ignored_functions)
    lines = done.code.splitlines()
    dotted = path.removesuffix(".py").replace("/", ".")
    seen: Counter[str] = Counter()
    found = []
    for key in done.mutant_names:
        mangled = mangled_name_from_mutant_name(key)
        bodies = []
        for one in (f"{mangled}__mutmut_orig", key):
            span = done.line_span_by_function_name[one]
            bodies.append([line.replace(one, mangled) for line in lines[span.start - 1 : span.end]])
        before, after = _difference(*bodies)
        function, owner = orig_function_and_class_names_from_key(key)
        name = f"{owner + '.' if owner else ''}{function}: {before or 'nothing'} -> {after or 'nothing'}"
        seen[name] += 1
        name += f" ({seen[name]})" if seen[name] > 1 else ""
        found.append(Mutant(path, f"{dotted}.{key}", f"{dotted}.{mangled}", name))
    return Mutated(done.code, found, len(mutations) - len(kept))


def _difference(before: Sequence[str], after: Sequence[str]) -> tuple[str, str]:
    gone, new = [], []
    for line in difflib.ndiff(before, after):
        if line.startswith("- "):
            gone.append(_bare(line))
        elif line.startswith("+ "):
            new.append(_bare(line))
    return " ".join(gone), " ".join(new)


def _bare(line: str) -> str:
    """A line of a difference without its mark, its indentation and its comment."""
    return line[2:].partition("  #")[0].strip()
