"""Law of the reconnection: which command goes on after a lost connection, and how each other one ends, exactly once.

A leased command waits for its station, at most until its lease ends. The meter stays silent, so that each final result
is the cause of the end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.control.settings import ServiceSettings
from gateway.model.event import SessionEnded
from tests.gateway.commands.rig import POLICY, ServiceRig, service_rig
from tests.rounds import rounds
from tests.virtual_time import virtual_examples

EVSE = "CP1-1"
GRACE_S = ServiceSettings(POLICY).reconnect_within_s
LEASES_S = st.sampled_from([5.0, 13.0, 61.0])
DURING = st.sampled_from([None, "discharge", "stop", "release", "emergency_stop", "stop of the site"])
Action = tuple[str, Any, Any, Any]
ACTIONS: st.SearchStrategy[Action] = st.one_of(
    st.tuples(st.just("discharge"), st.sampled_from([1000, 5000]), LEASES_S, st.none()),
    st.tuples(st.just("stop"), st.none(), st.none(), st.none()),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.37, 2.11, 7.03]), st.none(), st.none()),
    st.tuples(
        st.just("cut"),
        st.sampled_from([0.0, 0.53, 4.07, 9.61, 10.83, 25.3]),
        DURING,
        st.sampled_from(["same", "same", "other", "ended"]),
    ),
)


@dataclass
class Expected:
    """A command in force as the law has it. Times are monotonic."""

    id: str
    power_w: float
    lease_until: float | None = None
    waits_until: float | None = None
    of_site: bool = False


@dataclass
class Law:
    """Carries out the actions at a gateway, and says what it should do."""

    rig: ServiceRig
    active: Expected | None = None
    ends: dict[str, str | None] = field(default_factory=dict)  # reason of the final result of each granted command
    sessions: int = 0

    def end(self, code: str) -> None:
        if self.active is not None:
            self.ends[self.active.id], self.active = code, None

    def advance(self) -> None:
        """Let time end what it ends."""
        active, now = self.active, self.rig.clock.now()
        if active is None:
            return
        causes = [(active.lease_until, "lease_expired"), (active.waits_until, "offline")]
        over = [(until, code) for until, code in causes if until is not None and until <= now]
        if over:
            self.end(min(over)[1])

    def granted(self, expected: Expected) -> None:
        self.end("superseded")
        self.active, self.ends[expected.id] = expected, None

    async def act(self, number: int, action: Action) -> None:
        what, one, two, three = action
        self.advance()
        match what:
            case "discharge":
                now = self.rig.clock.now()
                first = await self.rig.send(EVSE, "discharge", f"c{number}", power_w=one, lease_s=two)
                assert first.status == "accepted"
                self.granted(Expected(f"c{number}", -one, now + two))
            case "stop":
                await self.rig.send(EVSE, "stop", f"c{number}")
                self.granted(Expected(f"c{number}", 0.0))
            case "wait":
                await self.rig.wait(one)
            case _:
                await self.cut(number, one, two, three)

    async def cut(self, number: int, away_s: float, during: str | None, back: str) -> None:
        rig, orders = self.rig, self.rig.stations.evses[EVSE].orders
        rig.stations.disconnect("CP1")
        if self.active is not None and self.active.lease_until is not None:
            self.active.waits_until = rig.clock.now() + GRACE_S
        ordered = len(orders)
        await rig.wait(away_s / 2)
        self.advance()
        if during is not None:
            await self.command(during, f"c{number}")
        await rig.wait(away_s / 2)
        assert len(orders) == ordered  # nothing is sent to a station that is away
        state = rig.service.state(EVSE)
        assert state is not None
        assert (state.connection, state.binding, state.effective_w) == ("offline", "station", 0.0)
        self.advance()
        await self.connect(back, len(orders))

    async def command(self, during: str, name: str) -> None:
        active = self.active
        waits = active is not None and active.waits_until is not None
        of_site = during in ("emergency_stop", "stop of the site")
        verb = during.partition(" ")[0]
        body = {"power_w": 2000, "lease_s": 600} if verb == "discharge" else {}
        first = await self.rig.send(None if of_site else EVSE, verb, name, **body)
        if verb == "discharge" or (during == "stop" and not waits):
            assert (first.status, first.reason.code) == ("refused", "offline")
            return
        assert first.status == "accepted"
        if verb == "stop" and active is not None and waits:
            self.granted(Expected(name, 0.0, None, active.waits_until, of_site))
            return
        self.ends[name] = "in_force"
        if verb == "stop" and active is not None and active.of_site:
            self.end("superseded")
        elif verb == "release" and (active is None or not active.of_site):
            self.end("released")
        elif verb == "emergency_stop":
            self.end("emergency_stop")
            await self.rig.send(None, "release", f"{name}r")
            self.ends[f"{name}r"] = "in_force"

    async def connect(self, back: str, ordered: int) -> None:
        rig, held = self.rig, self.rig.stations.evses[EVSE]
        session = held.session
        rig.stations.connect("CP1", EVSE)
        if self.active is not None:
            self.active.waits_until = None
        if back != "same":
            self.sessions += 1
            self.end("session_ended")
            if back == "ended":
                rig.service.report(SessionEnded(EVSE, rig.clock.now(), session or ""))
            rig.stations.plug(EVSE, f"other{self.sessions}")
        await rig.wait(0.3)
        self.advance()
        expected_w = 0.0 if self.active is None else self.active.power_w
        assert [power_w for _, power_w, _ in held.orders[ordered:] if power_w] == ([expected_w] if expected_w else [])
        assert rig.power(EVSE) == expected_w


@example([("discharge", 5000, 61.0, None), ("cut", 4.07, None, "same"), ("cut", 9.61, None, "same")])
@example([("discharge", 5000, 61.0, None), ("cut", 4.07, "stop", "same")])
@example([("discharge", 5000, 61.0, None), ("cut", 4.07, "stop of the site", "same")])
@example([("discharge", 5000, 61.0, None), ("cut", 0.53, "stop of the site", "other")])
@given(st.lists(ACTIONS, max_size=8))
@settings(max_examples=rounds(30, 300), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@virtual_examples
async def test_a_command_goes_on_in_the_same_session_within_the_time_or_ends_once(actions: list[Action]) -> None:
    async with service_rig(EVSE, evse_rate_per_s=1000.0, achieve_within_s=10_000.0) as rig:
        rig.stations.evses[EVSE].metered_on_call = True
        law = Law(rig)
        for number, action in enumerate(actions):
            await law.act(number, action)
        for _ in range(7):
            await rig.wait(10.0)
            law.advance()
        results = [(result.id, result.reason.code.value) for result, phase in rig.published.results if phase == "final"]
        assert sorted(results) == sorted((name, code) for name, code in law.ends.items() if code is not None)
