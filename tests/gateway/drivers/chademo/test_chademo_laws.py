"""Laws of a hosted CHAdeMO EVSE, whatever is ordered and whatever fails: limits of the vehicle, lease, contactors."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gateway.drivers.board.faults import FaultName, Part
from gateway.model.station import Answer
from protocols.can import CanFrame
from protocols.chademo.frames import FROM_CHARGER, FROM_VEHICLE
from tests.gateway.drivers.chademo.bay import EVSE, Bay, running
from tests.rounds import rounds
from tests.virtual_time import virtual_examples

STEP_S = 0.1
LAG_S = 3.0  # loss of frames counts after 1 s; then the power stage ramps 6 kW down with 5 kW/s
TOLERANCE_A = 1.0

Happening = Literal[
    "wait", "end", "stop", "unplug", "plug", "silent vehicle", "silent charger", "frames", "fault", "hot", "cleared",
    "bus lost", "bus found", "limit", "earth", "reset", "form", "follow",
]  # fmt: skip
HAPPENINGS: tuple[Happening, ...] = Happening.__args__  # type: ignore[attr-defined]


@dataclass
class Watch:
    """Checks the laws each 0.1 s."""

    bay: Bay
    recent: deque[tuple[float, float, float]] = field(default_factory=deque)  # time, charge, discharge in A
    ordered_until: float = 0.0
    formed_at: float = 0.0  # last moment as a grid-forming source
    pulled: bool = False  # the plug was removed under load: only the vehicle's side opened, and nobody could prevent it

    def check(self) -> None:
        """Check one moment."""
        bay, plug = self.bay, self.bay.board.plug
        now, current = bay.clock.now(), bay.current_a
        vehicle = bay.vehicle.ev.engine.session
        self.recent.append((now, vehicle.request_a, vehicle.ceiling_a))
        while self.recent[0][0] < now - LAG_S:
            self.recent.popleft()
        charge, discharge = (max(one[side] for one in self.recent) for side in (1, 2))
        assert -discharge - TOLERANCE_A <= current <= charge + TOLERANCE_A, (current, charge, discharge)
        if abs(current) > TOLERANCE_A:
            if bay.evse._output is not None and bay.evse._output.forms:
                self.formed_at = now
            assert now <= max(self.ordered_until, self.formed_at) + LAG_S, "current after the end of the set-point"
            assert plug.closed
            assert plug.vehicle_closed
        assert all(abs(one) < 1.0 for one in plug.opened_at_a), "the EVSE opened a contactor under load"
        assert self.pulled or all(abs(one) <= 5.0 for one in plug.vehicle_opened_at_a), "opened under load"
        assert plug.locked or not plug.vehicle_closed or self.pulled, "unlocked with closed contactors"


async def act(bay: Bay, watch: Watch, what: Happening) -> None:
    """Let something happen."""
    board = bay.board
    match what:
        case "end":
            await bay.evse.end_session(EVSE)
        case "stop":
            bay.vehicle.ev.stop()
        case "unplug" if board.plug.plugged_in:
            watch.pulled = watch.pulled or abs(bay.current_a) > TOLERANCE_A or board.plug.vehicle_closed
            bay.vehicle.unplug()
        case "plug" if not board.plug.plugged_in:
            bay.vehicle.plug()
        case "silent vehicle" | "silent charger":
            lost = FROM_VEHICLE if what == "silent vehicle" else FROM_CHARGER
            bay.can.tamper = lambda frame: None if frame.can_id in lost else frame
        case "frames":
            bay.can.tamper = lambda frame: frame
        case "fault":
            board.raise_fault(Part.POWER, FaultName.HARDWARE)
        case "hot":
            board.raise_fault(Part.POWER, FaultName.OVER_TEMPERATURE)
        case "cleared":
            for name in (FaultName.HARDWARE, FaultName.OVER_TEMPERATURE):
                board.clear_fault(Part.POWER, name)
            board.plug.isolation_ohm = 1e6
        case "bus lost" | "bus found":
            bay.can.down = bay.bus_fails = what == "bus lost"
        case "limit":
            bay.can.tamper = halved
        case "earth":
            board.plug.isolation_ohm = 100.0
        case "reset":
            bay.vehicle.reset()
            await bay.evse.reset(EVSE)
        case "form" | "follow":
            await bay.evse.form(EVSE, what == "form")


def halved(frame: CanFrame) -> CanFrame:
    """Return a frame of the vehicle with half of its discharge limit."""
    if frame.can_id != 0x200:
        return frame
    return frame._replace(data=bytes([0xFF - (0xFF - frame.data[0]) // 2]) + frame.data[1:])


ORDERS = st.tuples(st.sampled_from([-6000.0, -3000.0, -800.0, 0.0, 1500.0, 6000.0]), st.sampled_from([1.0, 4.0, 60.0]))
STEPS = st.lists(
    st.tuples(st.one_of(ORDERS, st.sampled_from(HAPPENINGS)), st.sampled_from([0.3, 1.0, 4.0, 15.0])), max_size=14
)


@settings(
    max_examples=rounds(5, 120),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # an example takes seconds: not shrunk
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(steps=STEPS, vehicle=st.sampled_from(["leaf-24", "leaf-40"]))
@virtual_examples
async def test_current_is_within_the_limits_of_the_vehicle_and_contactors_open_without_it(
    steps: list[tuple[tuple[float, float] | Happening, float]], vehicle: str
) -> None:
    bay = Bay(vehicle)
    watch = Watch(bay)
    async with running(bay):
        await bay.plug()
        for what, seconds in [((-3000.0, 60.0), 4.0), *steps, ("wait", 5.0)]:
            if isinstance(what, tuple):
                power_w, valid_for_s = what
                outcome = await bay.evse.set_power(EVSE, power_w, valid_for_s)
                if outcome.answer is Answer.APPLIED:
                    watch.ordered_until = bay.clock.now() + (valid_for_s if power_w else 0.0)
            else:
                await act(bay, watch, what)
            until = bay.clock.now() + seconds
            while bay.clock.now() < until:
                await asyncio.sleep(STEP_S)
                watch.check()
