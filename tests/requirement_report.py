"""Writes `docs/ocpp-coverage.md` from a test run: the result for each requirement, and the handlers of each message.

The page is written by a run that includes every covered requirement, so that a partial run leaves it unchanged. It
contains no dates: the same results give the same page.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.requirement_catalogue import NOT_COVERED, REQUIREMENTS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "ocpp-coverage.md"
HEAD = """\
# OCPP coverage

Written by the test run (`make test`); do not edit. A requirement is *verified* when a test with its id passes that
exercises it from outside: by OCPP messages between the gateway's CSMS and the emulated station, by the admin API, and
by set-points as commands over MQTT and the admin API cause them. Blocks B, I and the station's side of N are exercised
by a CSMS of the tests; of these three only the listed requirements are verified. The wording is ours; the ids are those
of OCPP 2.1 edition 1 part 2 and its errata of 2025-09. Edition 2 (2025-12) removed R04.FR.40, which is not listed, and
states that ReportDERControl is sent by the station; the messages below have the direction of edition 2.

"""
NOT_HERE = """\
## Not covered

| what | why |
|---|---|
"""
GAPS = (
    ("`NotifyChargingLimit.isDynamic` (Q06.FR.11)", "the schema of edition 1 has no such member"),
    (
        "ISO 15118 Plug & Charge over OCPP (M01, M02, M06, C07), `Get15118EVCertificate`",
        "NotSupported; contract certificates are answered NoCertificateAvailable, no OCSP responder is queried",
    ),
    ("certificates of an SECC (A02, A03 with a V2G type)", "`SignCertificate` for them is answered Rejected"),
    ("web payment, settlement, VAT numbers (C20-C25)", "NotSupported"),
    (
        "battery swap (block S)",
        "NotSupported: a swap station has slots with batteries of its own, which no emulator here has",
    ),
    (
        "transaction limits (E16), prepaid cards (C17), resuming (B13, E17)",
        "the emulated station refuses or ignores them",
    ),
    ("`PublishFirmware` (L03)", "NotSupported: there is no local controller"),
    (
        "a tariff's payment conditions, local time",
        "the emulated station has no payment terminal; its local time is UTC",
    ),
    (
        "the emulated station: messages above under *Handled by neither*",
        "NotSupported; the gateway sends such calls to stations that support them, and handles their reports",
    ),
    (
        "RFC 7692 compression",
        "off by default, it costs memory (`CsmsSettings.compression`); part 4, 3.4 requires it",
    ),
    ("signed messages (part 4, chapter 7)", "not implemented"),
)


class Report:
    """Collects the results of one test run."""

    def __init__(self) -> None:
        self.results: dict[str, set[str]] = {}

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.outcome == "passed":
            return
        for name, value in report.user_properties:
            if name == "requirement":
                self.results.setdefault(str(value), set()).add(report.outcome)

    @pytest.hookimpl
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workerinput"):
            return
        if set(REQUIREMENTS) - set(NOT_COVERED) <= set(self.results):
            text = page(self.results)
            if not PAGE.exists() or PAGE.read_text("utf-8") != text:
                PAGE.parent.mkdir(exist_ok=True)
                PAGE.write_text(text, "utf-8")


def page(results: dict[str, set[str]]) -> str:
    """Return the whole page."""
    lines = [HEAD]
    verified = sum(1 for one in REQUIREMENTS if results.get(one) == {"passed"})
    lines.append(
        f"{verified} of {len(REQUIREMENTS)} requirements are verified, {len(NOT_COVERED)} are not covered.\n\n"
    )
    for block, title in BLOCKS.items():
        lines.append(f"## {title}\n\n| id | actor | requirement | verified |\n|---|---|---|---|\n")
        for name, (actor, requirement) in REQUIREMENTS.items():
            if name.startswith(block):
                lines.append(f"| {name} | {actor} | {requirement} | {_result(name, results)} |\n")
        lines.append("\n")
    lines.append(_messages())
    lines.append(NOT_HERE)
    lines += [f"| {what} | {why} |\n" for what, why in GAPS]
    return "".join(lines)


BLOCKS = {
    "K28": "K28 Dynamic profiles from the CSMS",
    "K29": "K29 Dynamic profiles from an external system",
    "K01": "K01 Offline validity and operation modes (what Q11 and Q12 point to)",
    "V2X": "Q General",
    "Q01": "Q01 V2X authorisation",
    "Q02": "Q02 Charging only before V2X",
    "Q03": "Q03 Set-points in a schedule (Q04 adds none of its own)",
    "Q05": "Q05 External control granted by the CSMS",
    "Q06": "Q06 External control by an external system",
    "Q07": "Q07 Central frequency support",
    "Q08": "Q08 Local frequency support",
    "Q09": "Q09 Local load balancing",
    "Q10": "Q10 Idle",
    "R01": "R01 DER control in the EVSE",
    "R02": "R02 DER control in the EV",
    "R03": "R03 Hybrid DER control",
    "R04": "R04 Configure DER control",
    "R05": "R05 Report a DER event",
    "B09": "B09 Network profiles",
    "B10": "B10 Migration to another CSMS",
    "N02": "N02 Monitoring report",
    "N03": "N03 Monitoring base",
    "N04": "N04 Variable monitors",
    "N05": "N05 Monitoring level",
    "N06": "N06 Clearing monitors",
    "N07": "N07 Alerts",
    "N08": "N08 Periodic events",
    "N11": "N11 Periodic event streams",
    "N12": "N12 List of streams",
    "N13": "N13 Closing a stream",
    "N14": "N14 Adjusting a stream",
    "N15": "N15 Values of a stream",
    "I07": "I07 Default tariffs",
    "I08": "I08 A driver's tariff",
    "I09": "I09 List of tariffs",
    "I10": "I10 Clearing tariffs",
    "I11": "I11 Another tariff in a transaction",
    "I12": "I12 Cost details",
}


def _result(name: str, results: dict[str, set[str]]) -> str:
    if name in NOT_COVERED:
        return f"not covered: {NOT_COVERED[name]}"
    outcomes = results.get(name, set())
    return "yes" if outcomes == {"passed"} else "**no**: the test fails" if "failed" in outcomes else "not run"


def _messages() -> str:
    from emulators.charger.station.build import build, car_power_path
    from emulators.charger.station.config import StationConfig
    from emulators.charger.station.csms_link.network_profiles import NetworkProfile
    from emulators.runtime.clock import VirtualClock
    from gateway.csms.csms import HANDLERS
    from protocols.ocpp import schema
    from protocols.ocpp.schema import Version
    from protocols.ports import TextWire

    async def nowhere(_: NetworkProfile) -> TextWire:
        raise ConnectionError

    lines = ["## Messages\n\nHandled messages of each end; all others of a version are rejected with NotSupported.\n\n"]
    for version in Version:
        station = build(StationConfig(version=version), [car_power_path()], VirtualClock(), nowhere)
        ours, theirs = set(HANDLERS[version]), set(station.ocpp.handlers)
        rest = schema.actions(version) - ours - theirs
        lines.append(f"### OCPP {version.number}\n\n")
        lines.append(f"* Handled by the gateway: {_names(ours)}.\n")
        lines.append(f"* Handled by the emulated station: {_names(theirs)}.\n")
        lines.append(f"* Handled by neither: {_names(rest)}.\n")
        lines.append(
            "* The gateway sends every call of the version on request (`POST /admin/v1/stations/{id}/call`).\n\n"
        )
    return "".join(lines)


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
