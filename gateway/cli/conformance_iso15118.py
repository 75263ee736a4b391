"""`v2x conformance secc` and `ev`: the catalogues of ISO 15118 and DIN SPEC 70121."""

from __future__ import annotations

from typing import Annotated

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
from gateway.cli.emulators import (
    Pcap,
    Pki,
    ProfileOption,
    SessionTls,
    TlsOption,
    TlsProfile,
    restart_with_openssl_settings,
)
from gateway.cli.execution import fail
from gateway.cli.options import Json, examples

app = typer.Typer()


@app.command(
    epilog=examples(
        "v2x conformance secc --list --tag bpt",
        "v2x conformance secc [::1]:15118 --report out",
        "v2x conformance secc eth1 --tls 1.3 --pki pki --report out --resume",
        "v2x conformance secc [::1]:15118 --case SECC-SAP-01 --pcap case.pcapng",
    )
)
def secc(
    target: Annotated[
        str | None, typer.Argument(metavar="[ADDR]:PORT|IF", help="Address of the SECC, or interface for SDP.")
    ] = None,
    tls_version: TlsOption = SessionTls.NONE,
    tls_profile: ProfileOption = TlsProfile.INTEROP,
    pki_directory: Pki = None,
    case: CaseOption = None,
    tag: TagOption = None,
    list_: ListOption = False,
    capabilities: CapabilitiesOption = None,
    report: ReportOption = None,
    resume: ResumeOption = False,
    pcap: Pcap = None,
    json: Json = False,
) -> None:
    """Test a SECC: the tester is the vehicle.

    Every case is a session of its own. Exit status 0: no case failed or was inconclusive.
    """
    from emulators.conformance.iso15118.secc_bench import socket_bench
    from emulators.conformance.iso15118.secc_catalogue import SECC

    chosen = conformance.selection(case, tag, capabilities, report, resume, json)
    if list_:
        conformance.list_cases(SECC, chosen)
    if target is None:
        fail("conformance secc", "name the SECC: [ADDRESS]:PORT, or an interface on which SDP finds it")
    restart_with_openssl_settings(tls_version, tls_profile)
    try:
        bench = socket_bench(target, tls_version.value, tls_profile.value, pki_directory, pcap)
    except (ValueError, OSError) as error:
        fail("conformance secc", error)
    conformance.run_cases(SECC, bench, chosen, bench.close)


@app.command(
    epilog=examples(
        "v2x conformance ev --list --tag timers",
        "v2x conformance ev [::1]:15118 --report out",
        "v2x conformance ev eth1 --tls 1.3 --pki pki --capabilities car.toml",
        "v2x conformance ev [::1]:15118 --case EV-20-NOT-01",
    )
)
def ev(
    target: Annotated[
        str | None, typer.Argument(metavar="[ADDR]:PORT|IF", help="Address to listen on, or interface for SDP.")
    ] = None,
    tls_version: TlsOption = SessionTls.NONE,
    tls_profile: ProfileOption = TlsProfile.INTEROP,
    pki_directory: Pki = None,
    case: CaseOption = None,
    tag: TagOption = None,
    list_: ListOption = False,
    capabilities: CapabilitiesOption = None,
    report: ReportOption = None,
    resume: ResumeOption = False,
    pcap: Pcap = None,
    json: Json = False,
) -> None:
    """Test an EV: the tester is the SECC.

    Every case waits for the EV to connect, so the EV connects again after each session.
    Exit status 0: no case failed or was inconclusive.
    """
    from emulators.conformance.iso15118.ev_bench import socket_bench
    from emulators.conformance.iso15118.ev_catalogue import EV

    chosen = conformance.selection(case, tag, capabilities, report, resume, json)
    if list_:
        conformance.list_cases(EV, chosen)
    if target is None:
        fail("conformance ev", "name where the EV connects: [ADDRESS]:PORT, or an interface on which it sends SDP")
    restart_with_openssl_settings(tls_version, tls_profile)
    try:
        bench = socket_bench(target, tls_version.value, tls_profile.value, pki_directory, pcap)
    except (ValueError, OSError) as error:
        fail("conformance ev", error)
    waiting = f"waiting for an EV at {target}; it has to connect again for each session of a case"
    conformance.run_cases(EV, bench, chosen, bench.close, "" if json else waiting)
