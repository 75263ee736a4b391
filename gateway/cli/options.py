"""Options and choices that several commands of `v2x` share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


def examples(*lines: str) -> str:
    """Return the end of a help text with examples, each on its own line."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


Json = Annotated[bool, typer.Option("--json", help="One JSON object, or JSON lines, instead of text.")]
ConfigFile = Annotated[Path, typer.Option("--config", "-c", help="The gateway's settings (TOML).", show_default=False)]
ConfigFiles = Annotated[
    list[Path],
    typer.Option("--config", "-c", help="A gateway's settings (TOML); once for each site.", show_default=False),
]
OptionalConfig = Annotated[
    Path | None, typer.Option("--config", "-c", help="With the broker of these settings (TOML).")
]
Site = Annotated[str | None, typer.Option(help="Site, where the cluster serves several (cluster.sites).")]
Moment = Annotated[str | None, typer.Option(help="RFC 3339, or Unix seconds.")]


class Tls(StrEnum):
    """TLS version between EV and SECC."""

    NONE = "none"
    V12 = "1.2"
    V13 = "1.3"


def parse_speed(speed: str) -> float | None:
    """Return the virtual seconds per real second of an option `--speed`, None for "max"; ValueError if it is none."""
    named = {"max": None, "real": 1.0}
    if speed in named:
        return named[speed]
    try:
        pace = float(speed)
    except ValueError:
        raise ValueError(f"--speed is max, real or a number, not {speed!r}") from None
    if not 0 < pace < float("inf"):
        raise ValueError(f"--speed is virtual seconds per second and more than 0, not {speed}")
    return pace
