"""Records of one station that several parts of the CSMS read and change."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class ConfiguredPassword:
    """Password of the configuration, beside which another one may be stored; see `Credentials`.

    `hash` is made where it is needed. `unverified`: the stored password holds if `hash` is that of the configuration.
    """

    password: str | None
    hash: str | None = None
    unverified: bool = False


@dataclass(slots=True)
class DerState:
    """DER controls: active ones with the grid event, and what LimitMaxDischarge leaves as a share of the rating.

    `revision` counts the readings of the controls.
    """

    alarms: dict[str, str] = field(default_factory=dict)
    revision: int = 0
    discharge_share: float = 1.0
