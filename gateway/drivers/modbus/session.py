"""Values of a wallbox over Modbus as events of the gateway's model. Pure."""

from __future__ import annotations

from gateway.drivers.device_session import DeviceSession, Values, least, number
from gateway.model import event as model
from gateway.model.event import FailSafe, PowerLimits
from protocols.modbus.register import DeviceState, Meaning
from protocols.modbus.register_map import Control, RegisterMap

CONTINUES = FailSafe("The device has no silence time-out: power continues until it is ended at the device.")
NOT_BIDIRECTIONAL = "the register map of this product has no order for a discharge"


class WallboxSession(DeviceSession):
    """One EVSE. `most_charge_w`, `most_discharge_w`: as configured, None: as the product states."""

    protocol = "modbus"

    def __init__(
        self,
        name: str,
        product: RegisterMap,
        most_charge_w: float | None = None,
        most_discharge_w: float | None = None,
    ) -> None:
        registers = (Meaning.ENERGY_CHARGED_WH, Meaning.ENERGY_DISCHARGED_WH)
        counts = not any(one.meaning in registers for one in product.registers)
        super().__init__(name, most_charge_w, most_discharge_w, glitches=product.glitches, counts=counts)
        self.product = product
        self.control: Control | None = product.control[0] if product.control else None

    def _identity(self, values: Values) -> tuple[str, str]:
        product = self.product
        vendor = str(values.get(Meaning.MANUFACTURER, product.title or product.name))
        return vendor, str(values.get(Meaning.MODEL, product.name))

    def _describe(self, values: Values, at: float) -> model.EvseDescribed:
        product, control = self.product, self.control
        charge_w = least(number(values, Meaning.MAX_CHARGE_W), product.max_charge_w, self.most_charge_w)
        stated_w = number(values, Meaning.MAX_DISCHARGE_W)
        discharge_w = least(stated_w, product.max_discharge_w, self.most_discharge_w)
        why_not = NOT_BIDIRECTIONAL if control is None or control.discharge == "never" else ""
        if control is not None and control.discharge == "running":
            why_not = "" if values.get(Meaning.STATE) == DeviceState.DISCHARGING else control.why_not
        least_w = control.least_w if control is not None else 0.0
        able = not why_not
        limits = PowerLimits(charge_w, discharge_w if able else 0.0, least_w, least_w if able else 0.0)
        return model.EvseDescribed(self.name, self.name, at, limits, able, why_not, self._fail_safe())

    def _fail_safe(self) -> FailSafe:
        watchdog = self.product.watchdog
        if watchdog is None:
            return CONTINUES
        return FailSafe("The device ends its power by its silence time-out.", float(watchdog.most_s), expires=True)
