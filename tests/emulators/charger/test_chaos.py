"""Hours of connection failures and random drivers: no power without a command, consistent states at the end."""

from __future__ import annotations

import asyncio
import random

import pytest

from emulators.charger.station.power_path import CarPowerPath
from gateway.model.station import Answer
from protocols.ocpp.schema import Version
from tests.emulators.charger.station_rig import Rig
from tests.rounds import rounds

pytestmark = pytest.mark.virtual_time

HOLD_S = 20.0
LET_GO_S = 5.0  # ramp and one step
FLOWS_W = 60.0
HOURS = rounds(1, 3)


class Chaos:
    """Two EVSEs, a gateway that sends commands, and random events."""

    def __init__(self, rig: Rig, seed: int) -> None:
        self.rig, self.random = rig, random.Random(seed)
        self.ordered: dict[int, float] = {1: float("-inf"), 2: float("-inf")}
        self.applied = 0
        self.in_flight = 0  # the EVSE whose order is on its way: it may take effect at any time

    async def order(self) -> None:
        number = self.random.choice((1, 2))
        power = self.random.choice((-8000.0, -2000.0, 0.0, 3000.0, 9000.0))
        self.in_flight = number if power else 0
        outcome = await self.rig.csms.set_power(f"CP1-{number}", power, HOLD_S)
        self.in_flight = 0
        if outcome.answer is not Answer.REFUSED and power:
            self.ordered[number] = self.rig.clock.now()
        self.applied += outcome.answer is Answer.APPLIED

    async def driver(self) -> None:
        number = self.random.choice((1, 2))
        evse, power_path = self.rig.evse(number), self.rig.power_paths[number - 1]
        assert isinstance(power_path, CarPowerPath)
        if evse.vehicle is None:
            self.rig.plug(number=number, soc=self.random.uniform(30, 90))
        else:
            self.rig.station.unplug(number)
            power_path.unplug(self.rig.clock.now())

    async def line(self) -> None:
        if self.rig.up:
            self.rig.cut()
        else:
            self.rig.up = True

    async def silence(self) -> None:
        if self.rig.link is not None:
            self.rig.link.silent.add(self.random.choice(("station", "gateway")))

    async def stop(self) -> None:
        await self.rig.csms.end_session(f"CP1-{self.random.choice((1, 2))}")

    async def run(self) -> None:
        watching = asyncio.create_task(self.watch())
        acts = [self.order] * 30 + [self.driver] * 4 + [self.line] * 2 + [self.silence, self.stop]
        end = self.rig.clock.now() + HOURS * 3600
        while self.rig.clock.now() < end:
            await self.random.choice(acts)()
            await self.rig.sleep(self.random.expovariate(1 / 10))
            assert not watching.done(), watching.result()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    async def watch(self) -> None:
        """Assert that power follows a command that is valid or in transmission."""
        while True:
            await self.rig.sleep(1.0)
            for number in (1, 2):
                power = self.rig.evse(number).reading.power_w
                age = self.rig.clock.now() - self.ordered[number]
                ordered = self.in_flight == number or age < HOLD_S + LET_GO_S
                assert abs(power) < FLOWS_W or ordered, (number, power, age)


@pytest.mark.parametrize(
    ("version", "profile", "seed"),
    [
        (Version.V21, None, 0),
        pytest.param(Version.V21, None, 1, marks=pytest.mark.soak),
        (Version.V201, "negative-limit", 2),
        (Version.V16, "negative-limit", 3),
    ],
)
async def test_no_power_without_a_command(version: Version, profile: str | None, seed: int) -> None:
    async with Rig(version, evses=2, vendor_profile=profile) as rig:
        chaos = Chaos(rig, seed)
        await chaos.run()
        assert chaos.applied > 7 * HOURS
        rig.up = True
        if rig.link is not None:
            rig.link.cut()
        for number in (1, 2):
            if rig.evse(number).vehicle is not None:
                rig.station.unplug(number)
        await rig.until(lambda: rig.station.online and not len(rig.station.link.queue), within=3600)
        await rig.sleep(60)
        assert rig.csms.context.transactions.active_of("CP1") == []
        known = list(rig.csms.context.transactions.of("CP1"))
        if version is Version.V16:
            assert len(known) == len({c["timestamp"] for c in rig.calls("StartTransaction")})
        else:
            reported = {c["transactionInfo"]["transactionId"] for c in rig.calls("TransactionEvent")}
            assert reported == {t.id for t in known}
        assert rig.station.link.queue.given_up == 0
        assert [e for e in rig.errors() if e[2] == "InternalError"] == []
        assert not rig.csms.context.violations
