"""Commands of an operator: gateway, check-config, migrate, journal, explain, asyncapi, mqtt-acl."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Coroutine
from enum import StrEnum
from typing import Annotated, Any, TypeVar

import typer

from gateway.cli.execution import end, fail, print_lines, read_config, report_error, run_until_done
from gateway.cli.options import ConfigFile, ConfigFiles, Json, Moment, OptionalConfig

app = typer.Typer()
T = TypeVar("T")


class Format(StrEnum):
    TEXT = "text"
    CSV = "csv"
    JSON_LINES = "jsonl"


@app.command()
def gateway(config: ConfigFile) -> None:
    """Run the gateway: serve charging stations and facility controllers until it is stopped."""
    from gateway import app as product
    from gateway.observability import log

    settings = read_config(config)
    log.configure(settings.log.level, settings.log.format)

    async def serve() -> int:
        try:
            await product.run(settings, ready=_print_ready)
        except product.StartError as error:
            return report_error("gateway", error)
        return 0

    end(run_until_done(serve()))


def _print_ready(running: Any) -> None:
    from gateway.config import admin_token

    ready = {"event": "ready", "site": running.config.site.id, "ocpp_port": running.ocpp_port}
    if running.admin_port is not None:
        ready["admin_port"] = running.admin_port
        ready["admin_token_file"] = str(admin_token.path(running.config)) if running.config.admin.token else None
    typer.echo(jsonlib.dumps(ready), err=True)


def _result(command: str, work: Coroutine[Any, Any, T], status: int = 2) -> T:
    """Return the result of an action, or end the command with the text of its ToolError."""
    import asyncio

    from gateway.cli.operator_actions import ToolError

    try:
        return asyncio.run(work)
    except ToolError as error:
        fail(command, error, status)


@app.command("check-config")
def check_config(config: ConfigFile, json: Json = False) -> None:
    """Verify a configuration without starting the gateway: report mistakes and risks."""
    from gateway.cli import operator_actions
    from gateway.config import ConfigError

    settings = read_config(config)
    try:
        notes = operator_actions.check(settings)
    except ConfigError as error:
        print_lines(str(error), err=True)
        end(2)
    for note in notes:
        print_lines(f"note: {note}", err=True)
    if json:
        print_lines(settings.model_dump_json(indent=2))
    else:
        print_lines(f"{config}: valid (site {settings.site.id}, {len(settings.stations)} stations)")


@app.command()
def migrate(config: ConfigFile, json: Json = False) -> None:
    """Migrate the store to this version."""
    from gateway.cli import operator_actions

    before, after = _result("migrate", operator_actions.migrate(read_config(config)))
    if json:
        typer.echo(jsonlib.dumps({"before": before, "after": after}))
    else:
        typer.echo(f"the store was at version {before or 'none'} and is at version {after}")


@app.command()
def journal(
    config: ConfigFile,
    since: Moment = None,
    until: Moment = None,
    evse: Annotated[str | None, typer.Option(help="Entries of one EVSE, such as CP1-1.")] = None,
    command: Annotated[str | None, typer.Option(help="Entries of one command, by id.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Highest number of entries.")] = None,
    steps: Annotated[
        bool, typer.Option("--steps", help="Every step and event instead of one line per command.")
    ] = False,
    format: Annotated[Format, typer.Option(help="Output format.")] = Format.TEXT,
    json: Json = False,
) -> None:
    """Print the journal: commands, granted powers, meter readings."""
    from gateway.cli import operator_actions

    selected: dict[str, Any] = {"since": since, "until": until, "evse": evse, "command": command, "limit": limit}
    text_format = "jsonl" if json else format.value
    work = operator_actions.journal(read_config(config), steps=steps, format=text_format, **selected)
    typer.echo(_result("journal", work), nl=False)


@app.command()
def explain(
    evse: Annotated[str, typer.Argument(help="Name of the EVSE, such as CP1-1.")],
    config: ConfigFile,
    json: Json = False,
) -> None:
    """Print the layers of the control hierarchy in force at an EVSE, and the limiting constraint."""
    from gateway.cli import operator_actions
    from gateway.cli.explanation import as_text
    from gateway.model import foreign_text

    found = _result("explain", operator_actions.explain(read_config(config), evse), 1)
    typer.echo(foreign_text.json_text(found.model_dump(mode="json")) if json else as_text(found))


@app.command()
def asyncapi(config: OptionalConfig = None) -> None:
    """Print the MQTT contract as an AsyncAPI 3 document."""
    from gateway.cli import operator_actions

    typer.echo(operator_actions.asyncapi(None if config is None else read_config(config)), nl=False)


@app.command("mqtt-acl")
def mqtt_acl(config: ConfigFiles) -> None:
    """Print Mosquitto's access list for the users of one configuration, or of several sites with one -c each."""
    from gateway.cli import operator_actions

    try:
        lists = [operator_actions.mqtt_acl(read_config(one)) for one in config]
    except operator_actions.ToolError as error:
        fail("mqtt-acl", error)
    typer.echo("\n".join(lists), nl=False)
