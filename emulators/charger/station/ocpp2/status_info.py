"""StatusInfoType of responses."""

from __future__ import annotations

from protocols.ocpp.schema import Payload


def rejected(code: str, text: str = "") -> Payload:
    """Return a response with status Rejected and its reason."""
    info = {"reasonCode": code[:20]} | ({"additionalInfo": text[:500]} if text else {})
    return {"status": "Rejected", "statusInfo": info}
