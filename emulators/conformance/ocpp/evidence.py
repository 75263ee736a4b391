"""Evidence of OCPP cases: messages as the report shows them, and the power in meter values for the plot."""

from __future__ import annotations

from collections.abc import Callable, Collection

from emulators.conformance.evidence import Evidence
from emulators.conformance.ocpp import meter
from emulators.conformance.ocpp.peer import Kind, Message

_NAMES = {Kind.RESULT: "response", Kind.ERROR: "error", Kind.RESULT_ERROR: "response error", Kind.OTHER: "not OCPP"}


def recorder(evidence: Evidence, secrets: Collection[str] = ()) -> Callable[[Message], None]:
    """Return a function that adds messages to the evidence of a case, without the secrets that are known meanwhile."""

    def record(message: Message) -> None:
        name = " ".join(part for part in (message.action, _NAMES.get(message.kind, "")) if part)
        add = evidence.received if message.from_device else evidence.sent
        text = message.text
        for secret in secrets:
            text = text.replace(secret, "(password)")
        add(name or "message", text)
        found = meter.in_payload(message.action, message.payload) if message.kind is Kind.CALL else None
        if found is not None:
            evidence.sample(**{f"EVSE {found[0] or 1}, W": found[1]})

    return record
