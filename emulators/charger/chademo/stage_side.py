"""DC side of a CHAdeMO connection at a station: the converter with its meter instead of a current source.

The station sets the power of the converter and CHAdeMO limits its current (`charger/station/chademo_power_path.py`);
here the contactors of the vehicle connect the converter with the battery.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic

from emulators.charger.chademo.dc_side import DcSide, S
from emulators.charger.hardware.power_stage import Contactors, PowerStage
from protocols.chademo.charger_session import ChargerOutputs
from protocols.ports import Clock


@dataclass(slots=True)
class StageSide(DcSide[S], Generic[S]):
    """Cable at a converter. `on_contactors` is called with the position of the vehicle's contactors."""

    stage: PowerStage = field(kw_only=True)
    clock: Clock = field(kw_only=True)
    on_contactors: Callable[[bool], None] | None = field(default=None, kw_only=True)

    def advance(self, outputs: ChargerOutputs, contactors: bool, seconds: float) -> None:
        """Simulate some time with constant orders of both sides."""
        self.operate(outputs, seconds)
        stage, now = self.stage, self.clock.now()
        self._move_contactors(contactors, now)
        if self.closed:
            stage.advance(now)
            self.voltage_v, self.current_a = stage.voltage_v, stage.current_a
        else:
            self.stay_open(outputs, seconds)

    def _move_contactors(self, contactors: bool, now: float) -> None:
        stage = self.stage
        welded = stage.contactors is Contactors.WELDED and self.closed
        closed = contactors or welded
        if closed == self.closed:
            return
        self.closed = closed
        if self.on_contactors is not None:
            self.on_contactors(closed)
        if closed:
            stage.precharge(self.pack.rest_v)
            stage.close(now)
        else:
            stage.open(now)
