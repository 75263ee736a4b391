"""The gateway's CSMS as a device under test, in memory: the sound one, or a mutant of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from emulators.conformance.bench import Discovery
from emulators.conformance.capabilities import Capabilities
from emulators.conformance.evidence import Evidence
from emulators.conformance.ocpp.catalogue import CSMS_CAPABILITIES, systems
from emulators.conformance.ocpp.csms_under_test import BLOCKED, EXPIRED, GROUP, KNOWN, SECOND, CsmsUnderTest
from emulators.conformance.ocpp.declarations import versions_of
from emulators.conformance.ocpp.evidence import recorder
from emulators.conformance.ocpp.mutant_wire import MutantWire
from emulators.conformance.ocpp.mutants import Mutant
from emulators.conformance.ocpp.tester_station import TesterStation
from emulators.runtime.transports import text_wire_pair
from gateway.csms.csms import Csms
from gateway.csms.operations import Operations
from gateway.csms.settings import CsmsSettings, StationSettings, UnknownStations, UnknownTokens
from gateway.csms.tokens import Token
from gateway.model.event import OperationMode
from protocols.ocpp.schema import Payload, Version
from protocols.ports import Clock, TextWire

STATION = "CP1"
DER_CONTROLS: dict[str, Payload] = {
    "LimitMaxDischarge": {"priority": 1, "pctMaxDischargePower": 50.0},
    "EnterService": {
        "priority": 1, "highVoltage": 253.0, "lowVoltage": 198.0, "highFreq": 50.2, "lowFreq": 47.5,
    },
    "Gradients": {"priority": 1, "gradient": 10.0, "softGradient": 1.0},
}  # fmt: skip


class GatewayOperator:
    """The operator of the gateway, by its interface for set-points and sessions."""

    def __init__(self, csms: Csms) -> None:
        self._csms, self._operations = csms, Operations(csms)

    async def power(self, station: str, watts: float, seconds: float) -> None:
        await self._csms.set_power(f"{station}-1", watts, seconds)

    async def stop(self, station: str) -> None:
        await self._csms.end_session(f"{station}-1")

    async def frequency(self, station: str, watts: float) -> None:
        fields = {"setpoint": watts}
        await self._operations.set_mode(station, 1, OperationMode.CENTRAL_FREQUENCY, fields, valid_for_s=60.0)

    async def transfers(self, station: str, allowed: Sequence[str]) -> None:
        await self._operations.allow_energy_transfer(station, 1, allowed)

    async def signal(self, station: str, signal: int) -> None:
        await self._operations.afrr_signal(station, 1, signal)

    async def der(self, station: str, kind: str) -> None:
        await self._operations.set_der_control(station, f"v2x-{kind}", kind, DER_CONTROLS[kind], default=True)


class GatewayBench:
    """A fresh CSMS of the gateway for each case."""

    target = "gateway"

    def __init__(self, clock: Clock, version: Version, mutant: Mutant | None = None) -> None:
        self._clock, self._version, self._mutant = clock, version, mutant

    async def discover(self, evidence: Evidence) -> Discovery:
        return Discovery(capabilities=dict.fromkeys(CSMS_CAPABILITIES, True) | versions_of(self._version))

    @asynccontextmanager
    async def access(self, case: str, evidence: Evidence, capabilities: Capabilities) -> AsyncIterator[CsmsUnderTest]:
        (found,) = systems().select([case])
        rejects = "csms.rejects" in found.requires
        settings = CsmsSettings(
            stations=(StationSettings(STATION, max_charge_w=10_000.0, max_discharge_w=10_000.0),),
            unknown_stations=UnknownStations.REJECT_BOOT if rejects else UnknownStations.PENDING,
            unknown_tokens=UnknownTokens.REJECT,
            v2x_allowed="csms.without-v2x" not in found.requires,
            inventory=False,
        )
        csms = Csms(settings, lambda event: None, self._clock)
        now = self._clock.wall()
        for token in (
            Token(KNOWN, parent=GROUP),
            Token(SECOND, parent=GROUP),
            Token(BLOCKED, "Blocked"),
            Token(EXPIRED, expiry=now - 3600),
        ):
            csms.context.tokens.put(token)
        tasks: set[asyncio.Task[None]] = set()

        def make(name: str) -> TesterStation:
            async def connect() -> TextWire:
                ours, theirs = text_wire_pair("tester", "gateway", subprotocol=self._version.value)
                wire: TextWire = theirs if self._mutant is None else MutantWire(theirs, self._mutant, self._clock)
                tasks.add(asyncio.get_running_loop().create_task(csms.attach(wire, name)))
                return ours

            return TesterStation(self._clock, self._version, name, connect)

        station = make(STATION)
        station.recorded.on_message = recorder(evidence)
        try:
            yield CsmsUnderTest(station, make, GatewayOperator(csms))
        finally:
            await station.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
