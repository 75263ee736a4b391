"""Test bench of the emulated board for the conformance kit: a vehicle whose contactors close at equal voltages."""

from __future__ import annotations

from emulators.battery.pack import Battery, Pack
from emulators.boards.emulated import EmulatedBoard, EmulatedSettings
from gateway.drivers.board.faults import Part
from gateway.drivers.board.registry import Driver
from protocols.ports import Clock


class EmulatedBench:
    """Emulated board and a vehicle."""

    parts = frozenset({Part.POWER, Part.METER, Part.CONTACTORS, Part.ISOLATION})

    def __init__(self, settings: EmulatedSettings, clock: Clock) -> None:
        self.board = self._new_board(settings, clock)
        self._clock = clock

    def _new_board(self, settings: EmulatedSettings, clock: Clock) -> EmulatedBoard:
        return EmulatedBoard(settings, clock)

    @property
    def current_a(self) -> float:
        self.board.hardware.advance(self._clock.now())
        return self.board.hardware.stage.current_a

    @property
    def voltage_v(self) -> float:
        return self.board.hardware.stage.voltage_v

    @property
    def opened_at_a(self) -> list[float]:
        return self.board.hardware.opened_at_a

    async def run(self) -> None:
        """The vehicle: its contactors close as soon as the voltages are equal."""
        while True:
            if self.board.hardware.closed and self._vehicle_ready:
                self.board.hardware.close_vehicle(self._clock.now())
            await self._clock.sleep(0.1)

    @property
    def _vehicle_ready(self) -> bool:
        return self.board.hardware.pilot_state == "C"

    def attach(self) -> float:
        """Connect a vehicle; return its voltage."""
        battery: Battery = Pack(soc_start_pct=50.0)
        self.board.hardware.plug(battery)
        self.board.hardware.pilot_state = "C"
        self.board.wake()
        return battery.voltage_v

    def detach(self) -> None:
        """Disconnect the vehicle."""
        self.board.hardware.unplug(self._clock.now())
        self.board.wake()

    def cut(self, part: Part) -> None:
        """Cut the link to a part."""
        self.board.silent.add(part)

    def restore(self, part: Part) -> None:
        """Restore the link."""
        self.board.silent.discard(part)
        self.board.wake()

    corrupt = cut  # answers that are no answers

    def restart(self, part: Part) -> None:
        """Restart a part."""
        if part is Part.POWER:
            self.board.hardware.output.restart(self._clock.now())
        self.board.restarted.add(part)
        self.board.wake()


DRIVER = Driver("emulated", EmulatedSettings, EmulatedBoard, EmulatedBench, simulated=True)
