"""Tokens of the cases: a token of the type ISO14443 is the UID of a card, 4 or 7 bytes in hexadecimal digits."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulators.conformance.ocpp import csms_under_test, tester_csms, tester_station

ROOT = Path(__file__).parents[4]
SOURCES = [*(ROOT / "emulators" / "conformance" / "ocpp").rglob("*.py"), *(ROOT / "examples").rglob("*.py")]
UID = re.compile("[0-9A-F]{8}|[0-9A-F]{14}")  # OCPP 2.0.1 part 2, IdTokenEnumType


def written() -> Iterator[tuple[str, str]]:
    """Yield file and text of each token of this type that is written out."""
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Dict):
                members = {
                    key.value: value.value
                    for key, value in zip(node.keys, node.values, strict=True)
                    if isinstance(key, ast.Constant) and isinstance(value, ast.Constant)
                }
                if members.get("type") == "ISO14443" and isinstance(token := members.get("idToken"), str):
                    yield source.name, token


def test_a_token_of_a_card_is_its_uid() -> None:
    found = list(written())
    assert found
    assert [one for one in found if not UID.fullmatch(one[1])] == []


@pytest.mark.parametrize(
    "token",
    [
        *tester_csms.TOKENS,
        tester_csms.BLOCKED,
        tester_station.TOKEN,
        csms_under_test.KNOWN,
        csms_under_test.SECOND,
        csms_under_test.BLOCKED,
        csms_under_test.EXPIRED,
        csms_under_test.UNKNOWN,
    ],
)
def test_a_token_that_is_sent_with_this_type_is_one(token: str) -> None:
    assert UID.fullmatch(token)
