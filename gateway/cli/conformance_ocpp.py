"""`v2x conformance charger` and `v2x conformance csms`: the catalogues of OCPP 1.6, 2.0.1 and 2.1."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from gateway.cli import conformance
from gateway.cli.conformance import (
    CapabilitiesOption,
    CaseOption,
    ListOption,
    ReportOption,
    ResumeOption,
    TagOption,
)
from gateway.cli.emulators import Ocpp
from gateway.cli.execution import end, fail, report_error, run_emulator
from gateway.cli.options import Json, examples

if TYPE_CHECKING:
    import ssl

    from emulators.conformance.bench import Bench
    from emulators.conformance.case import Device, Mutant
    from emulators.conformance.catalogue import Catalogue
    from emulators.conformance.execution import Selection
    from emulators.conformance.ocpp.csms_under_test import CsmsUnderTest
    from emulators.conformance.ocpp.station_under_test import StationUnderTest

app = typer.Typer()

PasswordFile = Annotated[
    Path | None, typer.Option(dir_okay=False, help="Password of HTTP Basic authentication, in a file.")
]
CertOption = Annotated[Path | None, typer.Option(dir_okay=False, help="Certificate (PEM) of the tester, for TLS.")]
KeyOption = Annotated[Path | None, typer.Option(dir_okay=False, help="Its key.")]
LabOption = Annotated[
    Path | None,
    typer.Option("--lab", dir_okay=False, help="Means of the laboratory (TOML), such as `plug`."),
]


@app.command(
    epilog=examples(
        "v2x conformance charger --list --tag smart-charging",
        "v2x conformance charger 0.0.0.0:9000 --report out",
        "v2x conformance charger :9000 --ocpp 2.1 --lab lab.toml --report out",
        "v2x conformance charger 0.0.0.0:9000 --case OCPP2-CS-B01-FR-01",
    )
)
def charger(
    listen: Annotated[str | None, typer.Argument(metavar="[ADDR]:PORT", help="Where the station connects.")] = None,
    station: Annotated[str | None, typer.Option("--id", help="Id of the station; default: the first.")] = None,
    ocpp: Annotated[Ocpp | None, typer.Option(help="Only this version; default: the newest it offers.")] = None,
    lab: LabOption = None,
    password_file: PasswordFile = None,
    cert: CertOption = None,
    key: KeyOption = None,
    within_s: Annotated[float, typer.Option("--within", min=1, help="Seconds until it has to connect.")] = 120.0,
    case: CaseOption = None,
    tag: TagOption = None,
    list_: ListOption = False,
    capabilities: CapabilitiesOption = None,
    report: ReportOption = None,
    resume: ResumeOption = False,
    json: Json = False,
) -> None:
    """Test an OCPP charging station: the tester is the CSMS.

    The station connects to the tester, at ws://ADDR:PORT/ocpp/ID. Exit status 0: no case failed or was inconclusive.
    """
    from emulators.conformance.ocpp.catalogue import stations
    from emulators.conformance.ocpp.station_bench import Laboratory, LaboratoryError, laboratory
    from protocols.iso15118.io import endpoint

    chosen = conformance.selection(case, tag, capabilities, report, resume, json)
    if list_:
        conformance.list_cases(stations(), chosen)
    if listen is None:
        fail("conformance charger", "name the address at which the station connects, such as 0.0.0.0:9000")
    try:
        host, port = endpoint(listen)
        password = None if password_file is None else password_file.read_text("utf-8").strip()
        tls = _server_context(cert, key)
        means = Laboratory() if lab is None else laboratory(lab)
    except (ValueError, OSError, LaboratoryError) as error:
        fail("conformance charger", error)

    @asynccontextmanager
    async def opened() -> AsyncIterator[Bench[StationUnderTest]]:
        from emulators.conformance.ocpp.listener import NEWEST_FIRST, Listener
        from emulators.conformance.ocpp.station_bench import StationBench
        from emulators.conformance.ocpp.tester_csms import TesterCsms
        from emulators.runtime.clock import RealClock
        from protocols.ocpp.schema import Version

        versions = NEWEST_FIRST if ocpp is None else (Version.of(ocpp.value),)
        csms = TesterCsms(RealClock())
        async with Listener(
            csms, host, port, station=station, versions=versions, password=password, tls=tls
        ) as listener:
            yield StationBench(listener, means, within_s)

    _run(stations(), opened(), chosen, "" if json else "listening at ")


@app.command(
    epilog=examples(
        "v2x conformance csms --list --tag ocpp21",
        "v2x conformance csms ws://127.0.0.1:9000/ocpp --id CP1 --report out",
        "v2x conformance csms ws://[::1]:9000/ocpp --ocpp 1.6 --report out --resume",
        "v2x conformance csms ws://[::1]:9000/ocpp --case OCPP2-CSMS-G02-FR-03",
        "v2x conformance csms wss://csms:9000/ocpp --password-file pw --ca ca.pem",
    )
)
def csms(
    url: Annotated[str | None, typer.Argument(metavar="URL", help="The CSMS: ws://host:port/ocpp")] = None,
    station: Annotated[str, typer.Option("--id", help="Id of a station that it knows.")] = "CP1",
    ocpp: Annotated[Ocpp, typer.Option(help="OCPP version of the station.")] = Ocpp.V201,
    lab: LabOption = None,
    password_file: PasswordFile = None,
    ca: Annotated[Path | None, typer.Option(dir_okay=False, help="Certificates to verify the CSMS with (wss).")] = None,
    cert: CertOption = None,
    key: KeyOption = None,
    case: CaseOption = None,
    tag: TagOption = None,
    list_: ListOption = False,
    capabilities: CapabilitiesOption = None,
    report: ReportOption = None,
    resume: ResumeOption = False,
    json: Json = False,
) -> None:
    """Test a CSMS: the tester is a charging station that connects to it.

    Exit status 0: no case failed or was inconclusive.
    """
    from emulators.conformance.ocpp.catalogue import systems
    from emulators.conformance.ocpp.station_bench import Laboratory, LaboratoryError, laboratory

    chosen = conformance.selection(case, tag, capabilities, report, resume, json)
    if list_:
        conformance.list_cases(systems(), chosen)
    if url is None:
        fail("conformance csms", "name the CSMS: ws://host:port/ocpp")
    try:
        password = None if password_file is None else password_file.read_text("utf-8").strip()
        tls = _client_context(url, ca, cert, key)
        means = Laboratory() if lab is None else laboratory(lab)
    except (ValueError, OSError, LaboratoryError) as error:
        fail("conformance csms", error)

    @asynccontextmanager
    async def opened() -> AsyncIterator[Bench[CsmsUnderTest]]:
        from emulators.conformance.ocpp.csms_bench import CsmsBench
        from emulators.runtime.clock import RealClock
        from protocols.ocpp.schema import Version

        bench = CsmsBench(url, RealClock(), Version.of(ocpp.value), station, password, means, tls)
        try:
            yield bench
        finally:
            await bench.close()

    _run(systems(), opened(), chosen)


def _server_context(cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """Return the TLS of the port; None without a certificate. Raises ValueError, OSError."""
    import ssl

    if cert is None and key is None:
        return None
    if cert is None or key is None:
        raise ValueError("--cert and --key belong together")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load(context, cert, key)
    return context


def _client_context(url: str, ca: Path | None, cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """Return the TLS of a wss URL, which verifies the CSMS; None for ws. Raises ValueError, OSError."""
    import ssl

    if (cert is None) != (key is None):
        raise ValueError("--cert and --key belong together")
    if not _is_websocket(url):
        raise ValueError(f"{url!r} is no WebSocket URL (ws://host:port/ocpp)")
    if urlsplit(url).scheme == "ws":
        if ca is not None or cert is not None:
            raise ValueError("--ca, --cert and --key are for a wss URL")
        return None
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise ValueError(f"--ca {ca}: {error.strerror or error}") from None
    if cert is not None and key is not None:
        _load(context, cert, key)
    return context


def _is_websocket(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _load(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    """Load the certificate of the tester. Raises ValueError."""
    try:
        context.load_cert_chain(cert, key)
    except OSError as error:
        raise ValueError(f"--cert {cert}, --key {key}: {error.strerror or error}") from None


def _run(
    catalogue: Catalogue[Device, Mutant],
    opened: AbstractAsyncContextManager[Bench[Device]],
    chosen: Selection,
    announced: str = "",
) -> None:
    """Run the selected cases at a bench that is open meanwhile, and end the command.

    With `announced`, a line of it and the target is printed once the options are known to be right.
    """
    from emulators.conformance.execution import DeviceUnreachable, RunError, execute

    command = f"conformance {catalogue.role}"

    async def work() -> int:
        try:
            async with opened as bench:

                def announce() -> None:
                    if announced:
                        typer.echo(f"{announced}{bench.target}")

                try:
                    return await execute(catalogue, bench, chosen, begins=announce)
                except DeviceUnreachable as error:
                    return report_error(command, f"no device at {bench.target}: {error}", 1)
        except (RunError, OSError) as error:
            return report_error(command, error)

    end(run_emulator(work()))
