"""What the core may ask of a charging station, whatever protocol it speaks.

`csms` and `link` implement this; nothing else in the gateway talks to stations. An EVSE's name is `<station>-<number>`,
such as `CP1-1`, and is what MQTT topics, the journal and the API say.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable


class Answer(StrEnum):
    """How the station took an order."""

    APPLIED = "applied"  # the station confirmed it
    REFUSED = "refused"  # the station said no; `code` and `text` say why
    UNKNOWN = "unknown"  # no answer in time, or the link broke: it may or may not have taken effect


@dataclass(frozen=True, slots=True)
class Outcome:
    """The station's answer to one order."""

    answer: Answer
    code: str = ""  # the station's own reason code, such as InvalidSchedule
    text: str = ""


class Stations(Protocol):
    """All EVSEs that can be reached through one room."""

    def reaches(self, evse: str) -> bool:
        """Whether this room speaks for the EVSE now (its station is connected)."""

    async def set_power(self, evse: str, power_w: float, hold_s: float) -> Outcome:
        """Run at `power_w` (signed, + into the vehicle); without another call it must fall to 0 W after `hold_s`.

        Never raises for what the station says or fails to say; an unknown EVSE is `REFUSED` with code `UnknownEvse`.
        """

    async def reconcile(self, evse: str) -> float | None:
        """The set-point in W the station holds now, None where it cannot tell; the safe fallback is (re)installed."""


@runtime_checkable
class Formers(Protocol):
    """A room whose EVSEs can be told to form an island's voltage."""

    async def form(self, evse: str, forms: bool) -> Outcome:
        """Form the voltage, or follow a grid again. `REFUSED` with code `NoForming` where only hardware decides.

        Who calls has the proof that the main switch is open. Never raises for what the station says or fails to say.
        """


def evse_name(station: str, number: int) -> str:
    """The gateway's name of an EVSE of a station."""
    return f"{station}-{number}"
