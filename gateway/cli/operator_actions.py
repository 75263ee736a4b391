"""Functions behind the operator's commands: check, journal, explain, asyncapi, mqtt-acl, migrate.

They read a configuration and print nothing. The text of a ToolError states the reason and the remedy.
"""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

from gateway.clock import SystemClock
from gateway.config import Config, ConfigError, UserEntry, admin_token, local_url
from gateway.config.lint import notes
from gateway.config.mapping import cluster_settings, mqtt_topics, sql_store
from gateway.config.verification import verify
from gateway.model.message import parse_moment
from gateway.model.site import InputKind
from gateway.model.state import Explanation
from gateway.mqtt.acl import User, acl
from gateway.mqtt.asyncapi import document
from gateway.store import report
from gateway.store.schema import newest
from gateway.store.sql import SqlStore
from gateway.store.store import StoreError

ANSWER_WITHIN_S = 10.0
_WRITERS = {"text": report.as_text, "csv": report.as_csv, "jsonl": report.as_json_lines}


class ToolError(Exception):
    """The action failed; the text states why and what to do."""


def check(config: Config) -> list[str]:
    """Verify what reading does not (ConfigError otherwise). Return notes on risks."""
    verify(config)
    return notes(config)


async def journal(
    config: Config,
    *,
    since: str | None = None,
    until: str | None = None,
    steps: bool = False,
    format: str = "text",
    **selected: Any,
) -> str:
    """Return the journal as text, CSV or JSON lines: a row per command, or with `steps` every step and event.

    `since` and `until` are RFC 3339 or Unix seconds; `report.read` describes `selected`. Read-only, also while the
    gateway runs.
    """
    if config.store.url == "memory:":
        raise ToolError("store.url is memory: the journal exists in the running gateway only; query its admin API")
    async with _store(config) as store:
        await store.open()
        times: dict[str, Any] = {"since": _moment(since, "since"), "until": _moment(until, "until")}
        entries = await report.read(store, **times, **selected)
    return _WRITERS[format](entries if steps else report.commands(entries))


async def explain(config: Config, evse: str) -> Explanation:
    """Return the explanation of an EVSE from the running gateway, over its admin API."""
    if config.admin.listen is None:
        raise ToolError("explain needs the admin API of the running gateway: set admin.listen and restart the gateway")
    path = f"/sites/{quote(config.site.id, safe='')}" if config.one_of_several else ""
    url = f"{local_url(config.admin.listen)}{path}/admin/v1/evses/{quote(evse, safe='')}/explain"
    try:
        token = admin_token.read(config)
    except ConfigError as error:
        raise ToolError(str(error)) from None
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    answer = await asyncio.to_thread(_get, urllib.request.Request(url, headers=headers), evse)
    return Explanation.model_validate(answer)


async def health(config: Config, live: bool = False) -> tuple[bool, str]:
    """Return whether the running gateway is ready, or only whether it runs, and its answer."""
    if config.admin.listen is None:
        raise ToolError("health needs the admin API of the running gateway: set admin.listen and restart the gateway")
    url = f"{local_url(config.admin.listen)}/health/{'live' if live else 'ready'}"

    def get() -> tuple[bool, str]:
        try:
            with urllib.request.urlopen(url, timeout=ANSWER_WITHIN_S) as answer:
                return True, answer.read().decode()
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise ToolError(f"the gateway answered {error.code}: {error.reason}") from None
            return False, error.read().decode()
        except (OSError, ValueError) as error:
            raise ToolError(f"no gateway answers at {url}: {getattr(error, 'reason', error)}") from None

    return await asyncio.to_thread(get)


def asyncapi(config: Config | None = None) -> str:
    """Return the MQTT contract as an AsyncAPI 3 document (JSON), with the configured broker if there is one."""
    drawn = document(config.mqtt.url) if config is not None else document()
    return json.dumps(drawn, indent=2, ensure_ascii=False) + "\n"


def mqtt_acl(config: Config) -> str:
    """Return Mosquitto's access list for the users of the configuration."""
    if not config.users:
        raise ToolError("there are no users: list them as [[users]] with a name and what each may do")
    if not any(user.gateway for user in config.users):
        raise ToolError(
            "no user is the gateway: one of [[users]] needs gateway = true, or the gateway itself is locked out"
        )
    return acl(
        mqtt_topics(config),
        [
            User(
                user.name,
                None if user.read == "all" else user.read,
                None if user.command == "all" else user.command,
                user.site,
                None if user.inputs == "all" else [InputKind(kind) for kind in user.inputs],
                user.gateway,
                user.homeassistant,
                _neighbours(config, user),
                user.inbox,
            )
            for user in config.users
        ],
        shared_commands=config.mqtt.shared_commands,
    )


def _neighbours(config: Config, user: UserEntry) -> list[str] | None:
    """Return the sites a user may read, None for all: a gateway with an agreement file reads all by default."""
    lends = user.gateway and config.blue_switch.file is not None and not user.neighbours
    return None if lends or user.neighbours == "all" else list(user.neighbours)


async def migrate(config: Config) -> dict[str, tuple[str | None, str]]:
    """Migrate the store of each site; return the version before (None for a new one) and after, by site."""
    if config.store.url == "memory:":
        raise ToolError("store.url is memory: there is nothing to migrate")
    found = {}
    for site in config.sites:
        async with _store(site) as store:
            before = await store.version()
        if before not in (None, newest()):
            await verify_stopped(config)
        async with _store(site) as store:
            found[site.site.id] = await store.migrate()
    return found


async def verify_stopped(config: Config) -> None:
    """Raise ToolError while instances of the cluster run: none of them could take a site over any more.

    An instance controls no site for long without NATS, so that NATS need not run. Where it runs and refuses this user
    or certificate, instances with another one may be connected.
    """
    if not config.cluster.servers:
        return
    from gateway.cluster import status  # on demand: not imported without a cluster
    from gateway.cluster.fault import Fault
    from gateway.cluster.io import ClusterError

    try:
        found = await status.read(cluster_settings(config), SystemClock())
    except ClusterError as error:
        if error.fault in (Fault.USER, Fault.OTHER_NAME, Fault.CERTIFICATE):
            raise ToolError(f"whether instances of the cluster run is not known: {error}") from error
        return
    running = [one.instance for one in found.instances if one.present]
    if running:
        raise ToolError(f"instances of the cluster run: {', '.join(running)}; stop all of them first")


@asynccontextmanager
async def _store(config: Config) -> AsyncIterator[SqlStore]:
    """Close the store at the end; name the key of the configuration in its errors."""
    store = sql_store(config)
    try:
        yield store
    except StoreError as error:
        raise ToolError(f"store.url: {error}") from error
    finally:
        await store.close()


def _moment(text: str | None, option: str) -> float | None:
    if text is None:
        return None
    try:
        return parse_moment(float(text) if text.replace(".", "", 1).isdigit() else text)
    except ValueError as error:
        raise ToolError(f"--{option} {error}") from None


def _get(request: urllib.request.Request, evse: str) -> Any:
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_WITHIN_S) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        if error.code == 404:
            raise ToolError(f"unknown EVSE {evse}") from None
        if error.code == 401:
            raise ToolError("the gateway rejects the token of admin.token_file") from None
        raise ToolError(f"the gateway answered {error.code}: {error.reason}") from None
    except (urllib.error.URLError, TimeoutError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise ToolError(f"no gateway answers at {request.full_url.split('/admin/')[0]}: {reason}") from None
