"""V2H box as object 0x027E: operation modes, methods, limits and energy, on the converter and battery of the emulators.

Without a vehicle it has no values of one, and refuses to charge and discharge. It has no time-out of orders: a mode
stays until it is changed, as in real boxes.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from emulators.battery.pack import Battery, Pack
from emulators.charger.echonet.chademo_link import ChademoLink
from emulators.charger.hardware.power_stage import PowerStage, StageSpec
from protocols.echonet.classes import EV_CHARGER_DISCHARGER, object_class
from protocols.echonet.frames import Eoj
from protocols.echonet.objects import LocalObject, version
from protocols.echonet.values import Value
from protocols.quantities import clamp

BOX_EOJ = Eoj(0x02, 0x7E)
MODE, METHOD_CHARGE, METHOD_DISCHARGE, PURCHASE, PERMISSION, SIGNED_POWER = 0xDA, 0xDC, 0xDD, 0xDE, 0xDF, 0xE0
TARGET_CHARGE, TARGET_CHARGE_AH, TARGET_DISCHARGE = 0xE7, 0xE9, 0xEA
CHARGE_POWER, DISCHARGE_POWER, CHARGE_CURRENT, DISCHARGE_CURRENT = 0xEB, 0xEC, 0xED, 0xEE
_TARGETS_OF_CHARGE = {TARGET_CHARGE: TARGET_CHARGE_AH, TARGET_CHARGE_AH: TARGET_CHARGE}
NO_TARGET = 0
RUNNING_W = 50.0  # less than this is standby
ISLAND_V = 100
_CHARGING = ("charge", "chargingDischarging", "automatic")
_DISCHARGING = ("discharge", "chargingDischarging", "automatic")


@dataclass(slots=True)
class Ratings:
    """Product of a box: what it states about itself."""

    maker: bytes = b"\xff\xff\xff"
    product: str = "V2H BOX"
    release: str = "R"
    min_power_w: int = 200
    omitted: Collection[int] = ()  # properties that the product lacks


def default_settings() -> dict[int, Value]:
    """Return the settings of a box at its first start."""
    return {
        MODE: "standby", METHOD_CHARGE: "maximumChargingElectricPower", METHOD_DISCHARGE: "loadFollowing", PURCHASE: 0,
        PERMISSION: "permitted", SIGNED_POWER: 0, TARGET_CHARGE: NO_TARGET, TARGET_CHARGE_AH: 0.0,
        TARGET_DISCHARGE: NO_TARGET, CHARGE_POWER: 3000, DISCHARGE_POWER: 3000, CHARGE_CURRENT: 10.0,
        DISCHARGE_CURRENT: 10.0, 0x81: b"\x00",
    }  # fmt: skip


@dataclass(slots=True)
class V2hBox:
    """One box. `house_w` is the power of the house without the box, + from the grid."""

    ratings: Ratings = field(default_factory=Ratings)
    stage: PowerStage = field(
        default_factory=lambda: PowerStage(StageSpec(max_charge_w=6000.0, max_discharge_w=6000.0, forming=True))
    )
    house_w: float = 0.0
    settings: dict[int, Value] = field(default_factory=default_settings)
    vehicle_id: bytes = b"EMULATED-1"
    fault: bool = False
    in_site: bool = False  # the model of the site computes the power of an island
    _grid: bool = True
    _pack: Pack | None = None
    _link: ChademoLink | None = None
    _islanded: bool = False
    _charged_from_wh: float = 0.0  # meter readings at the last order
    _discharged_from_wh: float = 0.0
    _reset_charged_wh: float = 0.0  # meter readings at the last reset of a total
    _reset_discharged_wh: float = 0.0

    # environment

    def connect(self, pack: Pack, now: float, link: Battery | None = None) -> None:
        """Connect a vehicle, over a link such as `ChademoLink`, or its battery itself."""
        self._pack = pack
        self._link = link if isinstance(link, ChademoLink) else None
        self.stage.connect(link or pack)
        self.stage.close(now)

    def disconnect(self, now: float) -> None:
        """Disconnect the vehicle, which ends the mode."""
        self.advance(now)
        self._pack = self._link = None
        self.stage.disconnect()
        self.settings[MODE] = "standby"

    def set_grid(self, present: bool, now: float) -> None:
        """Lose or restore the grid. The box stays independent until re-connection is permitted."""
        if present is self._grid:
            return
        self.advance(now)
        self._grid = present
        if not self.in_site:
            self.stage.grid_present = present
        if not present:
            self._islanded = True
        self.advance(now)

    def advance(self, now: float) -> None:
        """Run the converter up to now with the present settings."""
        self.stage.advance(now)
        if self._islanded and self._grid and self.settings[PERMISSION] == "permitted":
            self._islanded = False
        if self._target_reached():
            self.settings[MODE] = "standby"
        if self.settings[MODE] == "preparation" and self._link is not None:
            self._link.prepare()
        supplies = self._islanded and self.settings[MODE] in _DISCHARGING and self._pack is not None
        if self.in_site:
            self.stage.grid_forming_ordered = supplies
        else:
            self.stage.form(-max(0.0, self.house_w) if supplies else None, now)
        self.stage.set_point(0.0 if self._islanded else self._ordered_w(), now)

    # plant of the object

    def read(self, epc: int, now: float) -> Value | None:
        """Return the value of a property, None if there is none at present."""
        self.advance(now)
        if epc in self.settings:
            return self.settings[epc]
        fixed = self._stated(epc)
        if fixed is not None:
            return fixed
        measured = self._measured(epc, now)
        return measured if measured is not None else self._of_vehicle(epc)

    def write(self, epc: int, value: Value, now: float) -> bool:
        """Apply an order; False where the vehicle or the fault does not permit it."""
        self.advance(now)
        if epc == MODE:
            if not self._may_enter(value):
                return False
            self._charged_from_wh = self.stage.meter.true_charged_wh
            self._discharged_from_wh = self.stage.meter.true_discharged_wh
        if epc in self.settings:
            self.settings[epc] = value
            if epc in _TARGETS_OF_CHARGE:  # the later one counts
                self.settings[_TARGETS_OF_CHARGE[epc]] = NO_TARGET
        elif epc == 0xD7:
            self._reset_discharged_wh = self.stage.meter.true_discharged_wh
        elif epc == 0xD9:
            self._reset_charged_wh = self.stage.meter.true_charged_wh
        elif epc != 0xCD:
            return False
        self.advance(now)
        return True

    def _may_enter(self, mode: Value) -> bool:
        """Return whether the box can enter a mode. What it cannot do at all is refused."""
        if mode in ("standby", "idle"):
            return True
        return mode in (*_CHARGING, *_DISCHARGING, "preparation") and self._pack is not None and not self.fault

    # values

    def _stated(self, epc: int) -> Value | None:
        spec, product = self.stage.spec, self.ratings
        current_a = spec.max_current_a
        stated: dict[int, Value] = {
            0x80: True,
            0x82: version(product.release),
            0x88: self.fault,
            0x89: "controlCircuitBoard" if self.fault else "noFault",
            0x8A: product.maker,
            0x8C: product.product.encode("ascii")[:12].ljust(12, b"\0"),
            0xC5: round(spec.max_charge_w),
            0xC6: round(spec.max_discharge_w),
            0xC8: {"minimumElectricPower": product.min_power_w, "maximumElectricPower": round(spec.max_charge_w)},
            0xC9: {"minimumElectricPower": product.min_power_w, "maximumElectricPower": round(spec.max_discharge_w)},
            0xCA: {"minimumCurrent": 1.0, "maximumCurrent": current_a},
            0xCB: {"minimumCurrent": 1.0, "maximumCurrent": current_a},
            0xCC: "dc_aa_chargedischarge",
            0xCD: "confirmation",
            0xD7: "reset",
            0xD9: "reset",
            0xE5: "notNecessary",
            0xEF: ISLAND_V,
        }
        return stated.get(epc)

    def _measured(self, epc: int, now: float) -> Value | None:
        reading, meter = self.stage.reading(now), self.stage.meter
        match epc:
            case 0xC7:
                return "notConnected" if self._pack is None else "chargeableDischargeable"
            case 0xD3:
                return round(reading.ac_power_w)
            case 0xD4:
                return reading.current_a
            case 0xD5:
                return round(reading.voltage_v)
            case 0xD6:
                return (meter.true_discharged_wh - self._reset_discharged_wh) / 1000
            case 0xD8:
                return (meter.true_charged_wh - self._reset_charged_wh) / 1000
            case 0xDB:
                return "independent" if self._islanded else "reversePowerFlowNotAcceptable"
            case 0xE1:
                return self._actual_mode(reading.ac_power_w)
        return None

    def _actual_mode(self, power_w: float) -> str:
        if abs(power_w) >= RUNNING_W:
            return "charge" if power_w > 0 else "discharge"
        mode = self.settings[MODE]
        return str(mode) if mode in ("idle", "preparation") else "standby"

    def _of_vehicle(self, epc: int) -> Value | None:
        pack = self._pack
        if pack is None:
            return None
        whole = pack.energy_between_wh(0, 100)
        left = pack.energy_between_wh(0, pack.soc_pct)
        match epc:
            case 0xC0 | 0xCE | 0xD0:
                return round(whole)
            case 0xC2 | 0xE2:
                return max(0, round(left))
            case 0xC4 | 0xE4:
                return round(pack.soc_pct)
            case 0xCF:
                return max(0, round(whole - left))
            case 0xD2:
                return round(pack.spec.nominal_v)
            case 0xC1 | 0xD1:
                return round(whole / pack.spec.nominal_v, 1)
            case 0xC3 | 0xE3:
                return round(max(0.0, left) / pack.spec.nominal_v, 1)
            case 0xE6:
                return {"dataSize": len(self.vehicle_id), "id": self.vehicle_id}
        return None

    # power

    def _number(self, epc: int) -> float:
        value = self.settings[epc]
        return float(value) if isinstance(value, int | float) else 0.0

    def _ordered_w(self) -> float:
        """Return the power that mode and method order, + into the vehicle."""
        mode, spec = self.settings[MODE], self.stage.spec
        if self._pack is None or self.fault:
            return 0.0
        if mode == "chargingDischarging" and "v2G" in (self.settings[METHOD_CHARGE], self.settings[METHOD_DISCHARGE]):
            return clamp(self._number(SIGNED_POWER), -spec.max_discharge_w, spec.max_charge_w)
        if mode == "automatic":  # follows the house in both directions
            return clamp(-self.house_w, -spec.max_discharge_w, spec.max_charge_w)
        discharge_w = self._discharge_w() if mode in _DISCHARGING else 0.0
        charge_w = self._charge_w() if mode in _CHARGING and not discharge_w else 0.0
        return clamp(charge_w - discharge_w, -spec.max_discharge_w, spec.max_charge_w)

    def _charge_w(self) -> float:
        match self.settings[METHOD_CHARGE]:
            case "maximumChargingElectricPower":
                return self.stage.spec.max_charge_w
            case "surplusElectricPower":
                return max(0.0, -self.house_w)
            case "designatedElectricPower":
                return self._number(CHARGE_POWER)
            case "designatedElectricCurrent":
                return self._number(CHARGE_CURRENT) * self.stage.voltage_v
            case "designatedPurchasingElectricPower":
                return max(0.0, self._number(PURCHASE) - self.house_w)
            case "v2G":
                return max(0.0, self._number(SIGNED_POWER))
        return 0.0

    def _discharge_w(self) -> float:
        match self.settings[METHOD_DISCHARGE]:
            case "maximumDischargingElectricPower":
                return self.stage.spec.max_discharge_w
            case "loadFollowing":
                return max(0.0, self.house_w)
            case "designatedElectricPower":
                return self._number(DISCHARGE_POWER)
            case "designatedElectricCurrent":
                return self._number(DISCHARGE_CURRENT) * self.stage.voltage_v
            case "designatedPurchasingElectricPower":
                return max(0.0, self.house_w - self._number(PURCHASE))
            case "v2G":
                return max(0.0, -self._number(SIGNED_POWER))
        return 0.0

    def _target_reached(self) -> bool:
        """Return whether the energy set for the present mode has been charged or discharged."""
        mode, meter = self.settings[MODE], self.stage.meter
        nominal_v = 0.0 if self._pack is None else self._pack.spec.nominal_v
        target = self._number(TARGET_CHARGE) or self._number(TARGET_CHARGE_AH) * nominal_v
        if mode == "charge" and target:
            return meter.true_charged_wh - self._charged_from_wh >= target
        if mode == "discharge" and (target := self._number(TARGET_DISCHARGE)):
            return meter.true_discharged_wh - self._discharged_from_wh >= target
        return False


_SUPPORTED = frozenset({*default_settings(), 0x80, 0x82, 0x88, 0x89, 0x8A, 0x8C, *range(0xC0, 0xDC)}) | {
    *range(0xE1, 0xE7),
    0xEF,
}


def box_object(box: V2hBox) -> LocalObject:
    """Return the object of a box, with the properties that its release has."""
    declared = object_class(EV_CHARGER_DISCHARGER).properties(box.ratings.release)
    epcs = (_SUPPORTED & set(declared)) - set(box.ratings.omitted)
    return LocalObject(BOX_EOJ, box, epcs, release=box.ratings.release)
