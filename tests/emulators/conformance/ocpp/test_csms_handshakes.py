"""Every case of opening handshakes passes on the gateway over sockets and fails on its mutant, in each version."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from emulators.conformance import runner
from emulators.conformance.capabilities import Capabilities
from emulators.conformance.case import Case, Verdict
from emulators.conformance.evidence import Evidence
from emulators.conformance.ocpp.catalogue import CSMS_CAPABILITIES, systems
from emulators.conformance.ocpp.csms_bench import CsmsBench
from emulators.conformance.ocpp.csms_under_test import CsmsUnderTest
from emulators.conformance.ocpp.mutants import Mutant
from emulators.conformance.ocpp.opening import Opened, Opening
from emulators.conformance.ocpp.systems.handshake import DECLARED
from emulators.runtime.clock import RealClock
from gateway.csms import passwords
from gateway.csms.settings import StationSettings, UnknownStations
from protocols.ocpp.schema import Version
from tests.emulators.conformance.ocpp.judging import check, versions
from tests.gateway.csms.test_security import Authority
from tests.interop.ocpp_sockets import csms
from tests.rounds import some

PAIRS = [(case.id, version) for case in DECLARED.cases for version in versions(case)]
PASSWORD = "V2x-Station-0123456"


class Bench(CsmsBench):
    """The bench of the command, whose CSMS is a mutant or the sound gateway."""

    mutant = Mutant()

    async def open(self, opening: Opening) -> Opened:
        return self.mutant.opened(await super().open(opening))


@asynccontextmanager
async def gateway(case: Case[CsmsUnderTest, Mutant], version: Version, folder: Path) -> AsyncIterator[Bench]:
    """Return a bench beside a gateway with what the case requires."""
    password = PASSWORD if "lab.password" in case.requires else None
    about: dict[str, Any] = {"unknown_stations": UnknownStations.REJECT}
    about["stations"] = (StationSettings("CP1", None if password is None else passwords.hash_password(password)),)
    tls = None
    if "csms.tls" in case.requires:
        authority = Authority(folder)
        certificate, key = authority.issue("localhost")
        password = PASSWORD
        about["stations"] = (StationSettings("CP1", passwords.hash_password(password)),)
        about |= {"security_profile": 2, "tls_cert": certificate, "tls_key": key}
        tls = ssl.create_default_context(cafile=str(authority.file))
    async with csms(**about) as (_, url):
        address = url if tls is None else url.replace("ws://127.0.0.1", "wss://localhost")
        bench = Bench(address, RealClock(), version, "CP1", password, tls=tls)
        try:
            yield bench
        finally:
            await bench.close()


@pytest.mark.parametrize(("case", "version"), some(PAIRS, 4))
async def test_a_case_passes_on_the_gateway_and_fails_on_its_mutant(
    case: str, version: Version, tmp_path: Path
) -> None:
    (found,) = systems().select([case])
    async with gateway(found, version, tmp_path) as bench:
        discovered = await bench.discover(Evidence(bench.clock.now))
        capabilities = Capabilities(CSMS_CAPABILITIES, {}, discovered.capabilities)
        assert capabilities.missing(found.requires) is None
        check(await runner.run_case(found, bench, capabilities, bench.clock), Verdict.PASS)
        for bench.mutant in found.mutants:
            check(await runner.run_case(found, bench, capabilities, bench.clock), Verdict.FAIL)
