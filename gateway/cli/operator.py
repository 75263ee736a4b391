"""Commands of an operator: gateway, check-config, doctor, health, migrate, journal, explain, asyncapi, mqtt-acl."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Coroutine
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from gateway.cli.execution import (
    end,
    fail,
    print_lines,
    read_config,
    read_site,
    report_error,
    run_until_done,
    verified_config,
)
from gateway.cli.options import ConfigFile, ConfigFiles, Json, Moment, OptionalConfig, Site, examples

if TYPE_CHECKING:
    from gateway.app import Gateway
    from gateway.clustered import Instance

app = typer.Typer()
T = TypeVar("T")


class Format(StrEnum):
    TEXT = "text"
    CSV = "csv"
    JSON_LINES = "jsonl"


@app.command(epilog=examples("v2x gateway -c gateway.toml", "V2X_LOG__FORMAT=json v2x gateway -c gateway.toml"))
def gateway(config: ConfigFile) -> None:
    """Run the gateway until it is stopped.

    It serves charging stations and facility controllers. SIGTERM and Ctrl-C stop it in order: power goes to 0 W,
    sessions stay.
    """
    from gateway import app as product
    from gateway.event_loop import make_loop
    from gateway.observability import log

    settings = verified_config(config)
    log.configure(settings.log.level, settings.log.format)

    async def serve() -> int:
        try:
            if settings.cluster.servers:
                from gateway import clustered

                await clustered.run(settings, ready=_print_instance)
            else:
                await product.run(settings, ready=_print_ready)
        except product.StartError as error:
            return report_error("gateway", error, 1 if error.may_pass else 2)
        return 0

    end(run_until_done(serve(), make_loop))


def _print_instance(running: Instance) -> None:
    ports = {f"{name}_port": port for name, port in running.ports.items()}
    sites = list(running.sites)
    served = {"sites": sites} if running.config.cluster.sites else {"site": sites[0]}
    ready = {"event": "ready", **served, "instance": running.config.cluster.instance, **ports}
    typer.echo(jsonlib.dumps(ready), err=True)


def _print_ready(running: Gateway) -> None:
    from gateway.config import admin_token, local_url

    ready = {"event": "ready", "site": running.config.site.id, "ocpp_port": running.ocpp_port}
    if running.admin_port is not None:
        ready["admin_port"] = running.admin_port
        ready["admin_token_file"] = str(admin_token.path(running.config)) if running.config.admin.token else None
    web = running.config.web
    if web.listen is not None:
        scheme = "http" if web.cert is None else "https"
        ready["page"] = f"{local_url(web.listen, running.web_port, scheme)}/"
    typer.echo(jsonlib.dumps(ready), err=True)


def _result(command: str, work: Coroutine[object, None, T], status: int = 2) -> T:
    """Return the result of an action, or end the command with the text of its ToolError."""
    import asyncio

    from gateway.cli.operator_actions import ToolError

    try:
        return asyncio.run(work)
    except ToolError as error:
        fail(command, error, status)


@app.command(
    "check-config", epilog=examples("v2x check-config -c gateway.toml", "v2x check-config -c gateway.toml --json")
)
def check_config(config: ConfigFile, json: Json = False) -> None:
    """Verify a configuration, without starting the gateway.

    Reports mistakes, each with its key, and risks. Exit status 0: the gateway can start with it.
    """
    from gateway.cli.execution import without_passwords
    from gateway.config.lint import notes

    settings = verified_config(config)
    for note in notes(settings):
        print_lines(f"note: {note}", err=True)
    if json:
        print_lines(without_passwords(settings.model_dump_json(indent=2)))
    else:
        print_lines(f"{config}: valid ({settings.contents})")


@app.command(epilog=examples("v2x doctor -c gateway.toml", "v2x doctor -c gateway.toml --json"))
def doctor(config: ConfigFile, json: Json = False) -> None:
    """Verify what a gateway needs: broker, store, ports, clock.

    One line for each check, with the remedy: settings, broker, store, disk, certificates, ports, clock, passwords of
    the stations, admin API. Nothing is changed. Exit status 1: a check failed.
    """
    import asyncio
    from dataclasses import asdict

    from gateway.cli.doctor import examine
    from gateway.cli.findings import Finding, Verdict
    from gateway.config import ConfigError, load

    try:
        found = asyncio.run(examine(load(config)))
    except ConfigError as error:
        found = [Finding("settings", Verdict.FAILED, line, "correct it") for line in str(error).splitlines()]
    for one in found:
        print_lines(jsonlib.dumps(asdict(one)) if json else one.line())
    end(1 if any(one.verdict is Verdict.FAILED for one in found) else 0)


@app.command(epilog=examples("v2x health -c gateway.toml", "v2x health --live -c gateway.toml"))
def health(
    config: ConfigFile,
    live: Annotated[bool, typer.Option("--live", help="Only whether it runs, not whether it is ready.")] = False,
) -> None:
    """Print whether the running gateway is ready. Exit status 0: it is.

    Reads `/health/ready` of the admin API; for health checks of containers.
    """
    from gateway.cli import operator_actions

    ready, text = _result("health", operator_actions.health(read_config(config), live), 1)
    print_lines(text)
    end(0 if ready else 1)


@app.command(epilog=examples("v2x migrate -c gateway.toml"))
def migrate(config: ConfigFile, json: Json = False) -> None:
    """Migrate the store to this version. Stop the gateway first."""
    from gateway.cli import operator_actions

    settings = read_config(config)
    several = bool(settings.cluster.sites)
    for name, (before, after) in _result("migrate", operator_actions.migrate(settings)).items():
        if json:
            typer.echo(jsonlib.dumps({"before": before, "after": after} | ({"site": name} if several else {})))
        else:
            of = f" of {name}" if several else ""
            typer.echo(f"the store{of} was at version {before or 'none'} and is at version {after}")


@app.command(
    epilog=examples(
        "v2x journal -c gateway.toml --since 2026-11-29T00:00:00Z",
        "v2x journal -c gateway.toml --evse CP1-1 --steps --limit 50",
        "v2x journal -c gateway.toml --format csv",
    )
)
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
    site: Site = None,
    json: Json = False,
) -> None:
    """Print the journal: commands, granted powers, meter readings."""
    from gateway.cli import operator_actions

    selected: dict[str, Any] = {"since": since, "until": until, "evse": evse, "command": command, "limit": limit}
    text_format = "jsonl" if json else format.value
    work = operator_actions.journal(read_site(config, site), steps=steps, format=text_format, **selected)
    typer.echo(_result("journal", work), nl=False)


@app.command(epilog=examples("v2x explain CP1-1 -c gateway.toml"))
def explain(
    evse: Annotated[str, typer.Argument(help="Name of the EVSE, such as CP1-1.")],
    config: ConfigFile,
    site: Site = None,
    json: Json = False,
) -> None:
    """Print what limits the power of an EVSE, layer by layer.

    Reads the admin API of the running gateway: the layers of the control hierarchy and the limiting constraint.
    """
    from gateway.cli import operator_actions
    from gateway.cli.explanation import as_text
    from gateway.model import foreign_text

    found = _result("explain", operator_actions.explain(read_site(config, site), evse), 1)
    typer.echo(foreign_text.json_text(found.model_dump(mode="json")) if json else as_text(found))


@app.command(epilog=examples("v2x asyncapi", "v2x asyncapi -c gateway.toml"))
def asyncapi(config: OptionalConfig = None) -> None:
    """Print the MQTT contract as an AsyncAPI 3 document."""
    from gateway.cli import operator_actions

    typer.echo(operator_actions.asyncapi(None if config is None else read_config(config)), nl=False)


@app.command("mqtt-acl", epilog=examples("v2x mqtt-acl -c gateway.toml", "v2x mqtt-acl -c site1.toml -c site2.toml"))
def mqtt_acl(config: ConfigFiles) -> None:
    """Print Mosquitto's access list for the configured users.

    Several sites of one broker: one -c each.
    """
    from gateway.cli import operator_actions

    try:
        lists = [operator_actions.mqtt_acl(site) for one in config for site in read_config(one).sites]
    except operator_actions.ToolError as error:
        fail("mqtt-acl", error)
    typer.echo("\n".join(lists), nl=False)
