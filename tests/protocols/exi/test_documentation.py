"""The examples in `docs/exi.md` match the implementation."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.cli.exi_conversion import explain_text
from protocols.exi.encoder import Encoder
from protocols.exi.encoder_source import Source
from protocols.iso15118.codecs import ISO20_DC
from protocols.iso15118.iso20.dc import DC_PreChargeReq

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "exi.md").read_text(encoding="utf-8")
STREAM = re.search(r"is 25 bytes: `([0-9a-f]+)`", PAGE)


def blocks(language: str) -> list[str]:
    """Return the code blocks of a language."""
    parts = re.split(r"^```(\w*)\n", PAGE, flags=re.MULTILINE)  # text, language, code, "", text, ...
    return [code for tag, code in zip(parts[1::4], parts[2::4], strict=True) if tag == language]


def test_the_example_runs_and_gives_the_bytes() -> None:
    scope: dict[str, object] = {}
    exec(blocks("python")[0], scope)
    assert STREAM is not None
    assert scope["data"] == bytes.fromhex(STREAM[1])


def test_the_table_is_the_explanation() -> None:
    assert STREAM is not None
    shown = next(block for block in blocks("") if "header: EXI" in block)
    assert shown.splitlines() == list(explain_text(ISO20_DC, bytes.fromhex(STREAM[1])))


def test_the_source_shown_is_the_source_written() -> None:
    encoder = Encoder(ISO20_DC.schema)
    written = Source(encoder, encoder.grammar(DC_PreChargeReq), "e0").write()
    shown = next(block for block in blocks("python") if block.startswith("def e0"))

    def anonymous(source: str) -> str:
        return re.sub(r"\b(e|C|K_e)\d+", r"\1", source).strip()

    assert anonymous(shown) == anonymous(written)
