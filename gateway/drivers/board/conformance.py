"""Conformance checks of a board driver: the rules of `ports.py`, one coroutine each.

`pytest --v2x-board NAME` runs them; `run_check` runs one on a clock. A check that needs a part or a bench that is not
there raises `NotApplicable`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from gateway.drivers.board.bench import Bench, BenchWithLines
from gateway.drivers.board.faults import FaultName, Part
from gateway.drivers.board.laboratory import (
    STARTED_WITHIN_S,
    STEP_S,
    Lab,
    NotApplicable,
    NotConforming,
    lab_of,
)
from gateway.drivers.board.ports import (
    HOLD_S,
    OFF,
    ContactorsChanged,
    FaultCleared,
    FaultRaised,
    IsolationMeasured,
    IsolationTested,
    LinesChanged,
    LockChanged,
    PartRestarted,
    PowerReason,
    Setpoint,
    StageMode,
    lines_of,
)
from gateway.drivers.board.registry import BoardDriver, BoardError
from gateway.drivers.board.supervision import OPEN_BELOW_A
from protocols.ports import Clock

REPORTED_WITHIN_S = 20.0  # of a fault of the link, and of its end
UNKNOWN_SILENCE_S = 15.0  # for a stage whose time-out is not known


# Checks --------------------------------------------------------------------------------------------------------------


async def unknown_settings_are_errors(lab: Lab) -> None:
    """Unknown settings are refused."""
    try:
        lab.driver.build({"no_such_setting_of_any_driver": 1}, lab.clock)
    except BoardError:
        return
    raise NotConforming("an unknown setting is accepted")


async def the_capability_is_published(lab: Lab) -> None:
    """Ranges are plausible and complete before any session."""
    stage = lab.stage
    for limits in (lab.capability.charge, lab.capability.discharge):
        if limits is None:
            continue
        ordered = 0 <= limits.min_voltage_v < limits.max_voltage_v and 0 <= limits.min_current_a < limits.max_current_a
        if not ordered or limits.max_power_w <= 0:
            raise NotConforming(f"implausible range {limits}")
    if not 0 < lab.capability.settle_s <= 30 or lab.capability.tolerance_a < 0:
        raise NotConforming(f"implausible capability {lab.capability}")
    if stage.silence_s is not None and stage.silence_s <= HOLD_S:
        raise NotConforming(f"silence time-out {stage.silence_s} s, which is within HOLD_S")


async def the_output_is_measured_in_time(lab: Lab) -> None:
    """Measurements are at most 1 s apart, and not from the future."""
    last = lab.output.at
    for _ in range(50):
        await lab.wait(STEP_S)
        at, now = lab.output.at, lab.clock.now()
        if now - at > 1.0 or at < last or at > now + 0.01:
            raise NotConforming(f"measurement of {at:.2f} s at {now:.2f} s")
        last = at


async def limits_are_honoured(lab: Lab) -> None:
    """More than the capability is refused or limited."""
    for mode in (StageMode.CHARGE, StageMode.DISCHARGE):
        if mode is StageMode.DISCHARGE and lab.capability.discharge is None:
            continue
        limits = lab.range_of(mode)
        sign = 1 if mode is StageMode.CHARGE else -1
        await lab.energise()
        with suppress(ValueError):
            beyond = Setpoint(mode, lab.setpoint_of(mode).voltage_v, sign * 2 * limits.max_current_a)
            await lab.hold(beyond, lab.capability.settle_s + 1.0)
        if abs(lab.current_a) > limits.max_current_a + lab.capability.tolerance_a:
            raise NotConforming(f"{lab.current_a:.1f} A beyond {limits.max_current_a} A")
        await lab.hold(OFF, lab.capability.settle_s + 1.0)


async def signs_are_into_the_vehicle(lab: Lab) -> None:
    """+ charges and − discharges, for the driver, the bench and the meter; a contradiction raises ValueError."""
    for mode in (StageMode.CHARGE, StageMode.DISCHARGE):
        if mode is StageMode.DISCHARGE and lab.capability.discharge is None:
            continue
        setpoint = await lab.flow(mode)
        meter = lab.board.meter
        if lab.output.current_a * setpoint.current_a <= 0 or lab.output.mode is not mode:
            raise NotConforming(f"{lab.output} with {setpoint}")
        if meter is not None:
            await lab.wait(2.0)
            if meter.reading is None or meter.reading.power_w * setpoint.current_a <= 0:
                raise NotConforming(f"{meter.reading} with {setpoint}")
        await lab.hold(OFF, lab.capability.settle_s + 1.0)
    for wrong in (Setpoint(StageMode.CHARGE, 400.0, -5.0), Setpoint(StageMode.DISCHARGE, 300.0, 5.0)):
        try:
            lab.stage.set(wrong)
        except ValueError:
            continue
        raise NotConforming(f"{wrong} is accepted")


async def the_set_point_is_repeated(lab: Lab) -> None:
    """A set-point that the supervisor repeats is not ended by the silence time-out of the hardware."""
    setpoint = await lab.flow(StageMode.CHARGE)
    await lab.hold(setpoint, 1.5 * (lab.stage.silence_s or UNKNOWN_SILENCE_S))
    if abs(lab.current_a - setpoint.current_a) > max(2.0, 0.1 * abs(setpoint.current_a)):
        raise NotConforming(f"{lab.current_a:.1f} A, set {setpoint.current_a:.1f} A")


async def a_set_point_without_repetition_ends(lab: Lab) -> None:
    """HOLD_S after the last `set` the driver switches off: the process above it does not live."""
    await lab.flow(StageMode.CHARGE)
    await lab.zero(HOLD_S + lab.capability.settle_s + 1.5, "set-point not repeated")


async def the_hardware_ends_a_silent_link(lab: Lab) -> None:
    """Without commands the hardware switches off by itself, in the time that the driver states; then it recovers."""
    bench = lab.equipped()
    if Part.POWER not in bench.parts:
        raise NotApplicable("the bench cannot cut the power stage")
    setpoint = await lab.flow(StageMode.CHARGE)
    bench.cut(Part.POWER)
    cut_at = lab.clock.now()
    limit = (lab.stage.silence_s or UNKNOWN_SILENCE_S) + lab.capability.settle_s + 1.0
    await lab.until(lambda: abs(bench.current_a) < OPEN_BELOW_A, limit, "silence time-out of the hardware")
    left = REPORTED_WITHIN_S - (lab.clock.now() - cut_at)
    await reported_and_recovered(lab, bench, left, "fault of a silent power stage")
    await lab.flow(setpoint.mode)


async def wrong_answers_are_a_fault(lab: Lab) -> None:
    """Errors, wrong check sums and incomplete frames are a fault with a standard name, and are recovered from."""
    bench = lab.equipped()
    if Part.POWER not in bench.parts:
        raise NotApplicable("the bench cannot disturb the power stage")
    await lab.flow(StageMode.CHARGE)
    bench.corrupt(Part.POWER)
    await reported_and_recovered(lab, bench, REPORTED_WITHIN_S, "fault of wrong answers")
    await lab.flow(StageMode.CHARGE)


async def a_restart_is_reported(lab: Lab) -> None:
    """Hardware that restarts is reported, does not continue unasked, and works again after OFF."""
    bench = lab.equipped()
    if Part.POWER not in bench.parts:
        raise NotApplicable("the bench cannot restart the power stage")
    await lab.flow(StageMode.CHARGE)
    bench.restart(Part.POWER)
    await lab.until(lambda: bool(lab.of(FaultRaised, PartRestarted)), REPORTED_WITHIN_S, "report of a restart")
    await lab.hold(OFF, lab.capability.settle_s + 3.0)
    if abs(lab.current_a) >= OPEN_BELOW_A:
        raise NotConforming(f"{lab.current_a:.1f} A after a restart")
    active = len(lab.of(FaultRaised)) - len(lab.of(FaultCleared))
    if active:
        await lab.until(
            lambda: len(lab.of(FaultRaised)) == len(lab.of(FaultCleared)), REPORTED_WITHIN_S, "end of the fault"
        )
    await lab.flow(StageMode.CHARGE)


async def the_output_is_off_before_the_contactors_open(lab: Lab) -> None:
    """OFF brings the current to 0 first; the end of the driver too, then the contactors open."""
    await lab.flow(StageMode.CHARGE)
    lab.setpoint = OFF
    until = lab.clock.now() + lab.capability.settle_s + 3.0
    while lab.output.mode is not StageMode.OFF:
        await lab.wait(STEP_S)
        if lab.clock.now() > until:
            raise NotConforming("the output does not switch off")
    if abs(lab.current_a) >= OPEN_BELOW_A:
        raise NotConforming(f"reported as off with {lab.current_a:.1f} A")
    await lab.flow(StageMode.CHARGE)
    await lab.stop()
    bench = lab.bench
    if bench is not None:
        await lab.clock.sleep(0.5)
        if abs(bench.current_a) >= OPEN_BELOW_A:
            raise NotConforming(f"{bench.current_a:.1f} A after the end of the driver")
        if lab.board.contactors is not None and not bench.opened_at_a:
            raise NotConforming("the contactors are closed after the end of the driver")
        if any(abs(amps) >= OPEN_BELOW_A for amps in bench.opened_at_a):
            raise NotConforming(f"contactors opened at {bench.opened_at_a} A")


async def contactors_confirm_their_position(lab: Lab) -> None:
    """The position feedback follows the command within 2 s and is reported."""
    contactors = lab.board.contactors
    if contactors is None:
        raise NotApplicable("this driver has no contactors")
    for closed, reason in ((True, PowerReason.CABLE_CHECK), (False, PowerReason.POWER_OFF)):
        contactors.allow(closed, reason)
        await lab.until(lambda closed=closed: contactors.closed is closed, 2.0, f"contactors {closed}")  # type: ignore[misc]
        await lab.wait(0.2)
        changes = [event.closed for event in lab.events if isinstance(event, ContactorsChanged)]
        if not changes or changes[-1] is not closed:
            raise NotConforming(f"no event for contactors closed = {closed}")


async def the_isolation_monitor_answers(lab: Lab) -> None:
    """A self-test ends within 10 s; measurements come between start and stop only."""
    isolation = lab.board.isolation
    if isolation is None:
        raise NotApplicable("this driver has no isolation monitor")
    isolation.start()
    isolation.self_test(500.0)
    await lab.until(lambda: bool(lab.of(IsolationTested)), 10.0, "self-test")
    await lab.until(lambda: bool(lab.of(IsolationMeasured)), 2.0, "measurement")
    isolation.stop()
    await lab.wait(1.5)
    count = len(lab.of(IsolationMeasured))
    await lab.wait(3.0)
    if isolation.resistance_ohm is not None or len(lab.of(IsolationMeasured)) != count:
        raise NotConforming("measurements after the stop")


async def meter_registers_only_grow(lab: Lab) -> None:
    """Readings are at most 2 s old; registers do not decrease in either direction."""
    meter = lab.board.meter
    if meter is None:
        raise NotApplicable("this driver has no meter")
    await lab.until(lambda: meter.reading is not None, STARTED_WITHIN_S, "reading")
    last = meter.reading
    modes = [StageMode.CHARGE, StageMode.DISCHARGE] if lab.board.power is not None else []
    for mode in modes:
        if mode is StageMode.DISCHARGE and lab.capability.discharge is None:
            continue
        await lab.flow(mode)
        await lab.wait(5.0)
        reading = meter.reading
        assert last is not None
        assert reading is not None
        if lab.clock.now() - reading.at > 2.0:
            raise NotConforming(f"reading of {reading.at:.1f} s at {lab.clock.now():.1f} s")
        if reading.charged_wh < last.charged_wh or reading.discharged_wh < last.discharged_wh:
            raise NotConforming(f"{reading} after {last}")
        last = reading


async def the_lock_confirms_its_position(lab: Lab) -> None:
    """The lock reaches its position within 2 s and reports it."""
    lock = lab.board.lock
    if lock is None:
        raise NotApplicable("this driver has no lock")
    for locked in (True, False):
        lock.set(locked)
        await lab.until(lambda locked=locked: lock.locked is locked, 2.0, f"lock {locked}")  # type: ignore[misc]
        await lab.wait(0.2)
        changes = [event.locked for event in lab.events if isinstance(event, LockChanged)]
        if not changes or changes[-1] is not locked:
            raise NotConforming(f"no event for locked = {locked}")


async def the_lines_follow_plug_and_commands(lab: Lab) -> None:
    """d1 and d2 are open at the start and at the end, and follow each command; plug and k are reported."""
    lines = lines_of(lab.board)
    if lines is None:
        raise NotApplicable("this driver has no lines of CHAdeMO")
    bench = lab.equipped()
    if not isinstance(bench, BenchWithLines):
        raise NotApplicable("the bench does not measure the switches")
    await lab.until(lambda: lines.plugged is True and lines.k is True, 2.0, "inputs of a plugged vehicle")
    for d1, d2 in ((False, False), (True, False), (True, True), (True, False), (False, False), (True, True)):
        lines.set(d1, d2)
        await lab.wait(2 * STEP_S)
        if bench.switches != (d1, d2):
            raise NotConforming(f"d1, d2 {bench.switches}, commanded {(d1, d2)}")
    bench.detach()
    await lab.until(lambda: lines.plugged is False, 2.0, "inputs without a vehicle")
    await lab.wait(2 * STEP_S)
    reported = [(event.plugged, event.k) for event in lab.events if isinstance(event, LinesChanged)]
    if (True, True) not in reported or reported[-1] != (False, False):
        raise NotConforming(f"reported plug and k: {reported}")
    await lab.stop()
    if bench.switches != (False, False):
        raise NotConforming(f"d1, d2 {bench.switches} after the end of the driver")


async def reported_and_recovered(lab: Lab, bench: Bench, within_s: float, what: str) -> None:
    """Require a fault of the communication in time, and its end after OFF with the power stage restored."""
    await lab.until(lambda: bool(lab.of(FaultRaised)), within_s, what)
    name_it(lab, FaultName.COMMUNICATION)
    lab.setpoint = OFF
    bench.restore(Part.POWER)
    await lab.until(lambda: bool(lab.of(FaultCleared)), REPORTED_WITHIN_S, "end of the fault")


def name_it(lab: Lab, name: FaultName) -> None:
    """Require a fault by its name."""
    names = [event.name for event in lab.events if isinstance(event, FaultRaised)]
    if name not in names:
        raise NotConforming(f"faults {', '.join(names)} without {name}")


Check = Callable[[Lab], Awaitable[None]]
CHECKS: Mapping[str, Check] = {
    check.__name__: check
    for check in (
        unknown_settings_are_errors,
        the_capability_is_published,
        the_output_is_measured_in_time,
        limits_are_honoured,
        signs_are_into_the_vehicle,
        the_set_point_is_repeated,
        a_set_point_without_repetition_ends,
        the_hardware_ends_a_silent_link,
        wrong_answers_are_a_fault,
        a_restart_is_reported,
        the_output_is_off_before_the_contactors_open,
        contactors_confirm_their_position,
        the_isolation_monitor_answers,
        meter_registers_only_grow,
        the_lock_confirms_its_position,
        the_lines_follow_plug_and_commands,
    )
}


async def run_check(
    check: Check, driver: BoardDriver, clock: Clock, settings: Mapping[str, object] | None = None
) -> None:
    """Run one check. Raises `NotConforming` or `NotApplicable`."""
    async with lab_of(driver, settings or {}, clock) as lab:
        await check(lab)
