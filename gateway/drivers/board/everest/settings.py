"""Settings of the board `everest`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from gateway.drivers.board.registry import BoardSettings
from protocols.everest_api import Kind


class EverestSettings(BoardSettings):
    """Settings of the board `everest`; the ids are those of the programs' topics."""

    url: str = Field(default="mqtt://127.0.0.1:1883", pattern=r"^mqtts?://", description="broker of the programs")
    username: str | None = Field(default=None, description="user at that broker")
    password_file: Path | None = Field(default=None, description="file with the password")
    client_id: str = Field(default="v2x-everest-board", description="client id; one for each board")
    board_support: str | None = Field(default=None, description="module id: pilot, contactors and lock")
    has_lock: bool = Field(default=False, description="the board has a socket with a lock")
    power_supply: str | None = Field(default=None, description="module id: power stage")
    isolation_monitor: str | None = Field(default=None, description="module id: isolation monitor")
    powermeter: str | None = Field(default=None, description="module id: meter")
    silence_s: float | None = Field(
        default=None, gt=2, description="time after which the program switches off without heartbeat, if it is known"
    )
    settle_s: float = Field(default=5.0, gt=0, le=30, description="time of the largest change of the current")

    @property
    def modules(self) -> dict[Kind, str]:
        """Ids by kind."""
        found = {
            Kind.BOARD: self.board_support,
            Kind.POWER: self.power_supply,
            Kind.ISOLATION: self.isolation_monitor,
            Kind.METER: self.powermeter,
        }
        return {kind: one for kind, one in found.items() if one is not None}
