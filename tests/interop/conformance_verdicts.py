"""Verdicts of `v2x conformance secc` on Josev's SECC: why each failure is one of the peer, and the table of them."""

from __future__ import annotations

from typing import Any

_NO_RESPONSE = "it closes the connection without a response; a request that can be decoded gets one of its type"
_NOT_EXI = "its error response has empty lists, which the schema does not permit: no EV can decode it"
_SIMULATOR = "value of its own simulator"
_PAUSE = "it accepts the pause and then keeps nothing of the session"

# by case: what is wrong with the peer
REASONS: dict[str, str] = {
    "SECC-SAP-07": "it states SchemaID 0 where nothing was selected; the element is to be left out",
    "SECC-TP-01": "it ends the connection; a frame with other version bytes is to be ignored",
    "SECC-TP-02": "it ends the connection; a frame of a manufacturer's payload type is to be ignored",
    "SECC-TP-03": "it takes one read of the stream for one message; TCP may deliver a message in pieces",
    "SECC-20-AUT-03": _NO_RESPONSE,
    "SECC-20-AUT-04": _NO_RESPONSE,
    "SECC-20-SRV-09": "its parameter sets of DC_BPT have no BPTChannel and GeneratorMode",
    "SECC-20-SRV-10": "its parameter sets of AC_BPT have no BPTChannel and GeneratorMode",
    "SECC-20-SRV-14": "it answers FAILED_NoEnergyTransferServiceSelected although an energy service is selected",
    "SECC-20-SEQ-01": _NO_RESPONSE,
    "SECC-20-SEQ-04": _NOT_EXI,
    "SECC-20-SEQ-07": _NOT_EXI,
    "SECC-20-SEQ-08": "it accepts the cable check before the schedule exchange",
    "SECC-20-SEQ-11": "it accepts welding detection before power was delivered",
    "SECC-20-SEQ-14": _NOT_EXI,
    "SECC-20-SEQ-17": "after SessionSetupRes it refuses SessionStopReq, which every state before the loop accepts",
    "SECC-20-CPD-01": _NO_RESPONSE,
    "SECC-20-CPD-02": _NO_RESPONSE,
    "SECC-20-CPD-11": "it accepts an EV whose voltage range is outside its own",
    "SECC-20-CPD-12": "it accepts a minimum voltage above the maximum voltage",
    "SECC-20-SCH-05": f"TimeAnchor 0 is the year 1970 ({_SIMULATOR})",
    "SECC-20-SCH-06": f"its schedule of 10 kW is above the 1 kW that it states before ({_SIMULATOR})",
    "SECC-20-SCH-07": _NO_RESPONSE,
    "SECC-20-SCH-08": f"it states needs of the EV in MobilityNeedsMode 1, where they are the EV's ({_SIMULATOR})",
    "SECC-20-PD-02": "it accepts a power profile above its schedule",
    "SECC-20-PD-03": "it accepts a renegotiation before the charge loop",
    "SECC-20-PD-04": "it closes the connection: it requires a power profile for Standby, where the element is optional",
    "SECC-20-PD-05": _NO_RESPONSE,
    "SECC-20-LOOP-03": _NO_RESPONSE,
    "SECC-20-REN-01": f"it has no schedule exchange beside the loop, and {_NOT_EXI}",
    "SECC-20-REN-02": f"it has no schedule exchange beside the loop, and {_NOT_EXI}",
    "SECC-20-REN-03": _NOT_EXI,
    "SECC-20-REN-04": f"it has no schedule exchange beside the loop, and {_NOT_EXI}",
    "SECC-20-REN-05": _NO_RESPONSE,
    "SECC-20-PAU-02": _PAUSE,
    "SECC-20-PAU-03": _PAUSE,
    "SECC-20-PAU-04": _PAUSE,
    "SECC-20-PAU-07": "it accepts a pause before charging that it has not offered",
}
NOT_JUDGED: dict[str, str] = {}  # inconclusive cases, and why
VERDICTS = ("pass", "fail", "inconclusive", "not applicable")


def table(report: dict[str, Any], version: str) -> str:
    """Return the section of a run: numbers by feature, and the failures with their reasons."""
    features: dict[str, dict[str, int]] = {}
    for case in report["cases"]:
        counts = features.setdefault(case["feature"], dict.fromkeys(VERDICTS, 0))
        counts[case["verdict"]] += 1
    total = {verdict: sum(one[verdict] for one in features.values()) for verdict in VERDICTS}
    rows = [*features.items(), ("all", total)]
    numbers = "\n".join(
        f"| {name} | {' | '.join(str(counts[verdict] or '') for verdict in VERDICTS)} |" for name, counts in rows
    )
    failed = [case for case in report["cases"] if case["verdict"] == "fail"]
    reasons = "\n".join(
        f"| `{case['id']}` | {case['standard']} {case['reference']} | {case['rule']} | {REASONS[case['id']]} |"
        for case in failed
    )
    return TEXT.format(version=version, numbers=numbers, reasons=reasons)


TEXT = """Written by `tests/interop/test_conformance_josev.py` when it has run all cases (`V2X_SOAK=1`); not by hand.

Version {version}, found by SDP over a veth pair, without TLS. The charger behind its engine is simulated with 0 W, so
that the cases of energy direction only show that no current is stated where none may flow. Cases and requirements are
in [conformance](conformance.md).

| feature | pass | fail | inconclusive | not applicable |
|---|---|---|---|---|
{numbers}

| failed case | requirement | rule | why the peer is wrong |
|---|---|---|---|
{reasons}
"""
