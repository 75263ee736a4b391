"""Storage battery (0x027D) on the storage of a home: modes, methods, power and energy."""

from __future__ import annotations

from collections.abc import Collection

from emulators.battery.pack import Pack
from emulators.echonet.home import Home
from emulators.echonet.plant import HomePlant, device, identity
from emulators.site.storage import Storage
from protocols.echonet.classes import STORAGE_BATTERY
from protocols.echonet.objects import LocalObject
from protocols.echonet.values import Value

MODE, CHARGE_METHOD, DISCHARGE_METHOD, CHARGE_POWER, DISCHARGE_POWER = 0xDA, 0xC1, 0xC2, 0xEB, 0xEC
RESET_DISCHARGED, RESET_CHARGED = 0xD7, 0xD9
AUTO_SINCE = "D"  # release
RUNNING_W = 50.0  # less than this is standby
_CHARGING, _DISCHARGING = ("charging", "rapidCharging"), ("discharging",)


class StorageBattery(HomePlant):
    """The battery; a mode stays until it is changed."""

    def __init__(self, home: Home, storage: Storage, release: str = "R") -> None:
        pack, spec = storage.battery, storage.stage.spec
        assert isinstance(pack, Pack)  # its modules have no state of charge of their own
        self._storage, self._pack = storage, pack
        self._reset_charged_wh = self._reset_discharged_wh = 0.0
        charge: Value = {"minValue": round(spec.min_power_w), "maxValue": round(spec.max_charge_w)}
        discharge: Value = {"minValue": round(spec.min_power_w), "maxValue": round(spec.max_discharge_w)}
        stated: dict[int, Value] = {
            **identity(STORAGE_BATTERY, release, "STORAGE"),
            0xC8: charge,
            0xC9: discharge,
            0xDC: charge,
            0xDD: discharge,
            0xD0: round(pack.spec.usable_wh),
            0xD1: round(pack.spec.capacity_ah, 1),
            0xD2: round(pack.spec.nominal_v),
            RESET_DISCHARGED: "reset",
            RESET_CHARGED: "reset",
            0xDB: "reversePowerFlowNotAcceptable",
            0xE6: "lib",
        }
        mode = "auto" if release >= AUTO_SINCE else "standby"
        settings: dict[int, Value] = {
            MODE: mode, CHARGE_METHOD: "maximum", DISCHARGE_METHOD: "loadFollowing", 0xAA: "noSetting",
            0xAB: "noSetting", CHARGE_POWER: round(spec.max_charge_w), DISCHARGE_POWER: round(spec.max_discharge_w),
            0xE7: 0, 0xE8: 0,
        }  # fmt: skip
        meter = storage.stage.meter
        super().__init__(home, stated, settings, {
            0xA0: lambda now: self._energy(0, 100), 0xA1: lambda now: self._energy(0, 100),
            0xA2: lambda now: self._energy(storage.floor_pct, storage.ceiling_pct),
            0xA3: lambda now: self._energy(storage.floor_pct, storage.ceiling_pct),
            0xA4: lambda now: self._energy(pack.soc_pct, storage.ceiling_pct),
            0xA5: lambda now: self._energy(storage.floor_pct, pack.soc_pct),
            0xA8: lambda now: meter.true_charged_wh / 1000, 0xA9: lambda now: meter.true_discharged_wh / 1000,
            0xCF: self._actual, 0xD3: lambda now: round(storage.power_w(now)),
            0xD4: lambda now: storage.stage.reading(now).current_a, 0xD5: lambda now: round(pack.voltage_v),
            0xD6: lambda now: max(0.0, meter.true_discharged_wh - self._reset_discharged_wh) / 1000,
            0xD8: lambda now: max(0.0, meter.true_charged_wh - self._reset_charged_wh) / 1000,
            0xE2: lambda now: self._energy(0, pack.soc_pct), 0xE4: lambda now: round(pack.soc_pct),
            0xE5: lambda now: round(100 * pack.capacity_ah / pack.spec.capacity_ah),
        })  # fmt: skip

    def _energy(self, low_pct: float, high_pct: float) -> int:
        return max(0, round(self._pack.energy_between_wh(low_pct, high_pct))) if low_pct < high_pct else 0

    def _actual(self, now: float) -> str:
        power_w = self._storage.power_w(now)
        return "standby" if abs(power_w) < RUNNING_W else "charging" if power_w > 0 else "discharging"

    def read(self, epc: int, now: float) -> Value | None:
        """Return a value. An ordered power ends at the floor and the ceiling."""
        self.home.advance(now)
        if self._storage.policy == "idle":
            self._storage.command(self._storage.stage.setpoint_w, now)
        return super().read(epc, now)

    def write(self, epc: int, value: Value, now: float) -> bool:
        """Apply a setting; False for a mode that it does not have."""
        if epc == MODE and value not in ("auto", "standby", *_CHARGING, *_DISCHARGING):
            return False
        if epc in (RESET_DISCHARGED, RESET_CHARGED):
            meter = self._storage.stage.meter
            if epc == RESET_CHARGED:
                self._reset_charged_wh = meter.true_charged_wh
            else:
                self._reset_discharged_wh = meter.true_discharged_wh
            return True
        done = super().write(epc, value, now)
        self._apply(now)
        return done

    def _apply(self, now: float) -> None:
        """Run the storage by mode and method."""
        storage, mode, spec = self._storage, self.settings[MODE], self._storage.stage.spec
        charges, discharges = mode in _CHARGING, mode in _DISCHARGING
        method = self.settings[CHARGE_METHOD if charges else DISCHARGE_METHOD]
        follows = method in ("surplus", "loadFollowing")
        if mode == "auto" or ((charges or discharges) and follows):
            storage.policy = "self_consumption"
            return
        storage.policy = "idle"
        power_w = 0.0
        if charges or discharges:
            rated_w = spec.max_charge_w if charges else spec.max_discharge_w
            designated = self.settings[CHARGE_POWER if charges else DISCHARGE_POWER]
            wanted_w = float(designated) if method == "designatedPower" and isinstance(designated, int) else rated_w
            power_w = min(wanted_w, rated_w) * (1 if charges else -1)
        storage.command(power_w, now)


def storage_battery(
    home: Home,
    release: str = "R",
    *,
    get: Collection[int] | None = None,
    settable: Collection[int] | None = None,
) -> LocalObject:
    """Return the object of the storage of a home, which must have one."""
    assert home.storage is not None
    plant = StorageBattery(home, home.storage, release)
    home.storage.policy = "self_consumption" if release >= AUTO_SINCE else "idle"
    return device(STORAGE_BATTERY, plant, release, get=get, settable=settable)
