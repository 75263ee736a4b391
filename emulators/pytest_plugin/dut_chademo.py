"""Fixtures of a vendor's own device over CHAdeMO: a charger or a vehicle on a CAN bus.

::

    def test_the_charger_discharges(v2x_dut_chademo_charger):       # pytest --v2x-dut-can can0
        session = v2x_dut_chademo_charger.charge(profile="leaf-40", soc_pct=60, loops=100)
        assert session.ok and min(session.powers_w) < -2000

    def test_the_vehicle_discharges(v2x_dut_chademo_ev):
        session = v2x_dut_chademo_ev.serve(power_w=-3000, loops=100)
        assert session.ok and "0x200" in session.messages

The channel is that of the mark `v2x_dut(can=...)`, of `--v2x-dut-can` or V2X_DUT_CAN: `can0` or `vcan0` (SocketCAN),
`udp:GROUP` between processes. CHAdeMO has lines beside the bus (d1, d2, k), and power: the bench of the device passes
them on as the two frames of `emulators/runtime/plug_lines.py` (docs/chademo.md). Tests are ordinary functions and run
in real time. With `--v2x-artifacts DIR` each session stores its frames as `candump -L` writes them, and its records.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from emulators.pytest_plugin.dut_session import Device, Session, number, target, timed

if TYPE_CHECKING:
    from protocols.can import CanFrame
    from protocols.dc_modules.bus import CanBus

FORM = "CHANNEL, such as can0"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("v2x-dut-can", "devices under test over CHAdeMO")
    group.addoption(
        "--v2x-dut-can",
        default=None,
        metavar="CHANNEL",
        help="CAN bus of v2x_dut_chademo_charger or v2x_dut_chademo_ev: can0, vcan0, udp:GROUP (or V2X_DUT_CAN)",
    )


@dataclass(slots=True, repr=False)
class ChademoSession(Session):
    """One session over CHAdeMO. `frames`: those of both sides with their Unix times, without the lines of the plug."""

    frames: list[tuple[float, CanFrame]] = field(default_factory=list)

    @property
    def messages(self) -> list[str]:
        """Identifiers of all frames in order, such as 0x102."""
        return [f"{frame.can_id:#05x}" for _, frame in self.frames]

    @property
    def powers_w(self) -> list[float]:
        """Power over time at the plug, + into the vehicle: of the charger each 0.2 s, of the vehicle its changes."""
        return [number(one.get("power_w")) for one in self.of("Measured") or self.of("Power")]


class _CanDevice(Device):
    """A device on a CAN bus. `frames` are those of the last session, as far as it came."""

    def __init__(self, config: pytest.Config, target: str, name: str) -> None:
        super().__init__(config, target, name)
        self.frames: list[tuple[float, CanFrame]] = []

    async def _on_bus(self, work: Callable[[CanBus], Coroutine[object, None, int]]) -> int:
        """Run our side of a session on the bus, and record the frames. Fails the test without the bus."""
        from emulators.runtime.clock import RealClock
        from emulators.runtime.recorded_can import CandumpFile, RecordedCan

        self.frames = frames = []
        try:
            from protocols.dc_modules.io import open_bus  # python-can is an extra

            bus = open_bus(self.target)
        except (ImportError, ConnectionError) as error:
            raise pytest.fail.Exception(f"no CAN bus: {error}", pytrace=False) from None
        path = self._artefact(".candump")
        file = None if path is None else CandumpFile(path)

        def record(at: float, frame: CanFrame) -> None:
            frames.append((at, frame))
            if file is not None:
                file.add(at, frame)

        try:
            return await work(RecordedCan(bus, record, RealClock().wall))
        finally:
            await bus.close()
            if file is not None:
                file.close()

    def _received(self, identifiers: frozenset[int]) -> str:
        """Return how many frames of the device arrived, for the failure of a test."""
        return f"{sum(frame.can_id in identifiers for _, frame in self.frames)} frames of it"


class ChademoChargerDut(_CanDevice):
    """A charger on a CAN bus; our side is the vehicle."""

    def charge(
        self, within_s: float = 180.0, *, profile: str = "leaf-40", soc_pct: float = 60.0, loops: int = 100
    ) -> ChademoSession:
        """Run a session of the emulated vehicle, which ends it after `loops` cycles of 100 ms with power."""
        from emulators.ev.car import Car
        from emulators.ev.chademo_run import ChademoOptions, run_on
        from emulators.ev.profile import load
        from emulators.ev.report import Reporter
        from emulators.runtime.clock import RealClock
        from protocols.chademo.frames import FROM_CHARGER

        self._count += 1
        out, car = io.StringIO(), Car(load(profile), soc_pct)
        options = ChademoOptions(self.target, profile, soc_pct, loops, json=True)

        async def drive(bus: CanBus) -> int:
            return await run_on(bus, car, options, Reporter(out, True, {}), RealClock())

        def missing() -> str:
            return f"no charger has completed a session on {self.target} ({self._received(FROM_CHARGER)})"

        status = timed(self._on_bus(drive), within_s, missing)
        return ChademoSession(status, self._records(out), self.frames)


class ChademoEvDut(_CanDevice):
    """A vehicle on a CAN bus; our side is the charger."""

    def serve(self, within_s: float = 180.0, **options: float) -> ChademoSession:
        """Serve one session. `options`: those of `emulators.charger.chademo.run.ChargerOptions`, such as power_w (into
        the vehicle, negative discharges) and loops, after which the charger ends the session."""
        from emulators.charger.chademo.run import ChargerOptions, ChargerRun
        from emulators.ev.report import Reporter
        from emulators.runtime.clock import RealClock
        from protocols.chademo.frames import FROM_VEHICLE

        self._count += 1
        out, made = io.StringIO(), ChargerOptions(**options)  # type: ignore[arg-type]
        runs: list[ChargerRun] = []

        async def supply(bus: CanBus) -> int:
            runs.append(ChargerRun(bus, made, Reporter(out, True, {}), RealClock()))
            return await runs[0].run()

        def missing() -> str:
            how = f"charger in state {runs[0].state}" if runs and runs[0].met else "none at the plug: no lines of it"
            return f"no vehicle has completed a session on {self.target} ({how}, {self._received(FROM_VEHICLE)})"

        status = timed(self._on_bus(supply), within_s, missing)
        return ChademoSession(status, self._records(out), self.frames)


@pytest.fixture
def v2x_dut_chademo_charger(request: pytest.FixtureRequest) -> ChademoChargerDut:
    """The charger on the CAN bus of the mark `v2x_dut(can=...)`, of `--v2x-dut-can` or V2X_DUT_CAN."""
    return ChademoChargerDut(request.config, target(request, "can", FORM), request.node.nodeid)


@pytest.fixture
def v2x_dut_chademo_ev(request: pytest.FixtureRequest) -> ChademoEvDut:
    """The vehicle on the CAN bus of the mark `v2x_dut(can=...)`, of `--v2x-dut-can` or V2X_DUT_CAN."""
    return ChademoEvDut(request.config, target(request, "can", FORM), request.node.nodeid)
