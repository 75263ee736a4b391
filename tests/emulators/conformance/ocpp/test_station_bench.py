"""The bench of the command over one connection: every case leaves the station as it found it."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import replace

import pytest

from emulators.conformance import runner
from emulators.conformance.bench import DeviceUnreachable
from emulators.conformance.capabilities import Capabilities
from emulators.conformance.case import Verdict, expect
from emulators.conformance.evidence import Evidence
from emulators.conformance.ocpp.catalogue import STATION_CAPABILITIES, stations
from emulators.conformance.ocpp.emulated_station import PASSWORD, UNKNOWN_TOKEN, EmulatedStation, Variant
from emulators.conformance.ocpp.station_bench import Laboratory, StationBench
from emulators.conformance.ocpp.station_under_test import StationUnderTest
from emulators.conformance.ocpp.tester_csms import TesterCsms
from emulators.runtime.clock import VirtualClock
from protocols.ocpp.schema import Version

pytestmark = pytest.mark.virtual_time


class Memory:
    """Where the station connects in memory."""

    url = "memory:"

    def __init__(self, csms: TesterCsms) -> None:
        self.csms = csms
        self.station: str | None = "CP1"
        self.rejected: list[str] = []


class Bench(StationBench):
    """The bench of the command, with the laboratory of the emulated station."""

    def __init__(self, station: EmulatedStation, connected: bool) -> None:
        super().__init__(Memory(station.csms), Laboratory(connected))
        self._emulated = None if connected else station

    async def connected(self) -> StationUnderTest:
        found = await super().connected()
        found.environment = self._emulated or found.environment
        return found


@pytest.mark.soak
@pytest.mark.parametrize("connected", [False, True])
@pytest.mark.parametrize("version", list(Version))
async def test_all_cases_pass_one_after_the_other_on_one_station(version: Version, connected: bool) -> None:
    clock = VirtualClock()
    station = EmulatedStation(TesterCsms(clock), version, variant=Variant(password=PASSWORD))
    async with station.running():
        await clock.sleep(3.0)
        if connected:
            await station.plug(1)
        bench = Bench(station, connected)
        found = await bench.discover(Evidence(clock.now))
        assert found.device.vendor == "v2x-gateway"
        laboratory = {} if connected else dict.fromkeys([n for n in STATION_CAPABILITIES if n.startswith("lab.")], True)
        declared = laboratory | {"station.soc": True, "station.bpt-vehicle": True}
        capabilities = Capabilities(STATION_CAPABILITIES, declared, found.capabilities)
        results = await runner.run(stations().cases, bench, capabilities, clock)
    wrong = [f"{r.id}: {r.reason}" for r in results if r.verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE)]
    assert wrong == []
    assert sum(r.verdict is Verdict.PASS for r in results) >= 85


@pytest.mark.parametrize("version", list(Version))
async def test_a_case_begins_without_a_transaction_at_any_evse(version: Version) -> None:
    clock = VirtualClock()
    station = EmulatedStation(TesterCsms(clock), version)
    async with station.running():
        await clock.sleep(3.0)
        await station.plug(1)
        await station.plug(2)
        await station.present(2, "DEC0DE01")
        await station.present(1, "DEC0DE01")
        await clock.sleep(20.0)
        bench = Bench(station, connected=True)
        found = await bench.discover(Evidence(clock.now))
        assert {*(await bench.connected()).transactions().values()} == {1, 2}
        capabilities = Capabilities(STATION_CAPABILITIES, {}, found.capabilities)
        async with bench.access("", Evidence(clock.now), capabilities) as device:
            assert device.transactions() == {}
            await clock.sleep(60.0)
            assert device.transactions() == {}
            number = await device.transaction()
            assert device.transactions() == {number: 1}


@pytest.mark.parametrize("version", list(Version))
async def test_a_case_waits_for_the_boot_of_a_station_that_was_restarted(version: Version) -> None:
    clock = VirtualClock()
    csms = TesterCsms(clock)
    bench, capabilities = Bench(EmulatedStation(csms, version), connected=True), Capabilities(STATION_CAPABILITIES)
    for _ in range(2):
        station = EmulatedStation(csms, version)
        async with station.running(), bench.access("", Evidence(clock.now), capabilities) as device:
            action = "GetConfiguration" if device.early else "ClearCache"
            await device.request(action)


class LatePresentation(EmulatedStation):
    """A station whose vehicle is connected for some seconds before a token is presented."""

    async def plug(self, evse: int) -> None:
        await super().plug(evse)
        await self.csms.clock.sleep(5.0)


@pytest.mark.parametrize("reference", ["Q01.FR.09", "Q02.FR.04", "Q02.FR.06", "Q02.FR.07"])
async def test_a_token_that_the_station_presents_by_itself_is_not_accepted(reference: str) -> None:
    clock = VirtualClock()
    station = LatePresentation(TesterCsms(clock), Version.V21)
    (case,) = (one for one in stations().cases if one.requirement.reference == reference)
    every = Capabilities(STATION_CAPABILITIES, dict.fromkeys(STATION_CAPABILITIES, True))
    async with station.running():
        await clock.sleep(3.0)
        result = await runner.run_case(case, Bench(station, connected=False), every, clock)
    assert (result.verdict, result.reason) == (Verdict.PASS, "")
    unknown = {"idToken": {"idToken": UNKNOWN_TOKEN}}
    assert station.csms.recorded.find("Authorize", unknown, since=0)
    assert not station.csms.recorded.find("TransactionEvent", unknown, since=0)


async def test_without_the_station_later_cases_wait_less() -> None:
    clock = VirtualClock()
    bench = StationBench(Memory(TesterCsms(clock)))
    waits = []
    for _ in range(3):
        at = clock.now()
        with pytest.raises(DeviceUnreachable):
            await bench.connected()
        waits.append(clock.now() - at)
    assert waits == [120.0, 5.0, 5.0]


@pytest.mark.parametrize("version", [Version.V16, Version.V21])
@pytest.mark.parametrize(("back", "what"), [(True, "restarted"), (False, "lost its connection")])
@pytest.mark.parametrize("fails", [False, True])
async def test_a_station_that_is_interrupted_during_a_case_is_not_judged(
    version: Version, back: bool, what: str, fails: bool
) -> None:
    clock = VirtualClock()
    csms = TesterCsms(clock)
    bench = Bench(EmulatedStation(csms, version), connected=True)
    killed, restarted = asyncio.Event(), asyncio.Event()

    async def procedure(device: StationUnderTest) -> None:
        killed.set()
        await restarted.wait()
        expect(not fails, "power at the end: 0 W")

    case = replace(stations().cases[0], procedure=procedure)
    async with EmulatedStation(csms, version).running():
        await clock.sleep(3.0)
        run = asyncio.ensure_future(runner.run_case(case, bench, Capabilities(STATION_CAPABILITIES), clock))
        await killed.wait()
    async with EmulatedStation(csms, version).running() if back else nullcontext():
        await clock.sleep(3.0)
        restarted.set()
        result = await run
    observed = "; observed: power at the end: 0 W" if fails else ""
    reason = f"the station {what} during the case, without an order of the tester{observed}"
    assert (result.verdict, result.reason) == (Verdict.INCONCLUSIVE, reason)


async def test_a_station_that_restarts_while_the_tester_interrupts_its_connection_is_not_failed() -> None:
    clock = VirtualClock()
    csms = TesterCsms(clock)
    (case,) = (one for one in stations().cases if one.requirement.reference == "K01.FR.103")
    every = Capabilities(STATION_CAPABILITIES, dict.fromkeys(STATION_CAPABILITIES, True))
    bench = StationBench(Memory(csms), Laboratory(connected=True))
    first = EmulatedStation(csms, Version.V21)
    async with first.running():
        await clock.sleep(3.0)
        await first.plug(1)
        run = asyncio.ensure_future(runner.run_case(case, bench, every, clock))
        while not csms.refuses:
            await clock.sleep(1.0)
    async with EmulatedStation(csms, Version.V21).running():
        result = await run
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.reason.startswith("the station restarted during the case, without an order of the tester; observed: ")
