"""Reference of the classes in Markdown, from their tables."""

from __future__ import annotations

from protocols.echonet.classes import DEVICE_CLASSES, NODE_PROFILE_CLASS, SUPER_CLASS, ObjectClass, Rule, object_class

_HEAD = """# ECHONET Lite properties

Generated from `protocols/echonet/tables` by `make docs`; [ECHONET Lite](echonet.md) describes their use. Access is that
of Get, Set and INF: R required, c required under a condition, o optional, - none. Types: `u8`, `u16`, `u32` unsigned
and `s16`, `s32` signed numbers with range, step (`x0.1`) and unit, `*C2` times property C2; `code1` named codes of one
byte; `raw` bytes; `{a; b}` a structure, `[A]1..10` a list, `A | B` a choice. The properties of the super class belong
to all devices."""


def as_markdown() -> str:
    """Return the page."""
    lines = [_HEAD, ""]
    for code in (*DEVICE_CLASSES, SUPER_CLASS, NODE_PROFILE_CLASS):
        lines += _class(object_class(code))
    return "\n".join(lines)


def _class(one: ObjectClass) -> list[str]:
    lines = [f"## 0x{one.code:04X} {one.title}", "", f"Short name: `{one.name}`.", ""]
    lines += ["| EPC | short name | access | release | type |", "|---|---|---|---|---|"]
    return [*lines, *(_row(rule) for rule in one.rules), ""]


def _row(rule: Rule) -> str:
    releases = rule.since if rule.until == "Z" else f"{rule.since}-{rule.until}"
    notation = rule.notation.replace("|", "\\|")
    atomic = "" if rule.atomic is None else f"; set {rule.atomic:02X} before"
    return f"| {rule.epc:02X} | {rule.name} | {rule.get}{rule.set}{rule.inf} | {releases} | `{notation}`{atomic} |"
