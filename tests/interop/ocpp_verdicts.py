"""Verdicts of `v2x conformance charger` and `csms` on foreign OCPP peers: why each failure is one of the peer."""

from __future__ import annotations

from typing import Any

VERDICTS = ("pass", "fail", "inconclusive", "not applicable")
# by device and case: what is wrong with the peer
REASONS: dict[str, dict[str, str]] = {
    "ocpp_station.py": {},
    "rpc_station.js": {},
    "ocpp_csms.py": {
        "OCPP2-CSMS-RPC-4-3-UNKNOWN-ACTION": (
            "the package exchanges the two codes: NotSupported for an action that OCPP does not have, NotImplemented "
            "for one without a handler"
        ),
        "OCPP2-CSMS-RPC-4-3-LENGTH": "the package answers TypeConstraintViolation for a text that is too long",
    },
}
NOT_JUDGED: dict[str, dict[str, str]] = {"ocpp_station.py": {}, "rpc_station.js": {}, "ocpp_csms.py": {}}


def table(reports: dict[str, dict[str, Any]]) -> str:
    """Return the section of the runs: numbers by device, and the failures with their reasons."""
    rows, failures = [], []
    for device, report in reports.items():
        counts = [sum(case["verdict"] == verdict for case in report["cases"]) for verdict in VERDICTS]
        rows.append(f"| {DEVICES[device]} | {' | '.join(map(str, counts))} |")
        for case in report["cases"]:
            if case["verdict"] in ("fail", "inconclusive"):
                reason = (REASONS if case["verdict"] == "fail" else NOT_JUDGED)[device][case["id"]]
                rule = f"{case['stimulus']}: {case['expectation']}"
                failures.append(f"| `{device}` | `{case['id']}` | {case['verdict']} | {rule} | {reason} |")
    return TEXT.format(rows="\n".join(rows), failures="\n".join(failures))


DEVICES = {
    "ocpp_station.py": "`ocpp_station.py`: 2.0.1, PyPI `ocpp` 2.1.0",
    "rpc_station.js": "`rpc_station.js`: 1.6, npm `ocpp-rpc` 2.2.1",
    "ocpp_csms.py": "`ocpp_csms.py`: CSMS, 2.0.1, PyPI `ocpp` 2.1.0",
}
TEXT = """Written by `tests/interop/test_vendor_dut.py` when it has run all cases (`V2X_SOAK=1`); not by hand.

The devices are those of `examples/vendor-dut/devices`: small stations and a CSMS on foreign libraries, which stand in
for products. Cases and requirements are in [conformance of OCPP devices](conformance-ocpp.md).

| device | pass | fail | inconclusive | not applicable |
|---|--:|--:|--:|--:|
{rows}

| device | case | verdict | rule | why the peer is wrong, or why there is no judgement |
|---|---|---|---|---|
{failures}
"""
