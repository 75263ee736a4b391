"""Josev waits five seconds after each session before it lets go of the connection; a test of many sessions can't.

Runs in the peer's own interpreter. Only the wait at the end of a session is shortened, no timer of the protocol.
"""

import asyncio
from types import ModuleType, SimpleNamespace

LONGEST = 0.3  # s


def impatient(comm_session: ModuleType) -> None:
    """Replace `asyncio.sleep` as this one module of the peer sees it."""
    seen = SimpleNamespace(**vars(asyncio))
    seen.sleep = lambda seconds: asyncio.sleep(min(seconds, LONGEST))
    comm_session.asyncio = seen
