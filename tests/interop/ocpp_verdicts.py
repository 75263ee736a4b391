"""Verdicts of `v2x conformance charger` and `csms` on foreign OCPP peers: why each failure is one of the peer."""

from __future__ import annotations

from typing import Any

VERDICTS = ("pass", "fail", "inconclusive", "not applicable")
# by device and case: what is wrong with the peer
_NO_REPORT = "the station has no handler for GetReport, although DeviceDataCtrlr.ItemsPerMessage[GetReport] is required"
_NO_NETWORK = "the station has no handler for SetNetworkProfile"
_ANY_ATTRIBUTE = "the station ignores attributeType"
_NOT_VALIDATED = "the package validates requests only with strictMode, which the station leaves out"
REASONS: dict[str, dict[str, str]] = {
    "ocpp_station.py": {
        "OCPP2-CS-B03-FR-08": "the station answers requests although its boot was Rejected",
        "OCPP2-CS-B04-FR-01": "the station does not report its status after an interruption",
        "OCPP2-CS-B05-FR-03": _ANY_ATTRIBUTE,
        "OCPP2-CS-B05-FR-06": _ANY_ATTRIBUTE,
        "OCPP2-CS-B06-FR-08": _ANY_ATTRIBUTE,
        "OCPP2-CS-B06-FR-14": "the station has no DeviceDataCtrlr.ItemsPerMessage",
        **{f"OCPP2-CS-B08-FR-{n}": _NO_REPORT for n in ["01", "03", "04", "05", "11", "12", "14", "15", "20", "21"]},
        **{f"OCPP2-CS-B09-FR-{n}": _NO_NETWORK for n in ["01", "02", "05"]},
        "OCPP2-CS-B10-FR-02": "the station accepts any text as NetworkConfigurationPriority",
        "OCPP2-CS-B11-FR-09": "the station accepts Reset of an EVSE that it does not have",
        "OCPP2-CS-B12-FR-01": "the station resets at once, also OnIdle during a transaction",
        "OCPP2-CS-B12-FR-08": "the station boots as a whole when one EVSE is reset",
        "OCPP2-CS-E05-FR-10": "the station ignores idTokenInfo of TransactionEventResponse",
        "OCPP2-CS-E11-FR-02": "the station drops what it measures while it is offline",
        "OCPP2-CS-F01-FR-01": "AuthorizeRemoteStart is accepted and has no effect",
    },
    "rpc_station.js": {
        "OCPP16-CS-4-9-FINISHING": "the station has no status Finishing: it reports Preparing after a transaction",
        "OCPP16-CS-3-16-2-CLOCK-ALIGNED-VALUES": "ClockAlignedDataInterval is accepted and has no effect",
        "OCPP16-CS-5-8-ALL-KEYS": "the station has only eight of the required keys of chapter 9",
        "OCPP16-CS-5-11-AUTHORIZE": "AuthorizeRemoteTxRequests is accepted and has no effect",
        **{f"OCPP16-CS-J-4-2-3-{n}": _NOT_VALIDATED for n in ("MISSING-MEMBER", "WRONG-TYPE", "WRONG-VALUE")},
    },
    "ocpp_csms.py": {
        "OCPP2-CSMS-RPC-4-3-UNKNOWN-ACTION": (
            "the package exchanges the two codes: NotSupported for an action that OCPP does not have, NotImplemented "
            "for one without a handler"
        ),
        "OCPP2-CSMS-RPC-3-2-NO-COMMON-VERSION": (
            "the CSMS leaves the handshake to its WebSocket library, which answers HTTP 400, where OCPP-J demands a "
            "handshake without a subprotocol and the end of the connection"
        ),
        "OCPP2-CSMS-RPC-3-1-1-NO-ID": "the CSMS takes the last part of any path as an id, also an empty one",
        "OCPP2-CSMS-RPC-4-3-LENGTH": "the package answers TypeConstraintViolation for a text that is too long",
    },
}
_NO_MEASURANDS = "the station has no variables of the measurands, which the case sets"
_NO_ATTEMPTS = "the station has no OCPPCommCtrlr.MessageAttempts, which the case sets"
NOT_JUDGED: dict[str, dict[str, str]] = {
    "ocpp_station.py": {
        **{f"OCPP2-CS-{n}": _NO_MEASURANDS for n in ("E01-FR-09", "E02-FR-10", "E06-FR-11")},
        "OCPP2-CS-J02-FR-16": "the station measures power only",
        **{f"OCPP2-CS-J01-FR-{n}": "the station has no AlignedDataCtrlr" for n in ("14", "19", "22")},
        "OCPP2-CS-E05-FR-02": "the station has no TxCtrlr.StopTxOnInvalidId, which the case sets",
        **{f"OCPP2-CS-{n}": _NO_ATTEMPTS for n in ("E13-FR-02", "E13-FR-03", "E13-FR-04", "E14-FR-07")},
    },
    "rpc_station.js": {
        "OCPP16-CS-3-16-1-MEASURANDS": "the station has no key MeterValuesSampledData, which the case sets",
    },
    "ocpp_csms.py": {},
}


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
