"""Access list for Mosquitto's `acl_file`, from the site's users: read access, commands to EVSEs and to the site.

Users are those that the broker authenticates (password file, or the common name of a client certificate with
`use_identity_as_username`). Everything that is not granted is denied. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.model.site import InputKind
from gateway.mqtt.topics import VERSION, Topics, to_topic_level

LEAVES = ("state", "telemetry", "event", "result")


@dataclass(frozen=True, slots=True)
class User:
    """A user of the broker. `None` for a list means all.

    `neighbours`: other sites on the same broker whose state may be read, for vehicle lending between sites.
    """

    name: str
    read: Sequence[str] | None = None
    command: Sequence[str] | None = ()
    site: bool = False
    inputs: Sequence[InputKind] | None = ()
    gateway: bool = False
    homeassistant: bool = False
    neighbours: Sequence[str] | None = ()


def acl(topics: Topics, users: Iterable[User]) -> str:
    """Return the text of the file."""
    root = topics.root
    lines = [
        f"# Access list of the site {topics.site}, for Mosquitto: acl_file <this file>",
        "# Written by `v2x mqtt-acl`; generate it again when users change.",
    ]
    for user in users:
        lines += ["", f"user {user.name}", *(_gateway(topics) if user.gateway else _facility(topics, user))]
        sites = ["+"] if user.neighbours is None else [site for site in user.neighbours if site != topics.site]
        lines += [f"topic read v2x/{VERSION}/{site}/site/state" for site in sites]  # and nothing else of other sites
        lines.append(f"topic write {root}/reply/#" if user.gateway else f"topic readwrite {root}/reply/{user.name}/#")
    return "\n".join(lines) + "\n"


def _gateway(topics: Topics) -> list[str]:
    root, prefix = topics.root, topics.homeassistant
    lines = [
        f"topic read {root}/evse/+/cmd/+",
        f"topic read {root}/site/cmd/+",
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
        lines += [f"topic write {topics.mirror}/#", f"topic read {topics.mirror}/+/+/set"]
    return lines


def _facility(topics: Topics, user: User) -> list[str]:
    root = topics.root
    lines = [f"topic read {root}/gateway/+/status"]
    commanded = ["+"] if user.command is None else [to_topic_level(evse) for evse in user.command]
    for evse in ["+"] if user.read is None else map(to_topic_level, user.read):
        lines += [f"topic read {root}/evse/{evse}/{leaf}" for leaf in LEAVES]
    lines += [f"topic read {root}/site/{leaf}" for leaf in LEAVES]
    lines += [f"topic write {root}/evse/{evse}/cmd/+" for evse in commanded]
    if user.site:
        lines.append(f"topic write {root}/site/cmd/+")
    kinds = list(InputKind) if user.inputs is None else user.inputs
    lines += [f"topic write {root}/site/input/{InputKind(kind).value}" for kind in kinds]
    if user.homeassistant:
        prefix = topics.homeassistant
        lines += [f"topic readwrite {prefix}/status", f"topic read {prefix}/#"]
    if topics.mirror:
        lines.append(f"topic read {topics.mirror}/#")
        lines += [f"topic write {topics.mirror}/{evse}/+/set" for evse in commanded]
    return lines
