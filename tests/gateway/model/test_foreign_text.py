"""Laws of foreign text: a reader of each format gets back the text, and nothing beside it."""

from __future__ import annotations

import csv
import io
import json
import logging
import unicodedata
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from gateway.model import foreign_text
from gateway.observability import log

FORGERY = (
    "X\n\n7. 2026-11-28 FORGED\n# h\n<script>alert(1)</script> [c](javascript:x) \x1b[31m\u202e|a|&lt;`b` www.x.yz"
)
CONTROLS = ("\n", "\r", "\x1b[2J", "\x9b", "\u2028", "\u202e", "\u2066", "\0", "\ud800", "\ufeff", "\t")
BLOCKS = ("# ", "- ", "+ ", "1. ", "1) ", "> ", "---", "===", "    ", "|", "[a]: b", "<!--", "-->")
INLINE = (
    "`",
    "``",
    "*",
    "_",
    "~~",
    "[a](b)",
    "![a](b)",
    "http://x.yz",
    "www.x.yz",
    "evil.com",
    "1.evil.com",
    "mailto:",
    "a@b.cd",
    "$x$",
    "\\",
    "]]>",
)
ENTITIES = ("&lt;", "&#x41;", "&", "<", ">", "<b>", '"', "'", ",", ";")
FORMULAS = ("=1+1", "@SUM(1)", "+1", "-1", "''", " =1", "＝1", "|cmd")
NAMES = ("JPNIS0000001", "CP1-1", "ü", "車", "a", "b", " ")
PIECES = (*CONTROLS, *BLOCKS, *INLINE, *ENTITIES, *FORMULAS, *NAMES)
texts = st.one_of(st.text(max_size=40), st.lists(st.sampled_from(PIECES), max_size=8).map("".join))


def is_visible(text: str) -> bool:
    return all(unicodedata.category(one) not in ("Cc", "Cs", "Zl", "Zp") for one in text) and not set(text) & set(
        "\u061c\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
    )


@given(texts)
@example(FORGERY)
def test_a_line_is_one_line_without_escapes(text: str) -> None:
    shown = foreign_text.line(text)
    assert is_visible(shown)
    assert len(shown.splitlines()) <= 1
    shown.encode()
    assert foreign_text.line(shown) == shown
    if is_visible(text) and text.isprintable():
        assert shown == text


@given(texts)
@example("Traceback\n2026-11-28T00:00:00Z [error    ] forged")
def test_no_line_of_several_begins_a_log_entry(text: str) -> None:
    shown = foreign_text.lines(text)
    assert all(one.startswith("    ") and is_visible(one) for one in shown.split("\n"))


@given(st.recursive(texts, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)))
def test_json_is_one_visible_line_and_reads_back(value: Any) -> None:
    shown = foreign_text.json_text(value)
    assert is_visible(shown)
    assert json.loads(shown) == json.loads(json.dumps(value))


@given(st.lists(st.lists(texts, min_size=3, max_size=3), max_size=3))
@example([[FORGERY, '"', "=1"]])
def test_csv_reads_back_without_formulas(rows: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([foreign_text.csv_cell(one) for one in row] for row in rows)
    assert text.getvalue().count("\n") == len(rows)
    for row, read in zip(rows, csv.reader(io.StringIO(text.getvalue())), strict=True):
        for given_text, cell in zip(row, read, strict=True):
            assert cell in (foreign_text.line(given_text), "'" + foreign_text.line(given_text))
            assert not cell.lstrip().startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠"))


def plain(tokens: list[Token]) -> str:
    """Return the text of inline tokens; anything other than text is a forgery."""
    for one in tokens:
        assert one.type in ("text", "text_special"), one
    return "".join(one.content for one in tokens)


def parser(linkify: bool) -> MarkdownIt:
    made = MarkdownIt("commonmark", {"linkify": linkify, "html": True}).enable(["table", "strikethrough"])
    return made.enable("linkify") if linkify else made


@given(texts)
@example(FORGERY)
@example("1. a")
@example("1.")
@example("evil.com http:1.2.3.4 //1.2.3.4 mailto:a@b.cd 24.2 06:45:19.5Z")
@example("a&amp;b")
def test_markdown_reads_back_in_a_table_and_in_a_list(text: str) -> None:
    expected = foreign_text.line(text).strip()
    shown = foreign_text.markdown(text)
    table = f"| site | x |\n|---|---|\n| {shown} | y |\n"
    numbered = f"1. 2026 {shown}\n2. b\n"
    for linkify in (False, True):
        tokens = parser(linkify).parse(table)
        cells = [plain(one.children or []) for one in tokens if one.type == "inline"]
        assert [one.strip() for one in cells] == ["site", "x", expected, "y"]
        tokens = parser(linkify).parse(numbered)
        items = [plain(one.children or []) for one in tokens if one.type == "inline"]
        assert [" ".join(one.split()) for one in items] == [" ".join(f"2026 {expected}".split()), "b"]
        tokens = parser(linkify).parse(f"x\n\n{shown}\n\ny\n")
        paragraphs = [plain(one.children or []) for one in tokens if one.type == "inline"]
        assert [one.strip() for one in paragraphs if one] == [one for one in ("x", expected, "y") if one]


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.text = ""
        self.attribute: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attribute = dict(attrs).get("title")

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.tags.append("comment")


@given(texts)
@example(FORGERY)
def test_html_reads_back_as_text_and_attribute(text: str) -> None:
    reader = Reader()
    shown = foreign_text.html(text)
    reader.feed(f'<p title="{shown}">{shown}</p>')
    reader.close()
    assert (reader.tags, reader.text, reader.attribute) == (["p"], foreign_text.line(text), foreign_text.line(text))


@pytest.mark.parametrize("style", ["console", "json"])
def test_the_log_has_one_line_per_record(style: str) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    try:
        log.configure("info", style, stream)
        logging.getLogger("v2x.test").warning("refused: %s", FORGERY)
        try:
            raise ValueError(FORGERY)
        except ValueError:
            logging.getLogger("v2x.test").exception("failed %s", "\x9b", extra={"station": FORGERY})
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    written = stream.getvalue().rstrip("\n").split("\n")
    assert all(is_visible(one) for one in written)
    records = [one for one in written if not one.startswith("    ")]
    assert len(records) == 2, records
