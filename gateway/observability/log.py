"""Log output: one line per event, text or JSON, through the standard library's loggers.

Packages log under `v2x.<package>`. Secrets and payloads of commands are not logged (the journal has the payloads). A
traceback shows lines of code without values of variables, which could be passwords. Texts of stations, vehicles and
clients are neutralised: they begin no line and reach no terminal as escape sequences. Lines are rated (`rated_log`).
"""

from __future__ import annotations

import io
import logging
import sys
from typing import TextIO

import structlog

from gateway.model import foreign_text
from gateway.observability.rated_log import RatedLog

QUIET = (
    "alembic",
    "aiosqlite",
    "mqtt",
    "sqlalchemy",
    "uvicorn",
    "v2x.websockets",  # at debug it shows headers, and with them the passwords of stations
    "websockets",
)  # logged from warnings on
MEMBERS = "v2x_members"  # attribute of a log record: members that JSON output has beside the text


def configure(level: str = "info", format: str = "console", stream: TextIO | None = None) -> None:
    """Set up the root logger; a second call replaces the first."""
    stream = stream or sys.stderr
    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
    ]
    last: list[structlog.types.Processor]
    if format == "json":
        last = [
            _add_members,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(foreign_text.json_text),
        ]
    else:
        last = [
            _drop_members,
            _neutralise,
            structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=_traceback),
        ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    handler.addFilter(RatedLog())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _add_members(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Put the members of a message beside the text; `event` stays the text, the kind of event is `kind`."""
    members: dict[str, object] = event.pop(MEMBERS, {})
    if "event" in members:
        members["kind"] = members.pop("event")
    return {**members, **event}


def _drop_members(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    event.pop(MEMBERS, None)
    return event


def _neutralise(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Make the values of an event fit for one line; all but text is rendered with its `repr`."""
    for key, value in event.items():
        if key in ("exception", "stack") and isinstance(value, str):
            event[key] = foreign_text.lines(value)
        elif isinstance(value, str):
            event[key] = foreign_text.line(value)
    return event


def _traceback(stream: TextIO, error: structlog.types.ExcInfo) -> None:
    rendered = io.StringIO()
    structlog.dev.plain_traceback(rendered, error)
    stream.write("\n" + foreign_text.lines(rendered.getvalue().strip("\n")))
