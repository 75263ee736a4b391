"""Topics of the MQTT contract. `v2x/1/<site>` is the root; a breaking change takes a new number. Pure.

Names of EVSEs are encoded reversibly in topics and in ids of Home Assistant, so that two EVSEs are never one: the
identity of a station may contain `+` and signs that Home Assistant does not allow. In a topic level they are
percent-encoded (RFC 3986), in an id written as `_x` and two hexadecimal digits. Other names are encoded as themselves.

`MqttSettings` are the settings of the connection besides the link itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from functools import lru_cache
from urllib.parse import quote, unquote

from gateway.model.command import Verb
from gateway.model.topic_name import topic_fault
from protocols.frozen import frozen

VERSION = "1"
MAX_CLIENT = 96  # characters of a client in a topic
# Printable ASCII without the wildcards and the separator of MQTT, without % and without space
_IN_TOPIC = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in "+#/%")
_IN_ID = re.compile(r"_(?=x[0-9A-F]{2})|[^A-Za-z0-9_-]")
_IN_SITE_ID = re.compile(r"[^A-Za-z0-9-]")  # also the underscore, which ends the site in the id of a device
_LIKE_ESCAPED = re.compile(r"x(?=[0-9A-F]{2})")


class Kind(StrEnum):
    """Purpose of an incoming topic."""

    EVSE_COMMAND = "evse_command"
    SITE_COMMAND = "site_command"
    INPUT = "input"
    GATEWAY_STATUS = "gateway_status"
    HOMEASSISTANT = "homeassistant"
    EVSE_STATE = "evse_state"
    DISCOVERY = "discovery"
    MIRROR = "mirror"
    NEIGHBOUR = "neighbour"
    UNKNOWN = "unknown"


@frozen
class ParsedTopic:
    """An incoming topic in parts. `name` is the EVSE, gateway or site, `verb` the verb or kind of input.

    `client` is the client of a command, as encoded in the topic; None on a shared topic.
    """

    kind: Kind
    name: str = ""
    verb: str = ""
    client: str | None = None


@frozen
class Topics:
    """All topics of one gateway at one site. `homeassistant_client`: user in the command topics of Home Assistant."""

    site: str
    gateway: str
    homeassistant: str = "homeassistant"
    mirror: str = ""
    homeassistant_client: str = ""

    @property
    def root(self) -> str:
        """`v2x/1/<site>`."""
        return f"v2x/{VERSION}/{self.site}"

    @property
    def status(self) -> str:
        """Topic of this gateway's retained status and of its will."""
        return f"{self.root}/gateway/{self.gateway}/status"

    def evse(self, evse: str, leaf: str) -> str:
        """Return the topic of an EVSE's `state`, `telemetry`, `event` or `result`."""
        return f"{self.root}/evse/{to_topic_level(evse)}/{leaf}"

    def mirrored(self, evse: str, name: str) -> str:
        """Return the topic of a value of an EVSE in the mirror."""
        return f"{self.mirror}/{to_topic_level(evse)}/{name}"

    def of_site(self, leaf: str) -> str:
        """Return the topic of the site's `state`, `telemetry`, `event` or `result`."""
        return f"{self.root}/site/{leaf}"

    def of(self, evse: str | None, leaf: str) -> str:
        """Return the same for an EVSE or, with None, the site."""
        return self.of_site(leaf) if evse is None else self.evse(evse, leaf)

    def command(self, evse: str | None, verb: Verb | str, client: str = "") -> str:
        """Return the topic of a command to an EVSE or, with None, to the site; with a client, that client's own."""
        return self.of(evse, f"cmd/{verb}") + (f"/{to_topic_level(client)}" if client else "")

    def inbox(self, client: str) -> str:
        """Return the prefix of the reply topics of a client."""
        return f"{self.root}/reply/{client}/"

    def filters(self, *, site_commands: bool, discovery: bool) -> list[str]:
        """Return the filters that the gateway subscribes to."""
        found = [f"{self.root}/evse/+/cmd/+", f"{self.root}/gateway/+/status", f"{self.root}/site/input/+"]
        found += [f"{self.root}/site/cmd/+"] if site_commands else []
        found += [f"{self.homeassistant}/status"] if discovery else []
        return found + ([f"{self.mirror}/+/+/set"] if self.mirror else [])

    def stop_filters(self, *, site_commands: bool) -> list[str]:
        """Return the filters of stops, which act whatever else arrives."""
        found = [f"{self.root}/evse/+/cmd/{Verb.STOP}"]
        return found + ([f"{self.root}/site/cmd/{Verb.STOP}"] if site_commands else [])

    @property
    def emergency_filters(self) -> list[str]:
        """Filters of the emergency stop, which acts whatever else arrives, stops included."""
        return [f"{self.root}/site/cmd/{Verb.EMERGENCY_STOP}"]

    @staticmethod
    def of_clients(filters: Sequence[str]) -> list[str]:
        """Return the filters of the clients' own topics for filters of shared command topics."""
        return [f"{one}/+" for one in filters if "/cmd/" in one or one.endswith("/set")]

    @property
    def retained_filters(self) -> list[str]:
        """Filters for the retained states and discovery messages of this gateway, among others."""
        prefix = self.homeassistant
        return [f"{self.root}/evse/+/state", f"{prefix}/device/+/config", f"{prefix}/+/+/+/config"]

    @property
    def neighbours(self) -> str:
        """Filter for the states of all sites on this broker."""
        return f"v2x/{VERSION}/+/site/state"

    def parse(self, topic: str) -> ParsedTopic:
        """Return the parts of an incoming topic."""
        parsed = self._parse(topic)
        if parsed.client is not None and (len(parsed.client) > MAX_CLIENT or from_topic_level(parsed.client) is None):
            return ParsedTopic(Kind.UNKNOWN)
        if parsed.kind not in (Kind.EVSE_COMMAND, Kind.EVSE_STATE, Kind.MIRROR):
            return parsed
        name = from_topic_level(parsed.name)
        return ParsedTopic(Kind.UNKNOWN) if name is None else replace(parsed, name=name)

    def _parse(self, topic: str) -> ParsedTopic:
        if topic == f"{self.homeassistant}/status":
            return ParsedTopic(Kind.HOMEASSISTANT)
        if topic.startswith(self.homeassistant + "/") and topic.endswith("/config"):
            return ParsedTopic(Kind.DISCOVERY)
        if self.mirror and topic.startswith(self.mirror + "/"):
            match topic.removeprefix(self.mirror + "/").split("/"):
                case [evse, name, "set", *client] if len(client) <= 1:
                    return ParsedTopic(Kind.MIRROR, evse, name, *client)
            return ParsedTopic(Kind.UNKNOWN)
        match topic.split("/"):
            case ["v2x", str(version), *_] if version != VERSION:
                return ParsedTopic(Kind.UNKNOWN)
            case ["v2x", _, self.site, "evse", evse, "cmd", verb, *client] if len(client) <= 1:
                return ParsedTopic(Kind.EVSE_COMMAND, evse, verb, *client)
            case ["v2x", _, self.site, "evse", evse, "state"]:
                return ParsedTopic(Kind.EVSE_STATE, evse)
            case ["v2x", _, self.site, "site", "cmd", verb, *client] if len(client) <= 1:
                return ParsedTopic(Kind.SITE_COMMAND, "", verb, *client)
            case ["v2x", _, self.site, "site", "input", kind]:
                return ParsedTopic(Kind.INPUT, "", kind)
            case ["v2x", _, self.site, "gateway", gateway, "status"]:
                return ParsedTopic(Kind.GATEWAY_STATUS, gateway)
            case ["v2x", _, site, "site", "state"] if site != self.site:
                return ParsedTopic(Kind.NEIGHBOUR, site)
        return ParsedTopic(Kind.UNKNOWN)

    def reply_fault(self, topic: str, inbox: str = "") -> str | None:
        """Return why a result is not sent to the reply topic of a command, None where it is.

        With an `inbox` only topics are used that begin so.

        Rejected are topics that brokers refuse, the broker's own topics, and topics with an effect: commands, inputs
        and retained states of this contract, the mirror, and Home Assistant's discovery.
        """
        if (fault := topic_fault(topic)) is not None:
            return fault
        if not topic.startswith(inbox):
            return f"results of this client are sent to {inbox} only"
        if topic.startswith(self.homeassistant + "/") or (self.mirror and topic.startswith(self.mirror + "/")):
            return "a message there has an effect"
        if topic.startswith("v2x/") and not topic.startswith(f"{self.root}/reply/"):
            return f"under v2x/ results are sent to {self.root}/reply/ only"
        return None


@frozen
class LoadTiers:
    """Names of the configured load tiers, and the name under which the state has the autonomy of the critical ones."""

    names: tuple[str, ...] = ()
    autonomy: str = ""


@frozen
class MqttSettings:
    """Topics, publishing period, and what this gateway accepts. `homeassistant`: device, components or off."""

    topics: Topics
    tiers: LoadTiers = LoadTiers()
    telemetry_s: float = 1.0
    takes_site_commands: bool = True
    broker_grace_s: float = 30.0
    homeassistant: str = "device"


@lru_cache(4096)
def to_topic_level(name: str) -> str:
    """Return a name as one level of a topic; equal levels have equal names."""
    return quote(name, safe=_IN_TOPIC, errors="surrogatepass")


def from_topic_level(level: str) -> str | None:
    """Return the name of a topic level; None for a level that is no name's."""
    try:
        name = unquote(level, errors="surrogatepass")
    except UnicodeDecodeError:
        return None
    return name if name and to_topic_level(name) == level else None


def to_id(name: str) -> str:
    """Return a name as part of an id of Home Assistant (letters, digits, hyphen, underscore)."""
    return _IN_ID.sub(lambda sign: _escape(sign[0]), name)


def device_id(site: str, evse: str) -> str:
    """Return the id of an EVSE's device in Home Assistant, which may serve several sites at one broker."""
    name = to_id(evse)
    name = _escape("x") + name[1:] if _LIKE_ESCAPED.match(name) else name
    return f"{site_device_id(site)}_{name}"


def site_device_id(site: str) -> str:
    """Return the id of a site's device in Home Assistant."""
    return "v2x_" + _IN_SITE_ID.sub(lambda sign: _escape(sign[0]), site)


def _escape(sign: str) -> str:
    return "".join(f"_x{byte:02X}" for byte in sign.encode("utf-8", "surrogatepass"))
