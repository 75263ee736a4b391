"""States of the control pilot (IEC 61851-1) as the engines use them.

The circuit is the host's. It reports the state to the SECC (`orders.ControlPilot`; without a report nothing is checked)
and sets the state that the EVCC requests (`PilotRequested`). Source: V2G2-847 (state C or D within 0.25 s of
PowerDeliveryReq(Start)), V2G2-848 (state B within 0.25 s of the response to Stop), V2G-DC-547 (detection by the SECC).
"""

from __future__ import annotations

from typing import TypeAlias

from protocols.iec61851 import ENERGY, PilotState

Pilot: TypeAlias = PilotState
POWER = ENERGY
UNPLUGGED = frozenset({Pilot.A, Pilot.E})
SECC_WITHIN = 1.5  # s, SECC: detection of the change
SECC_WITHIN_RELAXED = 3.0
