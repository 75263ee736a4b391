"""Interface to charging stations of any protocol, implemented by `csms` and the drivers.

The name of an EVSE is `<station>-<number>`, such as `CP1-1`, in MQTT topics, the journal and the API. An EVSE that the
gateway hosts itself has a name without a number, such as `BAY1`, and is its own station.
"""

from __future__ import annotations

import math
import re
from enum import StrEnum
from typing import Protocol, runtime_checkable

from protocols.frozen import frozen

EVSE_NUMBER = re.compile(r"[1-9][0-9]{0,2}")


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


@frozen
class Outcome:
    """Outcome of one request to a station."""

    answer: Answer
    code: str = ""  # an OutcomeCode, or the station's own reason code
    text: str = ""


class ReachableStations(Protocol):
    """EVSEs that may be reachable."""

    def reaches(self, evse: str) -> bool:
        """Return whether the EVSE is reachable here now (its station is connected)."""


class Stations(ReachableStations, Protocol):
    """EVSEs that are reachable through one package."""

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


def station_of(evse: str) -> str:
    """Return the station of an EVSE; an EVSE without a number is its own station."""
    station, _, number = evse.rpartition("-")
    return station if station and EVSE_NUMBER.fullmatch(number) else evse


def setpoint_refusal(
    power_w: float, valid_for_s: float, *, why_not: str | None, bidirectional: bool | None
) -> Outcome | None:
    """Return the reason why no EVSE may get a set-point, None where it may.

    `why_not`: reason why the EVSE cannot discharge, None where it can. `bidirectional`: as the vehicle has agreed, None
    before it has.
    """
    if not (math.isfinite(power_w) and math.isfinite(valid_for_s)) or valid_for_s <= 0:
        text = "a set-point needs a finite power and a validity above 0 s"
        return Outcome(Answer.REFUSED, OutcomeCode.INVALID_ORDER, text)
    if power_w < 0 and why_not is not None:
        return Outcome(Answer.REFUSED, OutcomeCode.CANNOT_DISCHARGE, why_not)
    if power_w < 0 and bidirectional is False:
        text = "the vehicle did not agree on a bidirectional transfer"
        return Outcome(Answer.REFUSED, OutcomeCode.NOT_BIDIRECTIONAL, text)
    return None
