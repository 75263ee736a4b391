"""Cars of all generations at one port of an emulated charger, over real TLS: what each offers decides."""

from __future__ import annotations

import asyncio
import io as text_io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from emulators.charger.secc.run import RunOptions
from emulators.charger.secc.run import run as run_secc
from emulators.ev.car import Car
from emulators.ev.run import EvOptions
from emulators.ev.run import run as run_ev
from emulators.ev.session import EvSession
from emulators.runtime.clock import RealClock
from protocols.iso15118 import io, pki, tls
from protocols.iso15118.iso20 import events

NAMESPACES = {
    "iso20": "urn:iso:std:iso:15118:-20:DC",
    "iso2": "urn:iso:15118:2:2013:MsgDef",
    "din": "urn:din:70121:2012:MsgDef",
}
FAST: dict[str, Any] = {"loops": 2, "loop_interval_s": 0.01, "poll_interval_s": 0.01, "service": "dc", "json": True}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pki")
    pki.create(directory)
    return directory


@asynccontextmanager
async def charger(directory: Path, tls_version: str, protocols: str = "iso20,iso2,din") -> AsyncIterator[int]:
    """Run a charger; yields its port."""
    out = text_io.StringIO()
    options = RunOptions(
        listen="[::1]:0",
        tls_version=tls_version,
        pki_directory=directory,
        protocols=protocols,
        power_w=3000.0,
        cable_check_s=0.0,
        json=True,
    )
    running = asyncio.create_task(run_secc(options, out))
    while not out.getvalue():  # noqa: ASYNC110 - no event: the program prints that it listens
        await asyncio.sleep(0.01)
    try:
        yield int(json.loads(out.getvalue().splitlines()[0])["port"])
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def agreed(directory: Path, port: int, protocols: str, tls_version: str) -> tuple[int, str, str]:
    """Return the exit status of a car, the namespace of its session and the reason of its end."""
    out = text_io.StringIO()
    options = EvOptions(
        connect=f"[::1]:{port}", protocols=protocols, tls_version=tls_version, pki_directory=directory, **FAST
    )
    status = await run_ev(options, out)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    found = [one["namespace"] for one in lines if one["event"] == "ProtocolAgreed"]
    return status, found[0] if found else "", str(lines[-1].get("reason", ""))


@pytest.mark.parametrize(
    ("offered", "tls_version", "expected"),
    [
        ("iso20,iso2", "1.3", "iso20"),
        ("iso20,iso2,din", "require", "iso20"),
        ("iso2,iso20", "require", "iso2"),  # ISO 15118-2 on TLS 1.3
        ("iso2", "1.2", "iso2"),
        ("iso2,din", "1.2", "iso2"),
        ("din,iso2", "allow", "iso2"),  # DIN 70121 is not offered on TLS
        ("iso2,din", "none", "iso2"),
        ("din,iso2", "none", "din"),
        ("iso20,din", "none", "iso20"),  # without certificates, for tests
    ],
)
async def test_a_port_that_allows_everything(directory: Path, offered: str, tls_version: str, expected: str) -> None:
    async with charger(directory, "allow") as port:
        status, namespace, _ = await agreed(directory, port, offered, tls_version)
    assert (status, namespace) == (0, NAMESPACES[expected])


async def test_several_cars_one_after_the_other(directory: Path) -> None:
    async with charger(directory, "require") as port:
        for offered, version, expected in (("iso2", "1.2", "iso2"), ("iso20", "1.3", "iso20"), ("iso2", "1.2", "iso2")):
            status, namespace, _ = await agreed(directory, port, offered, version)
            assert (status, namespace) == (0, NAMESPACES[expected])
        status, namespace, reason = await agreed(directory, port, "iso2,din", "none")
        assert (status, namespace) == (1, "")
        assert reason == "the charger closed the connection"


async def test_a_car_of_both_versions_at_a_charger_of_iso2(directory: Path) -> None:
    async with charger(directory, "1.2", "iso2,din") as port:
        status, namespace, _ = await agreed(directory, port, "iso20,iso2", "require")
        assert (status, namespace) == (0, NAMESPACES["iso2"])
        status, namespace, reason = await agreed(directory, port, "iso20", "require")
        assert (status, namespace) == (1, "")
        assert reason == "none of the protocols iso20 may be used on TLSv1.2"


@pytest.mark.parametrize(("offered", "expected"), [(("iso20", "iso2"), "iso2"), (("iso20",), None)])
async def test_a_charger_does_not_agree_on_iso20_over_tls_1_2(
    directory: Path, offered: tuple[str, ...], expected: str | None
) -> None:
    """V2G20-2356, at a car that offers it although it must not (V2G20-1237)."""
    context = tls.client_context(directory, tls.TlsVersion.TLS_1_2)
    seen: list[events.Event] = []
    async with charger(directory, "require") as port:
        wire = await io.connect("::1", port, context)
        assert wire.tls_version == "TLSv1.2"
        session = EvSession(Car(), RealClock(), seen.append, protocols=offered, loops=1)
        ended = await session.run(wire)
    assert ended.ok is (expected is not None)
    namespaces = [one.namespace for one in seen if isinstance(one, events.ProtocolAgreed)]
    assert namespaces == ([] if expected is None else [NAMESPACES[expected]])


@pytest.mark.parametrize("program", ["ev", "secc"])
async def test_din_has_no_tls(directory: Path, program: str, capsys: pytest.CaptureFixture[str]) -> None:
    if program == "ev":
        options = EvOptions(connect="[::1]:1", protocols="din", tls_version="require", pki_directory=directory)
        status = await run_ev(options)
    else:
        status = await run_secc(
            RunOptions(listen="[::1]:0", protocols="din", tls_version="1.2", pki_directory=directory)
        )
    assert status == 2
    assert "DIN 70121 is without TLS" in capsys.readouterr().err
