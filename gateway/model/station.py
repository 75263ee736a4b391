"""Interface to charging stations of any protocol, implemented by `csms` and the drivers.

The name of an EVSE is `<station>-<number>`, such as `CP1-1`, in MQTT topics, the journal and the API.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable


class Answer(StrEnum):
    """Answer of a station to a set-point or command."""

    APPLIED = "applied"  # the station confirmed it
    REFUSED = "refused"  # the station rejected it; `code` and `text` are its reason
    UNKNOWN = "unknown"  # no answer in time, or the link was lost: it may or may not have taken effect


class OutcomeCode(StrEnum):
    """Reason codes of the gateway itself; all others are the station's own, such as InvalidSchedule."""

    UNKNOWN_EVSE = "UnknownEvse"
    NOT_CONNECTED = "NotConnected"
    NOT_ACCEPTED = "NotAccepted"  # the station has not booted and been accepted
    TX_NOT_FOUND = "TxNotFound"
    TX_NOT_CONFIRMED = "TxNotConfirmed"
    INVALID_ORDER = "InvalidOrder"  # it would break the schema, or its values make no sense; it is not sent
    INVALID_OPERATION_MODE = "InvalidOperationMode"
    INVALID_ANSWER = "InvalidAnswer"  # the station's response breaks the schema
    CANNOT_DISCHARGE = "CannotDischarge"
    NOT_BIDIRECTIONAL = "NotBidirectional"
    NEEDS_NOT_STATED = "NeedsNotStated"
    PRIORITY_CHARGING = "PriorityCharging"
    NO_FALLBACK_PROFILE = "NoSafeProfile"  # the fallback profile is not installed
    NO_FORMING = "NoForming"  # no order selects grid-forming: only the hardware decides


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of one request to a station."""

    answer: Answer
    code: str = ""  # an OutcomeCode, or the station's own reason code
    text: str = ""


class Stations(Protocol):
    """EVSEs that are reachable through one package."""

    def reaches(self, evse: str) -> bool:
        """Return whether the EVSE is reachable here now (its station is connected)."""

    async def set_power(self, evse: str, power_w: float, valid_for_s: float) -> Outcome:
        """Run at `power_w` (signed, + into the vehicle); without another call it must fall to 0 W after `valid_for_s`.

        Never raises for a station's answer or silence; an unknown EVSE is `REFUSED` with code `UnknownEvse`.
        """

    async def reconcile(self, evse: str) -> float | None:
        """Return the set-point in W that the station holds, None where unknown; install the fallback profile."""


@runtime_checkable
class GridFormingStations(Protocol):
    """EVSEs that can be set to grid-forming."""

    async def form(self, evse: str, forms: bool) -> Outcome:
        """Set to grid-forming or grid-following. `REFUSED` with code `NoForming` where only the hardware decides.

        The caller has the confirmation that the main switch is open. Never raises for a station's answer or silence.
        """


def evse_name(station: str, number: int) -> str:
    """Return the gateway's name of an EVSE of a station."""
    return f"{station}-{number}"
