"""Fixtures of a vendor's own device over ISO 15118: a SECC or an EV that this project did not start.

::

    def test_the_charger_discharges(v2x_dut_secc):            # pytest --v2x-dut-secc [fe80::1%eth1]:50000
        session = v2x_dut_secc.charge(service="dc_bpt", loops=40)
        assert session.ok and min(session.currents_a) < -5

    def test_a_rule(v2x_dut_secc):
        v2x_dut_secc.check("SECC-20-PWR-03")                  # a case of `v2x conformance secc`

    def test_the_car_stops(v2x_dut_ev):                       # pytest --v2x-dut-ev [::]:15118, the car connects
        session = v2x_dut_ev.serve(power_w=-3000, terminate_after_loops=20, within_s=90)
        assert session.ok

Tests are ordinary functions and run in real time. The mark `v2x_dut(secc=..., ev=...)` has the priority over options,
these over environment variables: `--v2x-dut-secc` (V2X_DUT_SECC), `--v2x-dut-ev` (V2X_DUT_EV). `--v2x-tls`, `--v2x-pki`
and `--v2x-capabilities` are options. With `--v2x-artifacts DIR` each session stores its capture (pcapng, with the
secrets of TLS) and
its messages, each case its capture and its results.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from emulators.pytest_plugin.dut_session import Device, Session, number, target, timed
from protocols import private_file
from protocols.json_values import members

if TYPE_CHECKING:
    from emulators.conformance.bench import Bench
    from emulators.conformance.catalogue import Catalogue
    from emulators.conformance.result import CaseResult

Close = Callable[[], Awaitable[None]]
D = TypeVar("D")
M = TypeVar("M")
FORM = "[ADDR]:PORT or an interface"
_DISCOVERED = pytest.StashKey[dict[str, Mapping[str, bool]]]()  # by role and target


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("v2x-dut", "devices under test over ISO 15118")
    group.addoption(
        "--v2x-dut-secc", default=None, metavar="ADDR:PORT|IF", help="SECC of v2x_dut_secc (or V2X_DUT_SECC)"
    )
    group.addoption(
        "--v2x-dut-ev", default=None, metavar="ADDR:PORT|IF", help="where the EV of v2x_dut_ev connects (V2X_DUT_EV)"
    )
    group.addoption("--v2x-tls", default="none", metavar="VERSION", help="TLS of these devices: none, 1.2, 1.3")
    group.addoption("--v2x-pki", default=None, metavar="DIR", help="certificates, as `v2x pki create` makes")
    group.addoption(
        "--v2x-timeout-factor",
        type=float,
        default=1.0,
        metavar="FACTOR",
        help="factor of the message timers of charge and serve, for a device that is known to be slow (not of check)",
    )
    group.addoption("--v2x-capabilities", default=None, metavar="FILE", help="what the device claims (TOML)")


@dataclass(slots=True, repr=False)
class Iso15118Session(Session):
    """One session over ISO 15118; the records are those of `v2x ev --json` or `v2x secc --json`."""

    @property
    def messages(self) -> list[str]:
        """Names of all messages, in order."""
        return [str(one["name"]) for one in self.records if one.get("event") in ("MessageSent", "MessageReceived")]

    @property
    def powers_w(self) -> list[float]:
        """Power of each charge loop, + into the EV: of an EV as our SECC measured it, of a SECC as it stated it."""
        measured = self.of("Measured")
        return [number(one.get("power_w")) for one in measured] if measured else [*self._stated_powers()]

    @property
    def currents_a(self) -> list[float]:
        """Current of each charge loop as the device's SECC stated it, + into the EV."""
        return [number(one["present_current_a"]) for one in self._stations if one.get("present_current_a") is not None]

    @property
    def answered(self) -> bool:
        """Return whether the device has sent a message."""
        return any(one.get("event") == "MessageReceived" for one in self.records)

    @property
    def _stations(self) -> list[Mapping[str, object]]:
        return [members(one.get("station")) for one in self.of("ChargeLoopAnswered")]

    def _stated_powers(self) -> Iterator[float]:
        for station in self._stations:
            if station.get("present_power_w") is not None:  # AC
                yield number(station["present_power_w"])
            elif station.get("present_current_a") is not None:
                yield number(station["present_current_a"]) * number(station.get("present_voltage_v"))


class _Device(Device):
    """Options that both devices share."""

    def __init__(self, config: pytest.Config, target: str, name: str) -> None:
        super().__init__(config, target, name)
        self._tls: str = config.getoption("--v2x-tls")
        pki = config.getoption("--v2x-pki")
        self._pki = None if pki is None else Path(pki)
        self._timeout_factor: float = config.getoption("--v2x-timeout-factor")
        self._capabilities: str | None = config.getoption("--v2x-capabilities")
        self._discovered = config.stash.setdefault(_DISCOVERED, {})

    @property
    def _where(self) -> dict[str, object]:
        """Return the option of the target: an interface has no colon."""
        return {"interface": self.target} if ":" not in self.target else {}

    def _session(
        self, work: Coroutine[object, None, int], out: io.StringIO, within_s: float, late: str, silent: str
    ) -> Iso15118Session:
        """Run our side of a session; the test fails with `late` if it does not end, with `silent` without a message."""

        def missing() -> str:
            received = [one for one in self._records(out) if one.get("event") == "MessageReceived"]
            return f"{late} ({len(received)} messages of it{last_of(received)})"

        session = Iso15118Session(timed(work, within_s, missing), self._records(out))
        if not session.ok and not session.answered:
            pytest.fail(f"{silent}: {session.reason}", pytrace=False)
        return session

    def _judge(self, catalogue: Catalogue[D, M], bench: Bench[D], case: str, close: Close) -> None:
        """Run a case; skip or fail the test with the reason of its verdict."""
        from emulators.conformance.bench import DeviceUnreachable
        from emulators.conformance.capabilities import CapabilityError
        from emulators.conformance.case import Verdict
        from emulators.conformance.catalogue import CatalogueError

        try:
            result = asyncio.run(self._run(catalogue, bench, case, close))
        except (CatalogueError, CapabilityError) as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None
        except DeviceUnreachable as error:
            raise pytest.fail.Exception(f"no device at {self.target}: {error}", pytrace=False) from None
        file = self._artefact(f"_{case}.json")
        if file is not None:
            from emulators.conformance.result import to_json

            with private_file.replacing(file) as written:
                written.write(json.dumps(to_json(result), indent=1))
        if result.verdict is Verdict.NOT_APPLICABLE:
            pytest.skip(f"{case}: {result.reason}")
        if result.verdict is not Verdict.PASS:
            text = f"{case}, {result.standard} {result.reference}: {result.verdict}: {result.reason}"
            pytest.fail(f"{text}\nexpected: {result.expectation}", pytrace=False)

    async def _run(self, catalogue: Catalogue[D, M], bench: Bench[D], case: str, close: Close) -> CaseResult:
        from emulators.conformance.capabilities import Capabilities
        from emulators.conformance.evidence import Evidence
        from emulators.conformance.runner import run_case
        from emulators.runtime.clock import RealClock

        (chosen,) = catalogue.select([case])
        clock = RealClock()
        key = f"{catalogue.role} {self.target}"
        try:
            if key not in self._discovered:
                self._discovered[key] = (await bench.discover(Evidence(clock.now))).capabilities
            found = Capabilities(catalogue.capabilities, self._declared(catalogue), self._discovered[key])
            return await run_case(chosen, bench, found, clock)
        finally:
            await close()

    def _declared(self, catalogue: Catalogue[D, M]) -> Mapping[str, bool]:
        from emulators.conformance import capabilities

        if self._capabilities is None:
            return {}
        return capabilities.load(Path(self._capabilities), catalogue.capabilities).capabilities


class SeccDut(_Device):
    """A SECC at an address, or found by SDP on an interface."""

    def charge(self, within_s: float = 120.0, **options: object) -> Iso15118Session:
        """Run a session of the emulated EV. `options`: those of `emulators.ev.run.EvOptions`, such as service, soc_pct,
        loops, protocols, control, profile."""
        from emulators.ev.run import EvOptions, run

        self._count += 1
        where = self._where or {"connect": self.target}
        given = {
            "loops": 20,
            "timeout_factor": self._timeout_factor,
            **options,
            **where,
            "json": True,
            "trace": True,
            "pcap": self._artefact(".pcapng"),
        }
        made = EvOptions(tls_version=self._tls, pki_directory=self._pki, **given)  # type: ignore[arg-type]
        out = io.StringIO()
        late = f"the session with the SECC at {self.target} has not ended"
        return self._session(run(made, out), out, within_s, late, f"no SECC answers at {self.target}")

    def check(self, case: str) -> None:
        """Run a case of `v2x conformance secc`: fail the test unless it passes, skip it where it does not apply."""
        from emulators.conformance.iso15118.secc_bench import socket_bench
        from emulators.conformance.iso15118.secc_catalogue import SECC

        self._count += 1
        bench = socket_bench(self.target, self._tls, "interop", self._pki, self._artefact(f"_{case}.pcapng"))
        self._judge(SECC, bench, case, bench.close)


class EvDut(_Device):
    """An EV that connects to an address of ours, or over SDP on an interface."""

    def serve(self, within_s: float = 120.0, **options: object) -> Iso15118Session:
        """Serve one session of the EV. `options`: those of `emulators.charger.secc.run.RunOptions`, such as power_w,
        services, protocols, control, terminate_after_loops. Fails the test if no EV connects."""
        from emulators.charger.secc.run import RunOptions, run
        from protocols.iso15118.iso20.timers import SEQUENCE_LOOP

        self._count += 1
        where = self._where or {"listen": self.target}
        timer = {} if self._timeout_factor == 1.0 else {"loop_timeout_s": SEQUENCE_LOOP * self._timeout_factor}
        given = {
            "sessions": 1,
            **timer,
            **options,
            **where,
            "json": True,
            "trace": True,
            "pcap": self._artefact(".pcapng"),
        }
        made = RunOptions(tls_version=self._tls, pki_directory=self._pki, **given)  # type: ignore[arg-type]
        out = io.StringIO()
        late = f"no EV has completed a session at {self.target}"
        return self._session(run(made, out), out, within_s, late, f"no message of an EV at {self.target}")

    def check(self, case: str) -> None:
        """Run a case of `v2x conformance ev`, in which the EV connects; as `SeccDut.check`."""
        from emulators.conformance.iso15118.ev_bench import socket_bench
        from emulators.conformance.iso15118.ev_catalogue import EV

        self._count += 1
        bench = socket_bench(self.target, self._tls, "interop", self._pki, self._artefact(f"_{case}.pcapng"))
        self._judge(EV, bench, case, bench.close)


def last_of(received: list[dict[str, object]]) -> str:
    """Return the name of the last message for the failure of a test, empty without one."""
    return f", the last is {received[-1]['name']}" if received else ""


@pytest.fixture
def v2x_dut_secc(request: pytest.FixtureRequest) -> SeccDut:
    """The SECC of the mark `v2x_dut(secc=...)`, of `--v2x-dut-secc` or V2X_DUT_SECC."""
    return SeccDut(request.config, target(request, "secc", FORM), request.node.nodeid)


@pytest.fixture
def v2x_dut_ev(request: pytest.FixtureRequest) -> EvDut:
    """The EV that connects to the address of the mark `v2x_dut(ev=...)`, of `--v2x-dut-ev` or V2X_DUT_EV."""
    return EvDut(request.config, target(request, "ev", FORM), request.node.nodeid)
