"""Reason for `protocols.frozen`: it compiles no methods at a declaration; `dataclass` compiles several per class."""

from __future__ import annotations

import subprocess
import sys

import pytest

CLASSES = 20
PROGRAM = """
import sys
from dataclasses import dataclass
from protocols.frozen import frozen

compiled = 0

def count(event, args):
    global compiled
    compiled += event == "compile"

decorate = {"frozen": frozen, "dataclass": dataclass(frozen=True, slots=True)}[sys.argv[1]]
plain = [type(f"C{n}", (), {"__annotations__": {"a": int, "b": str}, "__module__": "__main__"}) for n in range(20)]
sys.addaudithook(count)
for one in plain:
    decorate(one)
print(compiled)
"""


@pytest.mark.parametrize(("decorator", "least", "most"), [("frozen", 0, 0), ("dataclass", 2 * CLASSES, 10 * CLASSES)])
def test_the_number_of_compilations_of_a_declaration(decorator: str, least: int, most: int) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, decorator], capture_output=True, text=True, check=True)
    assert least <= int(done.stdout) <= most


def test_declarations_of_messages_do_not_import_dataclasses() -> None:
    program = "import sys; import protocols.iso15118.iso20.preparation; print('dataclasses' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
