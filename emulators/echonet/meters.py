"""Meters of a home: distribution board (0x0287), smart meter (0x0288) and multiple-input PCS (0x02A5).

Power and energy are + from the grid. Channels of the board: one for each load (simplex), and box, storage and PV
(duplex), whose power is + towards the device.
"""

from __future__ import annotations

from emulators.charger.echonet.box import BOX_EOJ
from emulators.echonet.home import HALF_HOUR_S, Home, Registers
from emulators.echonet.plant import HomePlant, device, eoj_of, identity, local_time
from protocols.echonet.classes import DISTRIBUTION_BOARD, MULTIPLE_INPUT_PCS, SMART_METER, SOLAR, STORAGE_BATTERY
from protocols.echonet.objects import LocalObject
from protocols.echonet.values import Value

PHASE_V = 100.0  # of each phase of the single-phase three-wire supply of 200 V
BOARD_UNIT_KWH, METER_UNIT_KWH = 0.001, 0.1
NO_DATA = "noData"
SIMPLEX_RANGE, DUPLEX_RANGE, DAY = 0xB6, 0xBD, 0xE5


def _phases(power_w: float) -> dict[str, Value]:
    """Return the currents of a power that both phases share."""
    current_a = round(power_w / (2 * PHASE_V), 1)
    return {"rPhase": current_a, "tPhase": current_a}


class DistributionBoard(HomePlant):
    """Board with a total and channels."""

    def __init__(self, home: Home, release: str = "R") -> None:
        everything: dict[str, Value] = {"startChannel": 1, "range": 60}
        stated: dict[int, Value] = {
            **identity(DISTRIBUTION_BOARD, release, "BOARD"),
            0xB0: 60,
            0xB1: len(home.loads.tiers),
            0xB8: 3,
            0xC2: BOARD_UNIT_KWH,
            0xC8: {"rS": PHASE_V, "sT": PHASE_V},
        }
        super().__init__(home, stated, {SIMPLEX_RANGE: everything, DUPLEX_RANGE: everything}, {
            0xB7: lambda now: self._list(SIMPLEX_RANGE, [tier.demand_w for tier in home.loads.tiers]),
            0xBE: lambda now: self._list(DUPLEX_RANGE, self._devices(now)),
            0xC0: lambda now: round(home.site.import_wh), 0xC1: lambda now: round(home.site.export_wh),
            0xC6: lambda now: round(home.advance(now).grid_w), 0xC7: lambda now: _phases(home.advance(now).grid_w),
        })  # fmt: skip

    def _devices(self, now: float) -> list[float]:
        balance = self.home.advance(now)
        return [balance.cars_w, balance.storage_w, -balance.pv_w]

    def _list(self, chosen: int, powers: list[float]) -> Value:
        """Return the channels that were chosen; those that do not exist have no data."""
        wanted = self.settings[chosen]
        assert isinstance(wanted, dict)
        first, count = wanted["startChannel"], wanted["range"]
        if not isinstance(first, int) or not isinstance(count, int):
            return {"startChannel": first, "range": count, "instantaneousElectricPower": ()}
        values = {number: round(power_w) for number, power_w in enumerate(powers, 1)}
        listed = tuple(values.get(number, NO_DATA) for number in range(first, min(first + count, len(powers) + 1)))
        return {"startChannel": first, "range": max(1, len(listed)), "instantaneousElectricPower": listed}


class SmartMeter(HomePlant):
    """Meter of the grid connection, with half-hour registers."""

    def __init__(self, home: Home, release: str = "Q") -> None:
        stated: dict[int, Value] = {
            **identity(SMART_METER, release, "METER"),
            0xD3: 1,
            0xD7: 6,
            0xE1: METER_UNIT_KWH,
        }
        super().__init__(home, stated, {DAY: 0}, {
            0xE0: lambda now: _units(home.site.import_wh), 0xE3: lambda now: _units(home.site.export_wh),
            0xE2: lambda now: self._history(now, exported=False), 0xE4: lambda now: self._history(now, exported=True),
            0xE7: lambda now: round(home.advance(now).grid_w), 0xE8: lambda now: _phases(home.advance(now).grid_w),
            0xEA: lambda now: self._fixed(exported=False), 0xEB: lambda now: self._fixed(exported=True),
        })  # fmt: skip

    def _fixed(self, *, exported: bool) -> Value | None:
        if not self.home.registers:
            return None
        last = self.home.registers[-1]
        at = local_time(self.home, last.at)
        return {"dateAndTime": f"{at:%Y-%m-%dT%H:%M:%S}", "electricEnergy": _register(last, exported)}

    def _history(self, now: float, *, exported: bool) -> Value:
        """Return the registers of the chosen day at each half hour."""
        day = self.settings[DAY]
        if not isinstance(day, int):
            return {"day": "defaultValue", "electricEnergy": (NO_DATA,) * 48}
        offset_s = self.home.utc_offset_s
        midnight = (self.home.wall(now) + offset_s) // 86_400 * 86_400 - offset_s - day * 86_400
        found = {one.at: one for one in self.home.registers}
        marks = [found.get(midnight + number * HALF_HOUR_S) for number in range(48)]
        return {
            "day": day,
            "electricEnergy": tuple(NO_DATA if one is None else _register(one, exported) for one in marks),
        }


def _register(one: Registers, exported: bool) -> int:
    return _units(one.export_wh if exported else one.import_wh)


def _units(energy_wh: float) -> int:
    return round(energy_wh / 1000 / METER_UNIT_KWH)


class MultipleInputPcs(HomePlant):
    """Converter that box, storage and PV of the home share."""

    def __init__(self, home: Home, release: str = "R") -> None:
        inputs = [BOX_EOJ]
        if home.storage is not None:
            inputs.append(eoj_of(STORAGE_BATTERY))
        if home.pv is not None:
            inputs.append(eoj_of(SOLAR))
        packed = tuple(one.pack() for one in inputs)
        stated: dict[int, Value] = {
            **identity(MULTIPLE_INPUT_PCS, release, "PCS"),
            0xD0: "reversePowerFlowAcceptable",
            0xE8: {"numberOfConnectedDeviceObjects": len(packed), "connectedDeviceObjectList": packed},
        }
        super().__init__(home, stated, {}, {
            0xE0: lambda now: round(home.drawn_wh / 1000, 3), 0xE3: lambda now: round(home.fed_wh / 1000, 3),
            0xE7: lambda now: round(home.devices_w(now)),
        })  # fmt: skip


def board(home: Home, release: str = "R") -> LocalObject:
    """Return the distribution board of a home."""
    return device(DISTRIBUTION_BOARD, DistributionBoard(home, release), release)


def smart_meter(home: Home, release: str = "Q") -> LocalObject:
    """Return the smart meter of a home."""
    return device(SMART_METER, SmartMeter(home, release), release)


def multiple_input_pcs(home: Home, release: str = "R") -> LocalObject:
    """Return the multiple-input PCS of a home."""
    return device(MULTIPLE_INPUT_PCS, MultipleInputPcs(home, release), release)
