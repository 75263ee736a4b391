"""Interruptions of a station during a case that the case has not ordered: a restart, a lost connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from emulators.conformance.case import Failed, Inconclusive
from emulators.conformance.ocpp.peer import Kind, Message
from emulators.conformance.ocpp.tester_csms import TesterCsms

_PASSWORDS = {"SetVariables": "BasicAuthPassword", "ChangeConfiguration": "AuthorizationKey"}  # the station reconnects


@contextmanager
def uninterrupted(csms: TesterCsms) -> Iterator[None]:
    """Make the verdict of the block inconclusive where the station restarted or lost its connection by itself.

    Not where the block has sent Reset or another password. After an interruption by the tester, a boot makes a failure
    inconclusive; a pass stays, because stations exist that send BootNotification on every connection.
    """
    handshakes, ordered, begun = len(csms.handshakes), csms.interruptions, len(csms.recorded.messages)
    failure: Failed | None = None
    try:
        yield
    except Failed as error:
        failure = error
    messages = csms.recorded.messages[begun:]
    connections, ordered = len(csms.handshakes) - handshakes, csms.interruptions - ordered
    absent = csms.peer is None or csms.peer.closed.is_set()
    booted = connections > 0 and any(m.from_device and _calls(m, "BootNotification") for m in messages)
    lost = connections > ordered or (absent and connections == ordered)
    if (lost or (booted and failure is not None)) and not any(map(_orders, messages)):
        what = "restarted" if booted else "lost its connection"
        observed = "" if failure is None else f"; observed: {failure}"
        raise Inconclusive(f"the station {what} during the case, without an order of the tester{observed}") from failure
    if failure is not None:
        raise failure


def _calls(message: Message, action: str) -> bool:
    return message.kind is Kind.CALL and message.action == action


def _orders(message: Message) -> bool:
    """Return whether a request of the tester makes the station boot or connect again."""
    if message.from_device:
        return False
    return _calls(message, "Reset") or any(_calls(message, a) and key in message.text for a, key in _PASSWORDS.items())
