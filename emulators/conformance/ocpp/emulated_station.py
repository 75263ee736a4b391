"""The emulated station as a device under test, in memory: the sound one, or a mutant of it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from emulators.charger.station.build import build, car_power_path
from emulators.charger.station.config import StationConfig
from emulators.charger.station.csms_link.network_profiles import NetworkProfile
from emulators.charger.station.laboratory import Laboratory
from emulators.charger.station.ocpp_enums import OperationMode
from emulators.charger.station.power_path import CarPowerPath, Needs, Transfer
from emulators.charger.station.smart_charging.profile_rules import MODES
from emulators.conformance.bench import Discovery
from emulators.conformance.capabilities import Capabilities
from emulators.conformance.evidence import Evidence
from emulators.conformance.ocpp.declarations import versions_of
from emulators.conformance.ocpp.evidence import recorder
from emulators.conformance.ocpp.interruption import uninterrupted
from emulators.conformance.ocpp.mutant_wire import MutantWire
from emulators.conformance.ocpp.mutants import Mutant
from emulators.conformance.ocpp.station_under_test import StationUnderTest
from emulators.conformance.ocpp.tester_csms import Handshake, TesterCsms
from emulators.ev.car import CCS_63, Car
from emulators.runtime.transports import text_wire_pair
from protocols.ocpp.schema import Version
from protocols.ports import Clock, TextWire


@dataclass(frozen=True, slots=True)
class Variant:
    """A station with other capabilities than most cases need."""

    modes: tuple[str, ...] = MODES
    evse_sleep: bool = True
    password: str | None = None
    der_types: tuple[str, ...] = ()  # empty: all
    dc: bool = True  # False: AC, with an EV that has DER functions


PASSWORD = "V2x-Tester-0123456"
VARIANTS: Mapping[str, Variant] = {  # by the capability that a case requires
    "station.without-load-balancing": Variant(
        modes=tuple(mode for mode in MODES if mode != OperationMode.local_load_balancing)
    ),
    "station.without-evse-sleep": Variant(evse_sleep=False),
    "station.some-der-types": Variant(der_types=("VoltWatt", "FreqWatt")),
    "station.security-1": Variant(password=PASSWORD),
    "lab.password": Variant(password=PASSWORD),
    "station.ac-der": Variant(dc=False),
}
EV_INVERTER: Mapping[str, object] = {
    "evSupportedDERControl": ["VoltWatt", "FreqWatt"],
    "maxApparentPower": 11_000.0,
    "maxChargeApparentPower": 11_000.0,
    "maxDischargeApparentPower": 11_000.0,
    "evInverterManufacturer": "v2x-gateway",
    "evInverterModel": "emulator",
    "evInverterSerialNumber": "EMU-1",
    "evInverterSwVersion": "1",
}
AC_TRANSFERS = (Transfer.ac_bpt_der, Transfer.ac_bpt, Transfer.ac_three_phase)
UNKNOWN_TOKEN = "NOBODY"  # of plugged-in vehicles: no transaction begins by plugging in alone
SOC_PCT = 50.0


def with_inverter(needs: Needs) -> Needs:
    """Return the charging needs of a vehicle as those of one with an inverter of its own, with DER functions."""
    return replace(needs, energy_transfer=Transfer.ac_bpt_der, available=AC_TRANSFERS, inverter=EV_INVERTER)


class EmulatedStation(Laboratory):
    """An emulated station with its laboratory; an `Environment`."""

    def __init__(
        self,
        csms: TesterCsms,
        version: Version,
        mutant: Mutant | None = None,
        evses: int = 2,
        variant: Variant | None = None,
    ) -> None:
        self.csms, self.mutant = csms, mutant
        variant = variant or Variant()
        if variant.password is not None:
            csms.passwords.add(variant.password)
        config = StationConfig(
            version=version,
            csms="ws://tester/ocpp",
            id_token=UNKNOWN_TOKEN,
            answer_within_s=10.0,
            dc=variant.dc,
            modes=variant.modes,
            evse_sleep=variant.evse_sleep,
            password=variant.password,
            security_profile=0 if variant.password is None else 1,
        )
        power_paths = [car_power_path() for _ in range(evses)]
        station = build(config, list(power_paths), csms.clock, self._connect)
        super().__init__(station, power_paths, CCS_63, SOC_PCT)
        if variant.der_types:
            self.station.der_controls.supported = frozenset(variant.der_types)
            for evse in self.station.evses:
                self.station.device_model.put("DCDERCtrlr", "ModesSupported", ",".join(variant.der_types), evse)
        self._dc = variant.dc
        self._tasks: set[asyncio.Task[None]] = set()

    async def _connect(self, target: NetworkProfile) -> TextWire:
        if self.csms.refuses:
            raise ConnectionRefusedError
        ours, theirs = text_wire_pair("station", "tester", subprotocol=target.version.value)
        basic = ""
        if target.password:
            credentials = f"{self.station.config.id}:{target.password}".encode()
            basic = f"Basic {base64.b64encode(credentials).decode()}"
        handshake = Handshake(self.station.config.id, (target.version.value,), basic)
        if self.mutant is not None:
            handshake = self.mutant.handshake(handshake)
        task = asyncio.get_running_loop().create_task(self.csms.serve(theirs, handshake))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return ours if self.mutant is None else MutantWire(ours, self.mutant, self.csms.clock)

    def needs(self, path: CarPowerPath, car: Car) -> Needs:
        """Connect a car to a path and return its charging needs."""
        found = super().needs(path, car)
        return found if self._dc else with_inverter(found)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Operate the station."""
        task = asyncio.get_running_loop().create_task(self.station.run())
        try:
            yield
        finally:
            tasks = [task, *self._tasks]
            for one in tasks:
                one.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def emulated(
    clock: Clock,
    version: Version,
    mutant: Mutant | None = None,
    evses: int = 2,
    variant: Variant | None = None,
) -> AsyncIterator[StationUnderTest]:
    """Return a fresh emulated station that has booted at the tester."""
    csms = TesterCsms(clock)
    environment = EmulatedStation(csms, version, mutant, evses, variant)
    device = StationUnderTest(csms, environment)
    async with environment.running():
        await csms.connected()
        await csms.recorded.wait_for(lambda: len(csms.recorded.find("StatusNotification", since=0)) >= evses, 30.0)
        await clock.sleep(1.0)
        yield device


class EmulatedBench:
    """Bench of the judge: a fresh emulated station, or a mutant of it, for each case."""

    target = "emulated station"

    def __init__(self, clock: Clock, version: Version, mutant: Mutant | None = None) -> None:
        self._clock, self._version, self._mutant = clock, version, mutant

    async def discover(self, evidence: Evidence) -> Discovery:
        """Return that the station has everything of its version that cases require."""
        from emulators.conformance.ocpp.catalogue import STATION_CAPABILITIES

        every = dict.fromkeys(STATION_CAPABILITIES, True)
        return Discovery(capabilities=every | versions_of(self._version))

    @asynccontextmanager
    async def access(
        self, case: str, evidence: Evidence, capabilities: Capabilities
    ) -> AsyncIterator[StationUnderTest]:
        """Return a station that has booted."""
        from emulators.conformance.ocpp.catalogue import stations

        (found,) = stations().select([case])
        variant = next((VARIANTS[need] for need in found.requires if need in VARIANTS), None)
        async with emulated(self._clock, self._version, self._mutant, variant=variant) as station:
            station.recorded.on_message = recorder(evidence)
            with uninterrupted(station.csms):
                yield station
