"""Vectors on which EXIficient and libcbv2g agree, and those of EXI 1.0 where they do not."""

from __future__ import annotations

from typing import Any

import pytest

from protocols.errors import RemoteProtocolError
from protocols.exi.explain import explain
from protocols.iso15118.codecs import BY_NAME
from tests.protocols.exi.vectors import NAMES, vectors

KNOWN_LIMITS = {"integer", "range"}  # both known codecs read values beyond a declared limit, here they are errors


def test_there_are_vectors_of_every_schema() -> None:
    found = {vector["schema"] for name in NAMES for vector in vectors(name)}
    assert found == set(BY_NAME)
    assert sum(len(vectors(name)) for name in NAMES) > 3000


@pytest.mark.parametrize("name", NAMES)
def test_bytes_decode_to_the_json(name: str) -> None:
    for vector in vectors(name):
        codec = BY_NAME[vector["schema"]]
        for key in {"exi", "exi_alt"} & vector.keys():
            element, message = codec.decode_element(bytes.fromhex(vector[key]), lenient=False)
            assert codec.to_plain(message, element) == vector["json"], (vector["id"], key)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "hard-stringtable"])
def test_json_encodes_to_the_bytes(name: str) -> None:
    for vector in vectors(name):
        codec = BY_NAME[vector["schema"]]
        element, message = codec.from_plain(vector["json"])
        assert codec.encode(message, element=element).hex() == vector["exi"], vector["id"]


def test_string_table_hits_are_read_and_never_written() -> None:
    for vector in vectors("hard-stringtable"):
        codec = BY_NAME[vector["schema"]]
        element, message = codec.from_plain(vector["json"])
        written = codec.encode(message, element=element)
        assert written.hex() != vector["exi"]
        assert codec.decode_element(written) == (element, message)


def strings(plain: Any) -> list[str]:
    """Return the strings in a message's JSON, in the order of decoding."""
    if isinstance(plain, dict):
        return [text for value in plain.values() for text in strings(value)]
    if isinstance(plain, list):
        return [text for value in plain for text in strings(value)]
    return [plain] if isinstance(plain, str) else []


def test_string_table_hits_are_explained() -> None:
    for vector in vectors("hard-stringtable"):
        steps = list(explain(BY_NAME[vector["schema"]], bytes.fromhex(vector["exi"])))
        assert not steps[-1].fault, vector["id"]
        text = "\n".join(step.text for step in steps)
        assert all(repr(string) in text for string in strings(vector["json"])), vector["id"]


def test_malformed_input_gives_an_error_where_both_codecs_report_one() -> None:
    for vector in vectors("bad"):
        codec = BY_NAME[vector["schema"]]
        try:
            codec.decode(bytes.fromhex(vector["exi"]))
            ours = "ok"
        except RemoteProtocolError:
            ours = "err"
        verdicts = {vector["exificient"], vector["cbv2g"]}
        if verdicts == {"err"}:
            assert ours == "err", vector["id"]
        if verdicts == {"ok"} and vector["category"] not in KNOWN_LIMITS:
            assert ours == "ok", vector["id"]


@pytest.mark.parametrize("spare", [1, 3])
def test_spare_zero_bytes_at_the_end_are_ignored(spare: int) -> None:
    for name in ("sap", "din", "iso2", "iso20_dc"):
        for vector in vectors(name)[:40]:
            codec = BY_NAME[vector["schema"]]
            data = bytes.fromhex(vector["exi"])
            assert codec.decode(data + bytes(spare)) == codec.decode(data)
