"""Log output: one line per event, text or JSON, through the standard library's loggers.

Packages log under `v2x.<package>`. Secrets and payloads of commands are not logged (the journal has the payloads). A
traceback shows lines of code without values of variables, which could be passwords.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog

QUIET = (
    "alembic",
    "aiosqlite",
    "mqtt",
    "sqlalchemy",
    "uvicorn",
    "websockets",
)  # logged from warnings on


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
        last = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
    else:
        last = [
            structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
