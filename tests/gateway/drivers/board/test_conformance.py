"""Conformance kit: the project's drivers pass; a driver broken in a rule fails its check."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from pydantic import ConfigDict

from emulators.boards import can_benches, chademo_bench, everest_bench
from emulators.boards.chademo import ChademoBoard
from emulators.boards.emulated import EmulatedBoard, EmulatedSettings
from emulators.boards.emulated_bench import DRIVER, EmulatedBench
from emulators.boards.emulated_ports import EmulatedStage
from emulators.runtime.clock import VirtualClock, run_virtual
from gateway.drivers.board import conformance
from gateway.drivers.board.conformance import CHECKS
from gateway.drivers.board.everest.settings import EverestSettings
from gateway.drivers.board.laboratory import NotApplicable, NotConforming, lab_of
from gateway.drivers.board.ports import (
    OFF,
    Capability,
    ContactorsChanged,
    FaultRaised,
    IsolationTested,
    LinesChanged,
    LockChanged,
    MeterReading,
    Output,
    PartRestarted,
    Range,
    Setpoint,
    StageMode,
)
from gateway.drivers.board.registry import BoardDriver, Driver
from protocols.ports import Clock

LINES = "the_lines_follow_plug_and_commands"
DRIVERS = [can_benches.INFYPOWER_BEG, can_benches.INFYPOWER, can_benches.WINLINE, everest_bench.DRIVER]


async def run(check: str, driver: BoardDriver) -> None:
    await conformance.run_check(CHECKS[check], driver, VirtualClock())


@pytest.mark.parametrize("check", [check for check in CHECKS if check != LINES])
def test_the_emulated_board_conforms(check: str) -> None:
    run_virtual(run(check, DRIVER))


@pytest.mark.parametrize("check", CHECKS)
def test_the_emulated_chademo_board_conforms(check: str) -> None:
    run_virtual(run(check, chademo_bench.DRIVER))


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("driver", DRIVERS)
def test_the_drivers_of_hardware_conform(check: str, driver: BoardDriver) -> None:
    with suppress(NotApplicable):
        run_virtual(run(check, driver))


class BrokenStage(EmulatedStage):
    """A stage in which one method is replaced; `board` is public."""

    def __init__(self, board: EmulatedBoard) -> None:
        super().__init__(board)
        self.board = board


Breaking = Callable[[EmulatedBoard], None]


def implausible(board: EmulatedBoard) -> None:
    class Stage(BrokenStage):
        @property
        def capability(self) -> Capability:
            return Capability(Range(500.0, 200.0, 30.0, 10_000.0))

    board.power = Stage(board)


def old_measurements(board: EmulatedBoard) -> None:
    class Stage(BrokenStage):
        first: Output | None = None

        @property
        def output(self) -> Output | None:
            self.first = self.first or super().output
            return self.first

    board.power = Stage(board)


def no_limits(board: EmulatedBoard) -> None:
    class Stage(BrokenStage):
        @property
        def capability(self) -> Capability:
            return Capability(Range(150.0, 500.0, 10.0, 10_000.0), Range(150.0, 500.0, 10.0, 10_000.0), settle_s=4.0)

    board.power = Stage(board)


def magnitudes(board: EmulatedBoard) -> None:
    class Stage(BrokenStage):
        @property
        def output(self) -> Output | None:
            found = super().output
            return found and Output(found.at, found.mode, found.voltage_v, abs(found.current_a))

    board.power = Stage(board)


def any_sign(board: EmulatedBoard) -> None:
    class Stage(BrokenStage):
        def set(self, setpoint: Setpoint) -> None:
            if setpoint.mode is not StageMode.OFF:
                sign = 1 if setpoint.mode is StageMode.CHARGE else -1
                setpoint = Setpoint(setpoint.mode, setpoint.voltage_v, sign * abs(setpoint.current_a))
            super().set(setpoint)

    board.power = Stage(board)


def turned_meter(board: EmulatedBoard) -> None:
    board.hardware.stage.meter.sign_swapped = True


def not_repeated(board: EmulatedBoard) -> None:
    class Stage(BrokenStage):
        def transmit(self, now: float, *, force: bool = False) -> None:
            if force:
                super().transmit(now, force=True)

    board.power = Stage(board)


def for_ever(board: EmulatedBoard) -> None:
    class Stage(BrokenStage):
        def transmit(self, now: float, *, force: bool = False) -> None:
            self._set_at = now
            super().transmit(now, force=force)

    board.power = Stage(board)


def no_time_out(board: EmulatedBoard) -> None:
    class Stage(BrokenStage):
        @property
        def silence_s(self) -> float | None:
            return 10.0

    board.power = Stage(board)
    board.hardware.output.silence_s = None


def without(board: EmulatedBoard, kind: type[object]) -> None:
    advance = board.advance
    board.advance = lambda now: [event for event in advance(now) if not isinstance(event, kind)]  # type: ignore[method-assign]


def open_under_load(board: EmulatedBoard) -> None:
    async def shut_down() -> None:
        board.contactors.allow(False, reason=board_reason)
        await board.clock.sleep(0.1)
        board.hardware.advance(board.clock.now())
        board.power.set(OFF)

    from gateway.drivers.board.ports import PowerReason

    board_reason = PowerReason.POWER_OFF
    board._shut_down = shut_down  # type: ignore[method-assign]


def off_too_early(board: EmulatedBoard) -> None:
    class Stage(BrokenStage):
        @property
        def output(self) -> Output | None:
            found = super().output
            return found and Output(
                found.at, StageMode(board.hardware.output.ordered), found.voltage_v, found.current_a
            )

    board.power = Stage(board)


def measures_for_ever(board: EmulatedBoard) -> None:
    board.isolation.stop = lambda: None  # type: ignore[method-assign]


def falling_register(board: EmulatedBoard) -> None:
    class Falling:
        @property
        def reading(self) -> MeterReading | None:
            now = board.clock.now()
            return MeterReading(now, 1000.0 - now, 0.0, board.hardware.stage.meter.power_w)

    board.meter = Falling()  # type: ignore[assignment]


BROKEN: list[tuple[str, str, Breaking]] = [
    ("the_capability_is_published", "implausible range", implausible),
    ("the_output_is_measured_in_time", "measurement of", old_measurements),
    ("limits_are_honoured", "beyond 10.0 A", no_limits),
    ("signs_are_into_the_vehicle", "current_a=8", magnitudes),
    ("signs_are_into_the_vehicle", "is accepted", any_sign),
    ("signs_are_into_the_vehicle", "discharged_wh=6", turned_meter),
    ("the_set_point_is_repeated", "0.0 A, set", not_repeated),
    ("a_set_point_without_repetition_ends", "set-point not repeated", for_ever),
    ("the_hardware_ends_a_silent_link", "silence time-out of the hardware", no_time_out),
    ("the_hardware_ends_a_silent_link", "fault of a silent", lambda board: without(board, FaultRaised)),
    ("wrong_answers_are_a_fault", "fault of wrong answers", lambda board: without(board, FaultRaised)),
    ("a_restart_is_reported", "report of a restart", lambda board: without(board, PartRestarted)),
    ("the_output_is_off_before_the_contactors_open", "opened at", open_under_load),
    ("the_output_is_off_before_the_contactors_open", "reported as off", off_too_early),
    ("contactors_confirm_their_position", "no event for contactors", lambda board: without(board, ContactorsChanged)),
    (
        "contactors_confirm_their_position",
        "contactors True",
        lambda board: setattr(board.hardware, "contactors_stuck", True),
    ),
    ("the_isolation_monitor_answers", "self-test", lambda board: without(board, IsolationTested)),
    ("the_isolation_monitor_answers", "after the stop", measures_for_ever),
    ("meter_registers_only_grow", "charged_wh=987", falling_register),
    ("the_lock_confirms_its_position", "no event for locked", lambda board: without(board, LockChanged)),
]


@pytest.mark.parametrize(("check", "reason", "breaking"), BROKEN)
def test_a_broken_driver_fails(check: str, reason: str, breaking: Breaking) -> None:
    class Broken(EmulatedBench):
        def __init__(self, settings: EmulatedSettings, clock: Clock) -> None:
            super().__init__(settings, clock)
            breaking(self.board)

    driver = Driver("broken", EmulatedSettings, EmulatedBoard, Broken, simulated=True)
    with pytest.raises(NotConforming, match=reason):
        run_virtual(run(check, driver))


def test_settings_that_take_anything_fail() -> None:
    class Anything(EmulatedSettings):
        model_config = ConfigDict(extra="ignore")

    driver = Driver("broken", Anything, EmulatedBoard, EmulatedBench)
    with pytest.raises(NotConforming):
        run_virtual(run("unknown_settings_are_errors", driver))


def test_every_check_has_a_broken_driver() -> None:
    assert {check for check, _, _ in BROKEN} | {"unknown_settings_are_errors", LINES} == set(CHECKS)


def test_lines_that_do_not_switch_or_are_not_reported_fail() -> None:
    class Stuck(chademo_bench.ChademoBench):
        @property
        def switches(self) -> tuple[bool, bool]:
            return self.board.plug.d1, True

    class Unreported(chademo_bench.ChademoBench):
        def __init__(self, settings: EmulatedSettings, clock: Clock) -> None:
            super().__init__(settings, clock)
            without(self.board, LinesChanged)

    for bench, reason in ((Stuck, "commanded"), (Unreported, "reported plug and k")):
        driver = Driver("broken", EmulatedSettings, ChademoBoard, bench, simulated=True)
        with pytest.raises(NotConforming, match=reason):
            run_virtual(run(LINES, driver))


@pytest.mark.virtual_time
@pytest.mark.parametrize("make", [EmulatedBench, everest_bench.EverestBench])
async def test_the_end_of_a_driver_with_a_current_that_does_not_end(make: type[EmulatedBench]) -> None:
    """The pilot goes to F, the vehicle opens, then the contactors open."""
    model = EmulatedSettings if make is EmulatedBench else EverestSettings
    driver = Driver("stuck", model, EmulatedBoard, make, simulated=True)  # type: ignore[arg-type]
    async with lab_of(driver, {}, VirtualClock()) as lab:
        await lab.flow(StageMode.CHARGE)
        bench = lab.equipped()
        assert isinstance(bench, EmulatedBench | everest_bench.EverestBench)
        hardware = bench.board.hardware if isinstance(bench, EmulatedBench) else bench.hardware
        hardware.stage.follows_setpoint = False
        await lab.stop()
        await lab.clock.sleep(1.0)
        hardware.advance(lab.clock.now())
        assert not hardware.closed
        assert max(map(abs, bench.opened_at_a)) < 1.0
