"""The control of a site as the cluster runs it, implemented by the gateway of one process."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Protocol

from starlette.types import ASGIApp

from gateway.cluster.messages import Attach, Noticed
from protocols.ports import TextWire


class End(StrEnum):
    """How the control of a site ends."""

    LOST = "lost"  # the lease: nothing is written or sent any more
    HANDED_OVER = "handed over"  # what is in force stays, for the next holder
    STOPPED = "stopped"  # no other instance is there: power goes to 0 W


class SiteControl(Protocol):
    """The control of a site while it runs."""

    @property
    def apps(self) -> dict[str, ASGIApp]:
        """Applications of the admin API (`admin`) and the page (`page`), where they are configured."""

    async def serve(self, wire: TextWire, attached: Attach) -> None:
        """Serve one connection of a station until it ends."""

    def noticed(self, message: Noticed) -> None:
        """Report a rejected handshake or a security event."""

    def busy(self, station: str) -> bool:
        """Return whether a station has a session with power in either direction."""

    def calls_waiting(self) -> int:
        """Return the number of calls that wait for the response of a station."""

    def end(self, how: End) -> None:
        """Prepare the end of the control, which follows at once."""


class LeaseView(Protocol):
    """The lease as the control of the site sees it."""

    @property
    def term(self) -> int: ...
    def may_act(self) -> bool: ...


Start = Callable[[LeaseView], AbstractAsyncContextManager[SiteControl]]
