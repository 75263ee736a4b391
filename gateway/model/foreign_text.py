"""Text of stations, vehicles and clients, as it is written into each format that people or programs read.

Such text is data: it forges no line, cell, heading, link, tag or escape sequence. Every exit uses one function of this
module; readers of the format get back `line(text)`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import escape

# controls (C0, DEL, C1), line and paragraph separators, marks and overrides of direction, invisible characters
# (soft hyphen, zero-width, byte order mark, tags), unpaired surrogates and noncharacters
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufdd0-\ufdef\ufeff"
    "\ufff9-\uffff\U000e0000-\U000e007f]"
)
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_MARKDOWN = re.compile(  # inline and block syntax, links that have none, and the numbers of a list
    r"[\\`*_\[\]{}()#|~!@$^=]|:(?![0-9 ]|$)|/(?=/)|(?<=/)/|\.(?=[^\W\d])|(?<=[0-9])\.(?=\s|$)|^[-+.]"
)
_FORMULA = re.compile(r"\s*['=+\-@＝＋－＠|%]")


def line(text: str) -> str:
    """Return text for one line of a log, a console or a report: characters that are not visible are escaped."""
    return _UNSAFE.sub(_visible, text)


def lines(text: str) -> str:
    """Return text of several lines, such as a traceback, each of them indented, so that none begins a log entry."""
    return "\n".join(f"    {line(one)}" for one in text.split("\n"))


def json_text(
    value: object,
    separators: tuple[str, str] | None = None,
    default: Callable[[object], object] | None = None,
    indent: int | None = None,
) -> str:
    """Return JSON that is safe to show, without indent on one line; arguments as for `json.dumps`."""
    text = json.dumps(value, ensure_ascii=False, separators=separators, default=default, indent=indent)
    return "\n".join(_UNSAFE.sub(_json_escape, one) for one in text.split("\n"))


def csv_cell(value: object) -> object:
    """Return the value of a CSV cell; text that a spreadsheet could calculate has an apostrophe before it."""
    if isinstance(value, dict | list):
        value = json_text(value)
    if not isinstance(value, str):
        return value
    shown = line(value)
    return "'" + shown if _FORMULA.match(shown) else shown


def markdown(text: str) -> str:
    """Return text within a paragraph, a list item or a table cell of Markdown."""
    return _MARKDOWN.sub(r"\\\g<0>", escape(line(text).strip(" "), quote=False))


def html(text: str) -> str:
    """Return text within an element or a quoted attribute of HTML or SVG."""
    return escape(line(text))


def _visible(found: re.Match[str]) -> str:
    character = found[0]
    number = ord(character)
    if character in _NAMED:
        return _NAMED[character]
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _json_escape(found: re.Match[str]) -> str:
    number = ord(found[0])
    if number < 0x10000:
        return f"\\u{number:04x}"
    return f"\\u{0xD800 + ((number - 0x10000) >> 10):04x}\\u{0xDC00 + (number & 0x3FF):04x}"
