"""Verdicts of `v2x conformance` on Josev: why each failure is one of the peer, and the tables of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_NO_RESPONSE = "it closes the connection without a response; a request that can be decoded gets one of its type"
_NOT_EXI = "its error response has empty lists, which the schema does not permit: no EV can decode it"
_SLOW = "response times of its codec, a JVM, depend on the load of the machine"
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
    "SECC-20-TIM-02": "its sequence time-out in the loop is 60 s, that of the other states",
    "SECC-20-TIM-03": "its sequence time-out in the loop is 60 s, that of the other states",
    "SECC-2-SEQ-541": _NO_RESPONSE,
    "SECC-2-SEQ-812B": "it accepts PowerDelivery(Start) in the loop",
    "SECC-2-SEQ-STOP": "after SessionSetupRes it refuses SessionStopReq, which every state before the loop accepts",
    "SECC-2-CPD-02": _NO_RESPONSE,
    "SECC-2-CPD-03": "it accepts an EV whose voltage is below its own range",
    "SECC-2-PWR-03": "it passes a negative EVTargetCurrent on to its charger, although ISO 15118-2 only charges",
    "SECC-2-TIM-02": "its time-out before a session is 60 s, that of the other states",
    "SECC-DIN-SEQ-437": _NO_RESPONSE,
    "SECC-DIN-SEQ-441": "its error response has the abstract element SASchedules: no EV can decode it",
    "SECC-DIN-SEQ-444": "its error response has the abstract element SASchedules: no EV can decode it",
    "SECC-DIN-SEQ-STOP": "after SessionSetupRes it refuses SessionStopReq, which every state before the loop accepts",
    "SECC-DIN-SEQ-START": "it accepts ReadyToChargeState true in the loop",
    "SECC-DIN-SRV-06": "it accepts a service that it does not offer",
    "SECC-DIN-SRV-07": "it accepts a second service, which DIN SPEC 70121 does not have",
    "SECC-DIN-CPD-01": _NO_RESPONSE,
    "SECC-DIN-CPD-02": "it accepts an EV whose voltage is below its own range",
    "SECC-DIN-PD-01": "it accepts a charging profile of a schedule that it has not offered",
    "SECC-DIN-PWR-02": "it passes a negative EVTargetCurrent on to its charger, although DIN SPEC 70121 only charges",
    "SECC-20-PAU-07": "it accepts a pause before charging that it has not offered",
}
# by case: why the set-up of these tests, not the peer, decides the verdict
SET_UP: dict[str, str] = {
    "SECC-20-END-03": "the tests shorten its wait of 5 s at the end of a session",
    "SECC-20-TIM-04": _SLOW,
    "SECC-20-TIM-06": _SLOW,
    "SECC-20-TIM-07": _SLOW,
    "SECC-2-TIM-03": _SLOW,
    "SECC-2-TIM-05": _SLOW,
    "SECC-2-TIM-10": _SLOW,
    "SECC-DIN-TIM-02": _SLOW,
    "SECC-DIN-TIM-03": _SLOW,
    "EV-20-CC-02": "the tests limit its sessions to 30 s",
    "EV-20-LOOP-01": _SLOW,
}
EV_REASONS: dict[str, str] = {
    "EV-20-AUT-03": "it goes on to the services although authorization was refused",
    "EV-20-LOOP-06": "it reports 0 W at any power, and the field is a measurement",
    "EV-20-LOOP-09": "it does not verify the direction of the current (its simulator)",
    "EV-20-LOOP-10": "it does not verify the voltage of the charger (its simulator)",
    "EV-20-NOT-02": "it has no pause: it ends the connection in the loop, without PowerDelivery(Stop)",
    "EV-20-NOT-03": "it ends the connection in the loop, without PowerDelivery(Stop)",
    "EV-20-NOT-04": "it answers ServiceRenegotiation by a termination",
    "EV-2-LOOP-02": "it does not follow EVSEMaximumCurrentLimit (its simulator)",
    "EV-2-NOT-04": "it does not react to EVSE_Shutdown in ISO 15118-2",
    "EV-2-PC-02": "it states the current of the charge loop in PreChargeReq; at most 2 A may flow",
}
VERDICTS = ("pass", "fail", "inconclusive", "not applicable")
Cases = Sequence[Mapping[str, Any]]


def unexplained(cases: Cases, reasons: Mapping[str, str]) -> dict[str, str]:
    """Return what has another verdict than the recorded one, with its reason."""
    found: dict[str, str] = {}
    for case in cases:
        name, verdict = case["id"], case["verdict"]
        known = name in SET_UP or (verdict == "fail") is (name in reasons)
        if not known or verdict == "inconclusive":
            found[name] = f"{verdict}: {case['reason']}"
    return found


def table(cases: Cases, reasons: Mapping[str, str], heading: str) -> str:
    """Return the section of a run: numbers by feature, failures with their reasons, and what is not judged."""
    judged = [case for case in cases if case["id"] not in SET_UP]
    features: dict[str, dict[str, int]] = {}
    for case in judged:
        counts = features.setdefault(case["feature"], dict.fromkeys(VERDICTS, 0))
        counts[case["verdict"]] += 1
    total = {verdict: sum(one[verdict] for one in features.values()) for verdict in VERDICTS}
    numbers = "\n".join(
        f"| {name} | {' | '.join(str(counts[verdict] or '') for verdict in VERDICTS)} |"
        for name, counts in [*features.items(), ("all", total)]
    )
    rows = "\n".join(
        f"| `{case['id']}` | {case['standard']} {case['reference']} | {case['rule']} | {reasons[case['id']]} |"
        for case in judged
        if case["verdict"] == "fail"
    )
    left_out = "\n".join(f"* `{case['id']}`: {SET_UP[case['id']]}" for case in cases if case["id"] in SET_UP)
    return TEXT.format(heading=heading, numbers=numbers, reasons=rows, left_out=left_out)


TEXT = """Written by `tests/interop/test_conformance_josev.py` when it has run all cases (`V2X_SOAK=1`); not by hand.

{heading} Cases and requirements are in [conformance](conformance.md).

| feature | pass | fail | inconclusive | not applicable |
|---|---|---|---|---|
{numbers}

| failed case | requirement | rule | why the peer is wrong |
|---|---|---|---|
{reasons}

Not judged, as the set-up of these tests decides:

{left_out}
"""
