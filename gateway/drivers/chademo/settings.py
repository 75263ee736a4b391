"""Settings of one CHAdeMO EVSE whose sessions the gateway hosts, as plain values; `gateway/config` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.drivers.board.ports import Capability
from protocols.chademo.charger_session import ChargerSettings

TEST_V = 500  # of the insulation test, where the output can generate it
MOST_A = 0xFF  # that 108.3 and 208.3 can state


@dataclass(frozen=True, slots=True)
class ChademoEvseSettings:
    """One EVSE. Powers are magnitudes, below those of the board.

    `can`: `can0`, `vcan0`, `udp:GROUP` or `memory:NAME`. `v2h`: sequence number of 0x209; None: charging only.
    """

    id: str
    board: str
    can: str
    board_settings: Mapping[str, object] = field(default_factory=dict)
    protocol: int = 2
    v2h: int | None = 2
    keep_alive_s: float | None = 60.0
    strict: bool = False
    max_charge_w: float | None = None
    max_discharge_w: float | None = None

    @property
    def bidirectional(self) -> bool:
        """True if a vehicle may be discharged."""
        return self.v2h is not None


def charger_settings(evse: ChademoEvseSettings, capability: Capability) -> ChargerSettings:
    """Return the settings of the protocol engine with the limits of the hardware."""
    charge, discharge = capability.charge, capability.discharge
    most_v = int(charge.max_voltage_v)
    v2h = evse.v2h is not None and discharge is not None
    return ChargerSettings(
        protocol=evse.protocol,
        v2h=v2h,
        sequence=evse.v2h or 0,
        max_voltage_v=most_v,
        min_voltage_v=int(charge.min_voltage_v),
        max_charge_a=min(MOST_A, int(charge.max_current_a)),
        max_discharge_a=min(MOST_A, int(discharge.max_current_a)) if discharge is not None and v2h else 0,
        input_voltage_v=most_v,
        test_voltage_v=min(TEST_V, most_v),
        keep_alive=evse.keep_alive_s,
        strict=evse.strict,
    )
