"""Acceptance of stations: the response to BootNotification, and the messages permitted before it is Accepted.

2.x B01-B03, 1.6 4.2. A registered station has a setting of its own; others follow the policy for unknown stations. The
`interval` of a response is the heartbeat interval for an accepted station, the time to the next BootNotification for
any other. In a storm of boots, such as after a power failure, stations are answered Pending with an `interval` after
which their turn has come.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.csms.settings import StationSettings, UnknownStations
from gateway.rate_limit import TokenBucket
from protocols.ocpp.enums import v16, v21

BOOTS_PER_S, BOOT_BURST = 50.0, 300.0  # beyond them stations without a transaction boot again a little later
POSTPONED_AT_MOST_S = 10
Status = v21.RegistrationStatusEnumType
Trigger = v21.MessageTriggerEnumType

_UNKNOWN = {UnknownStations.ACCEPT: Status.accepted, UnknownStations.PENDING: Status.pending}
_REPORTS: dict[str, str] = {
    v21.Action.get_base_report: v21.Action.notify_report,
    v21.Action.get_report: v21.Action.notify_report,
    v21.Action.get_monitoring_report: v21.Action.notify_monitoring_report,
}
# 1.6 4.2 forbids these to a Pending station; one of 2.x would answer Rejected (B02.FR.05).
NOT_WHILE_PENDING = frozenset(
    {
        v16.Action.remote_start_transaction,
        v16.Action.remote_stop_transaction,
        v21.Action.request_start_transaction,
        v21.Action.request_stop_transaction,
    }
)


@dataclass(frozen=True, slots=True)
class Boot:
    """Content of the last BootNotification, and the status of its response."""

    status: str  # of `Status`
    vendor: str = ""
    model: str = ""
    serial: str | None = None
    firmware: str | None = None
    reason: str | None = None
    at: float = 0.0  # Unix time


class BootTurns:
    """Turns of stations in a storm of boots: a postponed station has a turn of its own and boots once more for it."""

    def __init__(self) -> None:
        self._bucket = TokenBucket(BOOTS_PER_S, BOOT_BURST)
        self._turns: dict[str, float] = {}  # of postponed stations: engine time

    def wait_s(self, station: str, now: float, *, urgent: bool) -> int:
        """Return the time until the station boots again, at most `POSTPONED_AT_MOST_S`; 0: it is accepted now.

        `urgent`: it cannot wait, and is accepted in any case.
        """
        turn = self._turns.pop(station, None)
        if urgent:
            self._bucket.take(now)
            return 0
        if turn is None:
            owed_s = self._bucket.spend(now, 1.0)
            if not owed_s:
                self._turns.clear()  # all of them have come
            turn = now + owed_s
        if turn <= now:
            return 0
        self._turns[station] = turn
        return min(POSTPONED_AT_MOST_S, math.ceil(turn - now))


def canonical(stations: Mapping[str, object], name: str) -> str:
    """Return the id of a known station, which is compared without case (identifierString), else the name as it is."""
    if name in stations:
        return name
    folded = name.casefold()
    return next((one for one in stations if one.casefold() == folded), name)


def status_of(settings: StationSettings, registered: bool, policy: UnknownStations) -> str:
    """Return the status for the station's BootNotification."""
    if registered:
        return Status(settings.registration.value.capitalize())
    return _UNKNOWN.get(policy, Status.rejected)  # REJECT: connected before the policy changed


def action_caused_by(action: str, requested: str) -> str | None:
    """Return the action that a call of the gateway permits to a station that is not accepted; None for none."""
    if action in (v21.Action.trigger_message, v16.Action.extended_trigger_message):
        return v21.Action.sign_certificate if requested.startswith("Sign") else requested  # else the name of the action
    return _REPORTS.get(action)


def forbidden(boot: Boot | None, action: str) -> str | None:
    """Return the reason why the gateway must not send a call to the station now, or None."""
    if boot is None or boot.status == Status.accepted:
        return None
    if boot.status == Status.rejected:
        return "a Rejected station is sent nothing before its next BootNotification (B03.FR.03)"
    if action in NOT_WHILE_PENDING:
        return f"{action} is not permitted while the station is Pending (B02.FR.05; 1.6 4.2)"
    return None
