"""Test bench of the emulated CHAdeMO board for the conformance kit: a vehicle whose contactors close with d2."""

from __future__ import annotations

from emulators.battery.pack import Battery, Pack
from emulators.boards.chademo import ChademoBoard
from emulators.boards.emulated import EmulatedSettings
from emulators.boards.emulated_bench import EmulatedBench
from emulators.boards.remote_chademo import RemoteChademoSettings, make
from gateway.drivers.board.registry import Driver
from protocols.ports import Clock


class ChademoBench(EmulatedBench):
    """Emulated CHAdeMO board and a vehicle."""

    board: ChademoBoard

    def _new_board(self, settings: EmulatedSettings, clock: Clock) -> ChademoBoard:
        return ChademoBoard(settings, clock)

    @property
    def switches(self) -> tuple[bool, bool]:
        """d1 and d2 at the plug."""
        return self.board.plug.d1, self.board.plug.d2

    @property
    def _vehicle_ready(self) -> bool:
        return self.board.plug.d2

    def attach(self) -> float:
        """Connect a vehicle with k closed; return its voltage."""
        battery: Battery = Pack(soc_start_pct=50.0)
        self.board.plug.plug(battery)
        self.board.plug.k = True
        self.board.wake()
        return battery.voltage_v


DRIVER = Driver("emulated-chademo", RemoteChademoSettings, make, ChademoBench, simulated=True)
