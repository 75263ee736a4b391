"""Parts of responses of 2.x: StatusInfoType, and the limit of elements in one request (ItemsPerMessage)."""

from __future__ import annotations

from collections.abc import Sized

from emulators.charger.station.device_model.variables import ITEMS
from protocols.ocpp.rpc import Refusal
from protocols.ocpp.schema import ErrorCode, Payload


def rejected(code: str, text: str = "") -> Payload:
    """Return a response with status Rejected and its reason."""
    info = {"reasonCode": code[:20]} | ({"additionalInfo": text[:500]} if text else {})
    return {"status": "Rejected", "statusInfo": info}


def check_items(entries: Sized) -> None:
    """Raise a Refusal for more elements than ItemsPerMessage allows."""
    if len(entries) > ITEMS:
        raise Refusal(ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION, f"at most {ITEMS} elements at once")
