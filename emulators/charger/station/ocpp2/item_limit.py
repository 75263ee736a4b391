"""Limit of the number of elements in one request (ItemsPerMessage)."""

from __future__ import annotations

from collections.abc import Sized

from emulators.charger.station.device_model.variables import ITEMS
from protocols.ocpp.rpc import Refusal
from protocols.ocpp.schema import ErrorCode


def check_items(entries: Sized) -> None:
    """Raise a Refusal for more elements than ItemsPerMessage allows."""
    if len(entries) > ITEMS:
        raise Refusal(ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION, f"at most {ITEMS} elements at once")
