"""The small commands of an operator: configuration, store, journal, who binds what, the MQTT contract, access lists."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from gateway.config import Config

app = typer.Typer()

Json = Annotated[bool, typer.Option("--json", help="One JSON object, or JSON lines, instead of text.")]
ConfigFile = Annotated[Path, typer.Option("--config", "-c", help="The gateway's settings (TOML).", show_default=False)]
ConfigFiles = Annotated[
    list[Path],
    typer.Option("--config", "-c", help="A gateway's settings (TOML); once for each site.", show_default=False),
]
SomeConfig = Annotated[Path | None, typer.Option("--config", "-c", help="With the broker of these settings (TOML).")]
Moment = Annotated[str | None, typer.Option(help="RFC 3339, or Unix seconds.")]


class Format(StrEnum):
    TEXT = "text"
    CSV = "csv"
    JSON_LINES = "jsonl"


@app.command("check-config")
def check_config(config: ConfigFile, json: Json = False) -> None:
    """Read a configuration as the gateway would; say what it cannot use, and what is worth a thought."""
    from gateway.cli import operator_actions
    from gateway.config import ConfigError

    settings = read(config)
    try:
        remarks = operator_actions.check(settings)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    for remark in remarks:
        typer.echo(f"worth a thought: {remark}", err=True)
    if json:
        typer.echo(settings.model_dump_json(indent=2))
    else:
        typer.echo(f"{config}: can be used (site {settings.site.id}, {len(settings.stations)} stations)")


@app.command()
def migrate(config: ConfigFile, json: Json = False) -> None:
    """Bring the store's tables to this version."""
    import asyncio

    from gateway.cli import operator_actions

    settings = read(config)
    try:
        before, after = asyncio.run(operator_actions.migrate(settings))
    except operator_actions.ToolError as error:
        _fail("migrate", error)
    if json:
        import json as jsonlib

        typer.echo(jsonlib.dumps({"before": before, "after": after}))
    else:
        typer.echo(f"the store was at {before or 'nothing'}, and is at {after}")


@app.command()
def journal(
    config: ConfigFile,
    since: Moment = None,
    until: Moment = None,
    evse: Annotated[str | None, typer.Option(help="Only this one, such as CP1-1.")] = None,
    command: Annotated[str | None, typer.Option(help="Only this command's id.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many entries.")] = None,
    steps: Annotated[bool, typer.Option("--steps", help="Every step and event, not a line a command.")] = False,
    format: Annotated[Format, typer.Option(help="What to write.")] = Format.TEXT,
    json: Json = False,
) -> None:
    """Who commanded what, what was granted, and what the meter saw."""
    import asyncio

    from gateway.cli import operator_actions

    settings = read(config)
    wanted: operator_actions.Format = "jsonl" if json else format.value
    try:
        text = asyncio.run(
            operator_actions.journal(
                settings, since=since, until=until, evse=evse, command=command, limit=limit, steps=steps, format=wanted
            )
        )
    except operator_actions.ToolError as error:
        _fail("journal", error)
    typer.echo(text, nl=False)


@app.command()
def explain(
    evse: Annotated[str, typer.Argument(help="Such as CP1-1.")], config: ConfigFile, json: Json = False
) -> None:
    """The layers of the order of authority now in force at an EVSE, and who bound what."""
    import asyncio

    from gateway.cli import operator_actions
    from gateway.cli.explanation import as_text

    settings = read(config)
    try:
        found = asyncio.run(operator_actions.explain(settings, evse))
    except operator_actions.ToolError as error:
        _fail("explain", error, 1)
    typer.echo(found.model_dump_json() if json else as_text(found))


@app.command()
def asyncapi(config: SomeConfig = None) -> None:
    """The MQTT contract as an AsyncAPI 3 document."""
    from gateway.cli import operator_actions

    typer.echo(operator_actions.asyncapi(None if config is None else read(config)), nl=False)


@app.command("mqtt-acl")
def mqtt_acl(config: ConfigFiles) -> None:
    """Mosquitto's access list for the users of the configuration; of several sites on one broker, with one -c each."""
    from gateway.cli import operator_actions

    try:
        lists = [operator_actions.mqtt_acl(read(one)) for one in config]
    except operator_actions.ToolError as error:
        _fail("mqtt-acl", error)
    typer.echo("\n".join(lists), nl=False)


def read(path: Path) -> Config:
    """The configuration, or the end of the command with what is wrong with it."""
    from gateway.config import ConfigError, load

    try:
        return load(path)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None


def _fail(command: str, error: Exception, status: int = 2) -> NoReturn:
    typer.echo(f"v2x {command}: {error}", err=True)
    raise typer.Exit(status)
