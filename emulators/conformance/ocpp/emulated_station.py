"""The emulated station as a device under test, in memory: the sound one, or a mutant of it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from emulators.charger.station.build import build, car_power_path
from emulators.charger.station.config import StationConfig
from emulators.charger.station.csms_link.network_profiles import NetworkProfile
from emulators.charger.station.ocpp_enums import OperationMode, StopReason
from emulators.charger.station.smart_charging.profile_rules import MODES
from emulators.conformance.bench import Discovery
from emulators.conformance.capabilities import Capabilities
from emulators.conformance.evidence import Evidence
from emulators.conformance.ocpp.declarations import versions_of
from emulators.conformance.ocpp.evidence import recorder
from emulators.conformance.ocpp.mutants import Mutant, MutantWire
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


VARIANTS: Mapping[str, Variant] = {  # by the capability that a case requires
    "station.without-load-balancing": Variant(
        modes=tuple(mode for mode in MODES if mode != OperationMode.local_load_balancing)
    ),
    "station.without-evse-sleep": Variant(evse_sleep=False),
    "station.some-der-types": Variant(der_types=("VoltWatt", "FreqWatt")),
    "station.security-1": Variant(password="V2x-Tester-0123456"),
}
UNKNOWN_TOKEN = "NOBODY"  # of plugged-in vehicles: no transaction begins by plugging in alone
SOC_PCT = 50.0


class EmulatedStation:
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
        config = StationConfig(
            version=version,
            csms="ws://tester/ocpp",
            id_token=UNKNOWN_TOKEN,
            answer_within_s=10.0,
            modes=variant.modes,
            evse_sleep=variant.evse_sleep,
            password=variant.password,
            security_profile=0 if variant.password is None else 1,
        )
        self._power_paths = [car_power_path() for _ in range(evses)]
        self.station = build(config, list(self._power_paths), csms.clock, self._connect)
        if variant.der_types:
            self.station.der_controls.supported = frozenset(variant.der_types)
            for evse in self.station.evses:
                self.station.device_model.put("DCDERCtrlr", "ModesSupported", ",".join(variant.der_types), evse)
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

    async def plug(self, evse: int) -> None:
        """Connect a vehicle."""
        path = self._power_paths[evse - 1]
        self.station.plug_in(evse, path.plug(Car(CCS_63, SOC_PCT), self.csms.clock.now()))

    async def unplug(self, evse: int) -> None:
        """Disconnect the vehicle."""
        self.station.unplug(evse)

    async def present(self, evse: int, token: str) -> None:
        """Present a token at the reader."""
        await self.station.present(evse, token)

    async def power_cycle(self) -> None:
        """Switch the station off and on."""
        await self.station.reboot("PowerUp", StopReason.power_loss)

    async def external(
        self,
        evse: int,
        *,
        setpoint_w: float | None = None,
        limit_w: float | None = None,
        duration_s: float | None = None,
    ) -> None:
        """Set the set-point or the limit of the external control system; where it is refused, nothing happens."""
        control = self.station.external_control
        if setpoint_w is not None:
            control.setpoint(evse, setpoint_w)
        if limit_w is not None:
            control.limits(evse, limit_w=limit_w, duration=None if duration_s is None else round(duration_s))

    async def external_schedule(self, evse: int, quantity: str, watts: Mapping[int, float]) -> None:
        """Set a schedule of the external control system from now."""
        mode = OperationMode.external_limits if quantity == "limit" else OperationMode.external_setpoint
        periods = [{"startPeriod": start, quantity: value} for start, value in watts.items()]
        self.station.external_control.schedule(evse, mode, periods)

    async def grid(self, *, frequency_hz: float | None = None, load_w: float | None = None) -> None:
        """Set the frequency of the grid, or the reading of the upstream meter."""
        if frequency_hz is not None:
            self.station.measure_grid(frequency_hz=frequency_hz)
        if load_w is not None:
            self.station.measure_load(load_w)

    async def reset(self) -> None:
        """Remove external values, and set the grid to its nominal values."""
        for evse in (0, *self.station.evses):
            self.station.external_control.clear(evse)
        self.station.measure_grid(voltage_v=230.0, frequency_hz=50.0)

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
            yield station
