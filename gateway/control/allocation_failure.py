"""Why a station or vehicle did not do what a command was granted."""

from __future__ import annotations

from gateway.control.control_state import Allocation, Stage
from gateway.model.reason import Code, Reason, because


def not_achieved(allocation: Allocation) -> Reason:
    """Return why it was not achieved in time: a limit, no confirmation, no reading, or another power measured."""
    if allocation.limited is not None:
        return allocation.limited
    if allocation.stage is Stage.GRANTED:
        return because(Code.STATION_SILENT, "The station has not confirmed the set-point.")
    confirmed_w = allocation.confirmed_w or 0.0
    shown_w = allocation.measured_w if allocation.measured_w is not None else allocation.mismatch_w
    if shown_w is None:
        return because(Code.METER_SILENT, f"No meter value came since the station confirmed {confirmed_w:.0f} W.")
    text = f"The meter shows {shown_w:.0f} W, and the station had confirmed {confirmed_w:.0f} W."
    return because(Code.NOT_SEEN_ON_METER, text)
