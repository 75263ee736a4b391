"""The names of the contract. Pure; `v2x/1/<site>` is the root, and a breaking change takes a new number."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

VERSION = "1"
NAME = re.compile(r"[A-Za-z0-9_.@=*|-]{1,64}")  # of sites, gateways and EVSEs: one topic level without wildcards


class Kind(StrEnum):
    """What an incoming topic is for."""

    EVSE_COMMAND = "evse_command"
    SITE_COMMAND = "site_command"
    INPUT = "input"
    GATEWAY_STATUS = "gateway_status"
    HOMEASSISTANT = "homeassistant"
    MIRROR = "mirror"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Heard:
    """An incoming topic, taken apart. `name` is the EVSE or gateway, `verb` the verb or kind of input."""

    kind: Kind
    name: str = ""
    verb: str = ""


@dataclass(frozen=True, slots=True)
class Topics:
    """All topics of one gateway at one site."""

    site: str
    gateway: str
    homeassistant: str = "homeassistant"
    mirror: str = ""

    @property
    def root(self) -> str:
        """`v2x/1/<site>`."""
        return f"v2x/{VERSION}/{self.site}"

    @property
    def status(self) -> str:
        """Retained; the will says offline."""
        return f"{self.root}/gateway/{self.gateway}/status"

    def evse(self, evse: str, leaf: str) -> str:
        """`state`, `telemetry`, `event`, `result` of an EVSE."""
        return f"{self.root}/evse/{evse}/{leaf}"

    def of_site(self, leaf: str) -> str:
        """`state`, `telemetry`, `event`, `result` of the site."""
        return f"{self.root}/site/{leaf}"

    def of(self, evse: str | None, leaf: str) -> str:
        """The same for an EVSE or, with None, the site."""
        return self.of_site(leaf) if evse is None else self.evse(evse, leaf)

    def filters(self, *, site_commands: bool, discovery: bool) -> list[str]:
        """What the gateway subscribes to."""
        found = [f"{self.root}/evse/+/cmd/+", f"{self.root}/gateway/+/status", f"{self.root}/site/input/+"]
        if site_commands:
            found.append(f"{self.root}/site/cmd/+")
        if discovery:
            found.append(f"{self.homeassistant}/status")
        if self.mirror:
            found.append(f"{self.mirror}/+/+/set")
        return found

    @property
    def neighbours(self) -> str:
        """The filter for the states of all sites on this broker."""
        return f"v2x/{VERSION}/+/site/state"

    def neighbour(self, topic: str) -> str | None:
        """The site whose state this is, if it is another one's."""
        match topic.split("/"):
            case ["v2x", version, site, "site", "state"] if version == VERSION and site != self.site:
                return site
        return None

    def parse(self, topic: str) -> Heard:
        """Take an incoming topic apart."""
        if topic == f"{self.homeassistant}/status":
            return Heard(Kind.HOMEASSISTANT)
        if self.mirror and topic.startswith(self.mirror + "/"):
            levels = topic.removeprefix(self.mirror + "/").split("/")
            return Heard(Kind.MIRROR, *levels[:2]) if len(levels) == 3 and levels[2] == "set" else Heard(Kind.UNKNOWN)
        if not topic.startswith(self.root + "/"):
            return Heard(Kind.UNKNOWN)
        match topic.removeprefix(self.root + "/").split("/"):
            case ["evse", evse, "cmd", verb]:
                return Heard(Kind.EVSE_COMMAND, evse, verb)
            case ["site", "cmd", verb]:
                return Heard(Kind.SITE_COMMAND, "", verb)
            case ["site", "input", kind]:
                return Heard(Kind.INPUT, "", kind)
            case ["gateway", gateway, "status"]:
                return Heard(Kind.GATEWAY_STATUS, gateway)
        return Heard(Kind.UNKNOWN)

    def may_answer_on(self, topic: str) -> bool:
        """Whether a result may be sent to a topic that a commander chose.

        Nothing that would be a wildcard, a topic of the broker's own, or one where somebody takes orders: commands,
        inputs and retained states of this contract, and Home Assistant's discovery.
        """
        if not topic or len(topic.encode()) > 512 or any(sign in topic for sign in "+#\0") or topic.startswith("$"):
            return False
        if topic.startswith(self.homeassistant + "/") or (self.mirror and topic.startswith(self.mirror + "/")):
            return False
        return not topic.startswith("v2x/") or topic.startswith(f"{self.root}/reply/")
