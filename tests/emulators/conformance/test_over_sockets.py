"""Conformance runs over TCP: the benches that `v2x conformance` uses, beside the emulators on real sockets."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from emulators.charger.hardware.power_stage import PowerStage
from emulators.charger.secc.secc import EvseSecc
from emulators.conformance.bench import DeviceUnreachable
from emulators.conformance.evidence import Evidence
from emulators.conformance.execution import Selection, execute
from emulators.conformance.iso15118 import ev_bench, secc_bench
from emulators.conformance.iso15118.ev_catalogue import EV
from emulators.conformance.iso15118.secc_catalogue import SECC
from emulators.ev.car import Car
from emulators.ev.session import EvSession
from emulators.ev.session_options import OptionError
from emulators.runtime.clock import RealClock
from protocols.iso15118 import io


async def test_a_secc_over_tcp_has_verdicts_and_reports(tmp_path: Path) -> None:
    secc = EvseSecc(PowerStage(), RealClock(), cable_check_s=0.05)
    server = await io.listen(secc.serve, "::1", 0)
    bench = secc_bench.socket_bench(f"[::1]:{server.port}", "none", "interop", None)
    cases = ("SECC-SAP-03", "SECC-TP-03", "SECC-20-SES-01", "SECC-2-SEQ-543")
    chosen = Selection(command="v2x conformance secc", cases=cases, directory=tmp_path)
    try:
        status = await execute(SECC, bench, chosen, lambda text: None)
    finally:
        await secc.unplug()
        await server.close()
    assert status == 0
    report = json.loads((tmp_path / "results.json").read_text())
    assert [one["verdict"] for one in report["cases"]] == ["pass"] * 4
    assert report["run"]["device"] == "ZZ00000"
    assert report["run"]["capabilities"]["iso20.dc_bpt"] == "yes (discovered)"
    assert report["run"]["capabilities"]["iso20.ac"] == "no (discovered)"


async def test_an_ev_over_tcp_has_verdicts(tmp_path: Path) -> None:
    bench = ev_bench.socket_bench("[::1]:0", "none", "interop", None)
    chosen = Selection(command="v2x conformance ev", cases=("EV-20-SAP-01", "EV-20-SES-03"), directory=tmp_path)
    run = asyncio.ensure_future(execute(EV, bench, chosen, lambda text: None))
    try:
        while not run.done():
            await asyncio.sleep(0.02)
            if bench.port:
                wire = await io.connect("::1", bench.port)
                session = asyncio.ensure_future(EvSession(Car(), RealClock(), loops=2).run(wire))
                await asyncio.wait({run, session}, return_when=asyncio.FIRST_COMPLETED)
                session.cancel()
                await asyncio.gather(session, return_exceptions=True)
    finally:
        await bench.close()
    assert await run == 0


async def test_without_a_device_a_run_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulators.conformance.iso15118.secc_access.RETRIES", 1)
    bench = secc_bench.socket_bench("[::1]:1", "none", "interop", None)
    with pytest.raises(DeviceUnreachable):
        await execute(SECC, bench, Selection(command="v2x conformance secc"), lambda text: None)
    for absent in (
        secc_bench.socket_bench("no-such-interface", "none", "interop", None),
        ev_bench.socket_bench("no-such-interface", "none", "interop", None),
    ):
        with pytest.raises(DeviceUnreachable, match="no network interface"):
            await absent.discover(Evidence(RealClock().now))
    with pytest.raises(OptionError, match="--tls is none"):
        secc_bench.socket_bench("[::1]:1", "allow", "interop", None)
    with pytest.raises(ValueError, match="is not"):
        secc_bench.socket_bench("[::1]:x", "none", "interop", None)
