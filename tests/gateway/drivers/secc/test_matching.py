"""A hosted EVSE with SLAC: control pilot, matching, then the session, over a powerline in memory."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from emulators.boards.ac import EmulatedAcBoard, EmulatedAcSettings
from emulators.boards.ac_vehicle import AcVehicle
from emulators.boards.emulated import EmulatedBoard, EmulatedSettings
from emulators.boards.vehicle import VehicleAtBoard
from emulators.ev.car import Car, CarSpec
from emulators.ev.session import EvSession, car_settings
from emulators.powerline.medium import Powerline
from emulators.powerline.modem import MODEM_PROFILES
from emulators.runtime.clock import RealClock
from emulators.runtime.transports import wire_pair
from gateway.drivers.secc.evse import SeccEvse
from gateway.drivers.secc.settings import SeccEvseSettings
from gateway.model import event as model
from gateway.model.station import Answer
from protocols.iec61851 import OutputKind, PilotOutput, PlugIn, Unplug
from protocols.slac.modem import ModemSettings
from protocols.slac.plug import EvPlug
from protocols.slac.settings import EvSettings

pytestmark = pytest.mark.virtual_time

EVSE_MAC, EV_MAC = bytes.fromhex("020000000001"), bytes.fromhex("020000000011")
STEP_S = 0.01


class LinePort:
    """Frame port of the gateway, and its host on a `Powerline`."""

    mac = EVSE_MAC

    def __init__(self) -> None:
        self._frames: asyncio.Queue[bytes] = asyncio.Queue()
        self._written: list[bytes] = []
        self.closed = False

    async def read(self) -> bytes:
        return await self._frames.get()

    def write(self, data: bytes) -> None:
        self._written.append(data)

    def wake(self) -> None:
        self._frames.put_nowait(b"")

    def close(self) -> None:
        self.closed = True

    def receive(self, data: bytes, now: float) -> list[object]:
        self._frames.put_nowait(data)
        return []

    def expire(self, now: float) -> list[object]:
        return []

    def data_to_send(self) -> list[bytes]:
        written, self._written = self._written, []
        return written

    def deadline(self) -> float | None:
        return None


class Site:
    """A hosted EVSE on an emulated board, a car in front of it, and the powerline between their modems."""

    def __init__(self, *, ac: bool = False, modem: str = "qca7000") -> None:
        self.clock = RealClock()
        self.port = LinePort()
        self.reports: list[object] = []
        board = EmulatedAcBoard(EmulatedAcSettings(vehicle="none"), self.clock) if ac else None
        self.board = EmulatedBoard(EmulatedSettings(), self.clock) if board is None else board.driver
        self.evse = SeccEvse(
            SeccEvseSettings("BAY1", "emulated", modem=ModemSettings(vendor=MODEM_PROFILES[modem].vendor)),
            lambda: board or self.board,
            self.reports.append,
            self.clock,
            lambda: self.port,
        )
        self.line = Powerline()
        self.plug = EvPlug(EvSettings(EV_MAC), 0.0, entropy=random.Random(7).randbytes)
        evse, ev = self.line.add("evse", self.port, MODEM_PROFILES[modem]), self.line.add("ev", self.plug)
        self.line.attenuate(evse.name, ev.name, 8)
        self.line.couple.append(self._couple)
        self.car = Car(CarSpec(), soc_pct=60)
        self.vehicle = VehicleAtBoard(self.board.hardware, self.clock, self.board.wake)

    @property
    def matched(self) -> bool:
        return self.evse._control.ready

    @property
    def signal(self) -> object:
        return self.board.hardware.pilot_signal

    @property
    def duty_pct(self) -> float | None:
        """Duty cycle of the pilot, None for another signal."""
        signal = self.board.hardware.pilot_signal
        return signal if isinstance(signal, float) else None

    def _couple(self, now: float) -> None:
        signal = self.board.hardware.pilot_signal
        kinds = {"X1": OutputKind.X1, "E": OutputKind.E, "F": OutputKind.F}
        pwm = PilotOutput(OutputKind.PWM, signal) if isinstance(signal, float) else PilotOutput(kinds[signal])
        self.plug.measured(pwm, now)

    async def run_line(self) -> None:
        began = self.clock.now()
        while True:
            self.line.run(self.clock.now() - began)
            await self.clock.sleep(STEP_S)

    def unplug(self) -> None:
        self.vehicle.unplug()
        self.plug.command(Unplug(), self.line.now)

    def plug_in(self) -> None:
        self.vehicle.plug(self.car)
        self.plug.command(PlugIn(), self.line.now)

    async def until(self, condition: Callable[[], object], within_s: float = 60.0) -> None:
        for _ in range(int(within_s / STEP_S)):
            if condition():
                return
            await self.clock.sleep(STEP_S)
        raise AssertionError(self.reports)

    async def session(self) -> bool:
        """Connect the car once; return False where the gateway closes the connection before a session."""
        gateway, vehicle = wire_pair()
        serving = asyncio.ensure_future(self.evse.serve(gateway))
        session = EvSession(self.car, self.clock, self.vehicle.observe, settings=car_settings(self.car), loops=4)
        ended = await session.run(vehicle)
        await serving
        return ended.ok


@asynccontextmanager
async def running(*, ac: bool = False, modem: str = "qca7000") -> AsyncIterator[Site]:
    site = Site(ac=ac, modem=modem)
    tasks = [asyncio.ensure_future(one) for one in (site.evse.run(), site.run_line())]
    try:
        yield site
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert site.port.closed


@pytest.mark.parametrize("modem", ["qca7000", "cg5317"])
async def test_a_vehicle_connects_after_its_match_and_the_session_names_its_mac_address(modem: str) -> None:
    async with running(modem=modem) as site:
        await site.until(lambda: site.evse.connected)
        site.plug_in()
        assert not await site.session(), "no session before the match"
        await site.until(lambda: site.matched)
        assert site.signal == pytest.approx(5.0)
        assert await site.session()
        started = [one for one in site.reports if isinstance(one, model.SessionStarted)]
        assert [one.mac for one in started] == [EV_MAC.hex(":")]
        site.unplug()
        await site.until(lambda: not site.matched)
        assert site.signal == "X1"


@pytest.mark.parametrize("modem", ["qca7000", "cg5317"])
async def test_a_lost_link_ends_the_session_before_the_pilot_changes(modem: str) -> None:
    async with running(modem=modem) as site:
        await site.until(lambda: site.evse.connected)
        site.plug_in()
        await site.until(lambda: site.matched)
        gateway, vehicle = wire_pair()
        serving = asyncio.ensure_future(site.evse.serve(gateway))
        session = EvSession(site.car, site.clock, site.vehicle.observe, settings=car_settings(site.car))
        driving = asyncio.ensure_future(session.run(vehicle))
        await site.until(lambda: site.car.contactors_closed)
        site.line.attenuate("evse", "ev", 99)
        await site.until(lambda: not site.matched, 30)
        await site.until(lambda: site.signal == "F", 10)
        assert not (await driving).ok
        await serving
        ended = [one for one in site.reports if isinstance(one, model.SessionEnded)]
        assert [one.reason for one in ended] == ["the powerline link was lost"]
        assert not site.board.hardware.closed


class BasicVehicle:
    """A vehicle that charges by the duty cycle at an AC EVSE; with `modem` it matches too, and begins no session."""

    def __init__(self, site: Site, *, modem: bool) -> None:
        self._site, self._modem = site, modem
        self.inlet = AcVehicle(site.board.hardware, site.clock, site.board.wake, basic=True)
        self.inlet.plug(site.car)
        if modem:
            site.plug.command(PlugIn(), site.line.now)
        self._task = asyncio.ensure_future(self._follow())

    async def _follow(self) -> None:
        while True:
            self.inlet.update()
            await self._site.clock.sleep(0.05)

    def unplug(self) -> None:
        self._task.cancel()
        self.inlet.unplug()
        if self._modem:
            self._site.plug.command(Unplug(), self._site.line.now)


async def charges_by_duty_cycle(site: Site) -> None:
    """Charge the vehicle once its session by the duty cycle has begun."""
    await site.until(lambda: any(isinstance(one, model.SessionStarted) for one in site.reports), 300)
    assert site.signal == "X1"
    outcome = await site.evse.set_power("BAY1", 6900.0, 300.0)
    assert outcome.answer is Answer.APPLIED, outcome
    await site.until(lambda: site.board.hardware.closed, 30)
    assert site.board.hardware.pilot_signal == pytest.approx(16.7, abs=0.2)


async def test_a_vehicle_that_does_not_match_at_an_ac_evse_charges_by_the_duty_cycle() -> None:
    async with running(ac=True) as site:
        await site.until(lambda: site.evse.connected)
        vehicle = BasicVehicle(site, modem=False)
        await site.until(lambda: site.signal == 5.0)
        await charges_by_duty_cycle(site)
        assert not site.matched
        vehicle.unplug()
        await site.until(lambda: not site.board.hardware.closed and site.signal == "X1")


async def test_a_matched_vehicle_that_begins_no_session_at_an_ac_evse_charges_by_the_duty_cycle() -> None:
    async with running(ac=True) as site:
        await site.until(lambda: site.evse.connected)
        vehicle = BasicVehicle(site, modem=True)
        await site.until(lambda: site.matched)
        await charges_by_duty_cycle(site)
        assert site.matched, "it may still begin a session"
        site.line.attenuate("evse", "ev", 99)  # its modem sleeps
        await site.until(lambda: not site.matched, 60)
        assert site.board.hardware.closed, "charging by duty cycle needs no powerline (V2G3-M07-12)"
        assert site.board.hardware.pilot_signal == pytest.approx(16.7, abs=0.2)
        vehicle.unplug()
        await site.until(lambda: not site.board.hardware.closed and site.signal == "X1")
        started = [one for one in site.reports if isinstance(one, model.SessionStarted)]
        ended = [one for one in site.reports if isinstance(one, model.SessionEnded)]
        assert len(started) == len(ended) == 1


async def test_a_matched_vehicle_that_begins_no_session_at_a_dc_evse_may_begin_one_later() -> None:
    async with running() as site:
        await site.until(lambda: site.evse.connected)
        site.plug_in()
        await site.until(lambda: site.matched)
        await site.clock.sleep(300)
        assert site.matched
        assert site.signal == pytest.approx(5.0)
        assert not any(isinstance(one, model.SessionStarted) for one in site.reports)
        assert await site.session()
