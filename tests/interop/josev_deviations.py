"""Where Josev deviates from the standards, as `docs/interop.md` has it: what, why it is wrong, the consequence here."""

from __future__ import annotations

REPLACED = "the function of its simulator is replaced"
DEVIATIONS = (
    (
        "its car offers the protocols of `supportedProtocols` in a random order (they pass through a `set`)",
        "their order is the priority of the EV, which decides (V2G2-169, V2G20-169)",
        "the tests restore the order",
    ),
    (
        "its car offers ISO 15118-20 on TLS 1.2",
        "it must not (V2G20-1237)",
        "the emulated charger agrees on ISO 15118-2 (V2G20-2356)",
    ),
    (
        "its car ignores ReNegotiation in CurrentDemandRes",
        "the notification exists for AC and DC",
        "the session continues with the first schedule",
    ),
    ("its car has no pause", "optional for an EV", "pause and resumption are tested in the other role"),
    (
        "its car states the current of the charge loop in PreChargeReq",
        "at most 2 A may flow (IEC 61851-23 CC.5.2); its own charger refuses more",
        "the emulated charger limits the current",
    ),
    (
        "its car ends pre-charge after five polls at any voltage",
        "its contactors would close at a difference of more than 20 V",
        REPLACED,
    ),
    (
        "its car reports 0 W in AC_ChargeLoopReq at any power",
        "the field is a measurement",
        "the energy of these sessions is not asserted",
    ),
    (
        "its charger answers SessionStopReq during pre-charge with FAILED_SequenceError",
        "an EV may end the session there",
        "the session of the emulated car fails with this code",
    ),
    (
        "its charger divides the power of all phases by the voltage for EVSEMaxCurrent",
        "EVSEMaxCurrent is the current of one phase",
        REPLACED,
    ),
    (
        "its charger states a negative EVSEMaximumPowerLimit when it may discharge",
        "ISO 15118-2 and DIN 70121 have no discharge",
        REPLACED,
    ),
)
