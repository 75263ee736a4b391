"""Access list for Mosquitto's `acl_file`, from the site's users: read access, commands to EVSEs and to the site.

Users are those that the broker authenticates (password file, or the common name of a client certificate with
`use_identity_as_username`). Everything that is not granted is denied. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.model.site import InputKind
from gateway.mqtt.topics import VERSION, Topics, to_topic_level

LEAVES = ("state", "telemetry", "event", "result")


@dataclass(frozen=True, slots=True)
class User:
    """A user of the broker. `None` for a list means all.

    `neighbours`: other sites on the same broker whose state may be read, for vehicle lending between sites. `inbox`:
    prefix of its reply topics, if it is not `reply/<name>/`.
    """

    name: str
    read: Sequence[str] | None = None
    command: Sequence[str] | None = ()
    site: bool = False
    inputs: Sequence[InputKind] | None = ()
    gateway: bool = False
    homeassistant: bool = False
    neighbours: Sequence[str] | None = ()
    inbox: str = ""


def acl(topics: Topics, users: Sequence[User], *, shared_commands: bool = True) -> str:
    """Return the text of the file. Every user may command on topics with its own name, as the last level.

    `shared_commands`: also on topics without it, where senders cannot be distinguished.
    """
    lines = [
        f"# Access list of the site {topics.site}, for Mosquitto: acl_file <this file>",
        "# Written by `v2x mqtt-acl`; generate it again when users change.",
    ]
    for user in users:
        lines += [
            "",
            f"user {user.name}",
            *(_gateway(topics, users) if user.gateway else _facility(topics, user, shared_commands)),
        ]
        sites = ["+"] if user.neighbours is None else [site for site in user.neighbours if site != topics.site]
        lines += [f"topic read v2x/{VERSION}/{site}/site/state" for site in sites]  # and nothing else of other sites
        if not user.gateway:
            lines.append(f"topic readwrite {user.inbox or topics.inbox(user.name)}#")
    return "\n".join(lines) + "\n"


def _gateway(topics: Topics, users: Sequence[User]) -> list[str]:
    root, prefix = topics.root, topics.homeassistant
    lines = [
        *[f"topic read {root}/{target}/cmd/{rest}" for target in ("evse/+", "site") for rest in ("+", "+/+")],
        f"topic read {root}/site/input/+",
        f"topic readwrite {root}/gateway/+/status",
        f"topic readwrite {root}/evse/+/state",
        *[f"topic write {root}/evse/+/{leaf}" for leaf in LEAVES if leaf != "state"],
        *[f"topic write {root}/site/{leaf}" for leaf in LEAVES],
        f"topic read {prefix}/status",
        f"topic readwrite {prefix}/device/+/config",
        f"topic readwrite {prefix}/+/+/+/config",
    ]
    if topics.mirror:
        lines.append(f"topic write {topics.mirror}/#")
        lines += [f"topic read {topics.mirror}/+/+/set", f"topic read {topics.mirror}/+/+/set/+"]
    return [*lines, f"topic write {root}/reply/#", *[f"topic write {user.inbox}#" for user in users if user.inbox]]


def _facility(topics: Topics, user: User, shared_commands: bool) -> list[str]:
    root, own = topics.root, f"/{to_topic_level(user.name)}"
    ends = ("", own) if shared_commands else (own,)
    lines = [f"topic read {root}/gateway/+/status"]
    commanded = ["+"] if user.command is None else [to_topic_level(evse) for evse in user.command]
    readable = ["+"] if user.read is None else [to_topic_level(evse) for evse in user.read]
    for evse in readable:
        lines += [f"topic read {root}/evse/{evse}/{leaf}" for leaf in LEAVES]
    lines += [f"topic read {root}/site/{leaf}" for leaf in LEAVES]
    lines += [f"topic write {root}/evse/{evse}/cmd/+{end}" for evse in commanded for end in ends]
    if user.site:
        lines += [f"topic write {root}/site/cmd/+{end}" for end in ends]
    kinds = list(InputKind) if user.inputs is None else user.inputs
    lines += [f"topic write {root}/site/input/{InputKind(kind).value}" for kind in kinds]
    if user.homeassistant:
        prefix = topics.homeassistant
        lines += [f"topic readwrite {prefix}/status", f"topic read {prefix}/#"]
    if topics.mirror:
        lines += [f"topic read {topics.mirror}/{evse}/#" for evse in readable]
        lines += [f"topic write {topics.mirror}/{evse}/+/set{end}" for evse in commanded for end in ends]
    return lines
