"""Outcomes of orders, read from each kind of response."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.csms.outcomes import of_status
from gateway.model.station import Answer, Outcome
from protocols.ocpp.events import Answered, Lost, Refused, Reply, TimedOut
from protocols.ocpp.schema import ErrorCode, Violation

INFO = {"reasonCode": "Busy", "additionalInfo": "not now"}


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (Answered({"status": "Accepted"}), Outcome(Answer.APPLIED)),
        (Answered({"status": "Accepted", "statusInfo": INFO}), Outcome(Answer.APPLIED)),
        (Answered({"status": "Rejected"}), Outcome(Answer.REFUSED, "Rejected", "")),
        (Answered({"status": "Rejected", "statusInfo": INFO}), Outcome(Answer.REFUSED, "Busy", "not now")),
        (Answered({"status": "Rejected", "statusInfo": {"reasonCode": "Busy"}}), Outcome(Answer.REFUSED, "Busy", "")),
        (Refused("NotSupported", "no", {"a": 1}), Outcome(Answer.REFUSED, "NotSupported", "no")),
        (TimedOut(), Outcome(Answer.UNKNOWN, "TimedOut", "the station did not respond")),
        (Lost(), Outcome(Answer.UNKNOWN, "Lost", "the station did not respond")),
    ],
)
def test_outcome_of_a_reply(reply: Reply, outcome: Outcome) -> None:
    assert of_status(reply) == outcome


@pytest.mark.parametrize("payload", [{"status": "Accepted"}, {}])
def test_an_invalid_response_is_no_acceptance(payload: dict[str, Any]) -> None:
    violation = Violation(ErrorCode.PROPERTY_CONSTRAINT_VIOLATION, "/status", "status: Perhaps")
    outcome = of_status(Answered(payload, violation))
    assert outcome == Outcome(Answer.UNKNOWN, "InvalidAnswer", "the station's response is not valid: status: Perhaps")
