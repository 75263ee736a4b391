"""HTML report of a conformance run: one file without external resources or scripts.

Heading with device, firmware and software versions; summary by feature; failures first; each verdict with its messages,
the plot of what it measured, and the command that runs the case alone.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from emulators.conformance.case import Verdict
from emulators.conformance.evidence import Message, Sample
from emulators.conformance.report.features import by_feature
from emulators.conformance.result import CaseResult, RunInfo, counts
from emulators.runtime import svg
from gateway.model.foreign_text import html as escape
from protocols import private_file

MAX_MESSAGES = 120  # of one case, the last ones; results.json has all
PLOT_FROM_S = 0.5  # shorter times have nothing to show
MAX_TEXT = 1_000  # characters of one message

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:1rem auto;max-width:64rem;padding:0 1rem;color:#222;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.25rem;margin-top:2.5rem}h3{font-size:1rem;margin:1.5rem 0 .3rem}
.wide{overflow-x:auto}svg{display:block;width:100%;min-width:34rem;font-size:13px}
table{border-collapse:collapse}td,th{padding:.2rem .8rem .2rem 0;text-align:left;vertical-align:top}
th{font-weight:normal;color:#555}tr.head th{border-bottom:1px solid #ccc}small{color:#666}
td a{white-space:nowrap}
td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
code{font:13px/1.4 ui-monospace,monospace;overflow-wrap:anywhere}article{border-top:1px solid #ccc;margin-top:1.5rem}
.legend{margin:.2rem 0}.legend span{display:inline-block;margin-right:1.2rem}
.legend i{display:inline-block;width:.9em;height:.9em;margin-right:.4em;vertical-align:-.1em}
.fail{color:#a11}.pass{color:#176b2c}.inconclusive{color:#8a5a00}.none{color:#666}
"""
CLASSES = {Verdict.PASS: "pass", Verdict.FAIL: "fail", Verdict.INCONCLUSIVE: "inconclusive"}
ORDER = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS, Verdict.NOT_APPLICABLE)
CAVEAT = "This report states observations of an automated test. It is not a certificate of conformity."


def write(path: Path, info: RunInfo, results: Sequence[CaseResult]) -> Path:
    """Write the page; return its path."""
    with private_file.replacing(path) as out:
        out.write(page(info, results))
    return path


def page(info: RunInfo, results: Sequence[CaseResult]) -> str:
    """Return the HTML text."""
    title = escape(info.title)
    ordered = sorted(results, key=lambda one: ORDER.index(one.verdict))
    parts = [
        f"<h1>{title}</h1>",
        *_heading(info, results),
        "<h2>Summary by feature</h2>",
        _summary(results),
        "<h2>Verdicts</h2>",
        _verdicts(ordered),
        "<h2>Cases</h2>",
        *(part for one in ordered for part in _case(one, info)),
        "<h2>Capabilities</h2>",
        _table(("capability", "in force"), [(escape(n), escape(v)) for n, v in info.capabilities.items()]),
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{STYLE}</style>'
        + "".join(parts)
        + "</html>\n"
    )


def _heading(info: RunInfo, results: Sequence[CaseResult]) -> Iterator[str]:
    number = counts(results)
    yield "<p>" + ", ".join(
        f'<b class="{_class(verdict)}">{number[verdict]} {verdict}</b>' for verdict in ORDER if number[verdict]
    )
    yield f" of {len(results)} cases ({escape(info.selection)}).</p><p><small>{CAVEAT}</small></p>"
    rows = {
        "target": info.target,
        "device": " ".join(part for part in (info.vendor, info.device) if part) or "not identified",
        "serial number": info.serial or "unknown",
        "firmware": info.firmware or "unknown",
        "date": info.started,
        **info.software,
        "command": info.command,
    }
    body = "".join(f'<tr><th scope="row">{escape(n)}</th><td>{escape(v)}</td></tr>' for n, v in rows.items())
    yield f'<div class="wide"><table>{body}</table></div>'


def _summary(results: Sequence[CaseResult]) -> str:
    rows = []
    for feature, cases in by_feature(results).items():
        number = counts(cases)
        rows.append((escape(feature), *(str(number[verdict] or "") for verdict in ORDER)))
    return _table(("feature", *map(str, ORDER)), rows)


def _verdicts(ordered: Sequence[CaseResult]) -> str:
    rows = [
        (
            f'<a href="#{escape(one.id)}">{escape(one.id)}</a>',
            f'<span class="{_class(one.verdict)}">{one.verdict}</span>',
            escape(f"{one.standard} {one.reference}"),
            escape(one.reason or one.expectation),
        )
        for one in ordered
    ]
    return _table(("case", "verdict", "requirement", "reason, or expectation met"), rows)


def _case(one: CaseResult, info: RunInfo) -> Iterator[str]:
    if one.verdict is Verdict.NOT_APPLICABLE:
        yield f'<article id="{escape(one.id)}"><h3>{escape(one.id)}: not applicable</h3>'
        yield f"<p>{escape(one.reason)}</p></article>"
        return
    verdict = f'<span class="{_class(one.verdict)}">{one.verdict}</span>'
    yield f'<article id="{escape(one.id)}"><h3>{escape(one.id)}: {verdict}</h3>'
    rows = {
        "requirement": f"{one.standard} {one.reference}: {one.rule}",
        "preconditions": one.preconditions,
        "stimulus": one.stimulus,
        "expectation": one.expectation,
        "observed": one.reason,
        "duration": f"{one.duration_s:.3f} s",
        "run this case alone": f"{info.command} --case {shlex.quote(one.id)}",
    }
    body = "".join(f'<tr><th scope="row">{n}</th><td>{escape(v)}</td></tr>' for n, v in rows.items() if v)
    yield f'<div class="wide"><table>{body}</table></div>'
    if len(one.samples) > 1 and one.samples[-1].at - one.samples[0].at >= PLOT_FROM_S:
        yield from _plots(one)
    if one.messages:
        yield _messages(one.messages, one.verdict is Verdict.FAIL)
    yield "</article>"


def _plots(one: CaseResult) -> Iterator[str]:
    """Yield one plot for each unit: names of values end in it, such as `power_w`."""
    units = {name.rpartition("_")[2]: None for sample in one.samples for name in sample.values}
    times = [sample.at for sample in one.samples]
    for unit in units:
        names = {n: None for s in one.samples for n in s.values if n.rpartition("_")[2] == unit}
        series = {name.rpartition("_")[0].replace("_", " "): _held(one.samples, name) for name in names}
        words = svg.CHARGING if unit in ("w", "a") else ("", "")
        axes = svg.Axes({"w": "W", "a": "A", "v": "V"}.get(unit, unit), 0.0, *words, seconds=True)
        yield f'<div class="wide">{svg.lines(times, series, axes, f"{one.id} {unit}")}</div>'


def _held(samples: Sequence[Sample], name: str) -> list[float | None]:
    """Return a value at the time of each sample: the last one stated."""
    held: list[float | None] = []
    last: float | None = None
    for sample in samples:
        last = sample.values.get(name, last)
        held.append(last)
    return held


def _messages(messages: Sequence[Message], shown: bool) -> str:
    omitted = max(len(messages) - MAX_MESSAGES, 0)
    rows = []
    for one in messages[omitted:]:
        text = one.text if len(one.text) <= MAX_TEXT else f"{one.text[:MAX_TEXT]} …"
        name = f"<b>{escape(one.name)}</b> " if one.name else ""
        cells = f'<td class="n">{one.at:.3f}</td><td>{escape(one.sender)}</td>'
        rows.append(f"<tr>{cells}<td>{name}<code>{escape(text)}</code></td></tr>")
    before = f"<p>{omitted} earlier messages are in results.json.</p>" if omitted else ""
    head = '<tr class="head"><th scope="col">s</th><th scope="col">sender</th><th scope="col">message</th></tr>'
    return (
        f"<details{' open' if shown else ''}><summary>{len(messages)} messages and notes</summary>{before}"
        f'<div class="wide"><table>{head}{"".join(rows)}</table></div></details>'
    )


def _class(verdict: Verdict) -> str:
    return CLASSES.get(verdict, "none")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; the cells are HTML."""
    if not rows:
        return "<p>None.</p>"
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><tr class="head">{top}</tr>{body}</table></div>'
