"""Board driver of an emulated charger whose vehicle is `v2x ev --slac`, at the other end of a network interface.

The control pilot travels in frames beside SLAC, as between `v2x secc --slac` and `v2x ev --slac`. The battery is that
of the hardware; the messages are those of the program.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pydantic import Field

from emulators.battery.pack import Pack
from emulators.boards.ac_vehicle import output_of
from emulators.boards.parked import ParkedBoard, ParkedSettings
from emulators.charger.hardware.board_hardware import BoardHardware
from emulators.powerline.modem import BEACON_ETHERTYPE
from emulators.powerline.real_interface import PILOT_INTERVAL, PILOT_MARK, UNPLUGGED_AFTER
from gateway.drivers.board.ports import Report
from gateway.drivers.board.registry import Driver
from protocols.iec61851 import PilotState
from protocols.ports import Clock
from protocols.slac.frames import BROADCAST
from protocols.slac.io import PacketSocket, pump

STATES = frozenset(state.value for state in PilotState)


class CableSettings(ParkedSettings):
    """Settings of the emulated board at the end of a cable."""

    interface: str = Field(description="network interface of the cable, with CAP_NET_RAW")


class PilotLine:
    """End of an EVSE of a control pilot in frames: engine of `protocols.slac.io.pump`."""

    def __init__(self, hardware: BoardHardware, mac: bytes, battery: Pack, changed: Callable[[], None]) -> None:
        self._hardware, self._mac, self._battery, self._changed = hardware, mac, battery, changed
        self._shown = b""
        self._now = self._due = self._seen_at = 0.0

    def receive(self, data: bytes, now: float) -> list[object]:
        """Process a frame: the state that the vehicle shows."""
        content = data[14:]
        if content.startswith(PILOT_MARK):
            self._seen_at = now
            self._set(content[len(PILOT_MARK) :][:1].decode("ascii", "replace"), now)
        return self.expire(now)

    def expire(self, now: float) -> list[object]:
        """Process the passage of time: a vehicle that shows nothing is unplugged."""
        self._now = now
        if now - self._seen_at > UNPLUGGED_AFTER:
            self._set(PilotState.A.value, now)
        return []

    def data_to_send(self) -> list[bytes]:
        """Return the frame that is due."""
        output = output_of(self._hardware.pilot_signal)
        shown = output.kind.value[:1].encode() + round(output.duty_pct * 100).to_bytes(2, "big")
        if shown == self._shown and self._now < self._due:
            return []
        self._shown, self._due = shown, self._now + PILOT_INTERVAL
        header = BROADCAST + self._mac + BEACON_ETHERTYPE.to_bytes(2, "big")
        return [header + (PILOT_MARK + shown).ljust(46, b"\0")]

    def deadline(self) -> float:
        return self._due

    def _set(self, state: str, now: float) -> None:
        hardware = self._hardware
        if state not in STATES or state == hardware.pilot_state:
            return
        if state == PilotState.A.value:
            hardware.unplug(now)
        elif hardware.pilot_state == PilotState.A.value:
            hardware.plug(self._battery)
        hardware.pilot_state = state
        self._changed()


class CableBoard(ParkedBoard):
    """Emulated board at the end of a cable."""

    def __init__(self, settings: CableSettings, clock: Clock) -> None:
        super().__init__(settings, clock)
        self._settings = settings
        self.hardware.unplug(clock.now())

    async def run(self, report: Report) -> None:
        """Operate hardware, driver and cable until cancelled. Raises OSError without the interface."""
        port = PacketSocket(self._settings.interface, frozenset({BEACON_ETHERTYPE}))
        line = PilotLine(self.hardware, port.mac, Pack(soc_start_pct=self._settings.soc_pct), self.wake)
        exchange = asyncio.create_task(pump(line, port, self.clock, lambda event: None))
        try:
            await super().run(report)
        finally:
            exchange.cancel()
            port.close()


DRIVER = Driver("emulated-cable", CableSettings, CableBoard)
