"""Token and messages of the certification cases of stations."""

from __future__ import annotations

from typing import Any

from protocols.ocpp.times import stamp
from tests.emulators.charger.csms_rig import CsmsRig

TOKEN = {"idToken": "04A1B2C3", "type": "ISO14443"}


def boots(csms: CsmsRig, *statuses: str, interval: int = 20) -> None:
    """Return a sequence of responses to BootNotification; the last repeats."""
    left = list(statuses)

    def answer(_: dict[str, Any]) -> dict[str, Any]:
        status = left.pop(0) if len(left) > 1 else left[0]
        return {"status": status, "interval": interval, "currentTime": stamp(csms.clock.wall())}

    csms.answers["BootNotification"] = answer


def events(csms: CsmsRig, kind: str | None = None) -> list[dict[str, Any]]:
    return [e for e in csms.calls("TransactionEvent") if kind in (None, e["eventType"])]
