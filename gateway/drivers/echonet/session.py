"""Values of a V2H box as events of the gateway's model. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.drivers.device_session import DeviceSession, Values, least
from gateway.drivers.echonet.orders import (
    ACTUAL_MODE,
    CHARGE_LIMITS,
    DISCHARGE_LIMITS,
    MODE,
    charge_way,
    discharge_way,
    limits_w,
)
from gateway.drivers.echonet.reader import ObjectReader
from gateway.model import event as model
from gateway.model.event import FailSafe, PowerLimits
from protocols.modbus.register import DeviceState, Meaning

CONTINUES = FailSafe("The box has no time-out of orders: power continues until a person or another controller ends it.")
RUNNING_W = 50.0  # less than this is rest
_STATES = {"charge": DeviceState.CHARGING, "discharge": DeviceState.DISCHARGING}
_CONNECTIONS = {
    "notConnected": DeviceState.AVAILABLE,
    "chargeable": DeviceState.READY,
    "dischargeable": DeviceState.READY,
    "chargeableDischargeable": DeviceState.READY,
}
_NUMBERS = {
    Meaning.POWER_W: (0xD3, 1.0),
    Meaning.VOLTAGE_V: (0xD5, 1.0),
    Meaning.CURRENT_A: (0xD4, 1.0),
    Meaning.ENERGY_DISCHARGED_WH: (0xD6, 1000.0),
    Meaning.ENERGY_CHARGED_WH: (0xD8, 1000.0),
    Meaning.SOC_PCT: (0xE4, 1.0),
}


class BoxSession(DeviceSession):
    """One EVSE. `most_charge_w`, `most_discharge_w`: as configured, None: as the box states."""

    protocol = "echonet-lite"

    def __init__(
        self, name: str, title: str, most_charge_w: float | None = None, most_discharge_w: float | None = None
    ) -> None:
        super().__init__(name, most_charge_w, most_discharge_w)
        self._title = title
        self._box: ObjectReader | None = None
        self._vehicle_id = ""

    def use(self, box: ObjectReader) -> None:
        """Use the readings of another connection."""
        self._box, self._counts = box, not (box.has(0xD6) and box.has(0xD8))

    def values(self) -> Values:
        """Return the values read last, by their meaning."""
        box = self._reader
        found: dict[Meaning, float | str] = {Meaning.STATE: _state(box)}
        for meaning, (epc, factor) in _NUMBERS.items():
            if (value := box.number(epc)) is not None:
                found[meaning] = value * factor
        if Meaning.POWER_W not in found and {Meaning.VOLTAGE_V, Meaning.CURRENT_A} <= found.keys():
            found[Meaning.POWER_W] = float(found[Meaning.VOLTAGE_V]) * float(found[Meaning.CURRENT_A])
        if capacity_wh := box.number(0xD0) or box.number(0xC0):
            found[Meaning.CAPACITY_WH] = capacity_wh
        if box.values.get(0x88) is True:
            found[Meaning.FAULT] = str(box.values.get(0x89, "the box states a fault"))
        for meaning, epc in ((Meaning.MANUFACTURER, 0x8A), (Meaning.MODEL, 0x8C)):
            if isinstance(stated := box.values.get(epc), bytes):
                found[meaning] = stated.hex() if meaning is Meaning.MANUFACTURER else _printable(stated)
        return found

    @property
    def _reader(self) -> ObjectReader:
        assert self._box is not None, "no connection has begun"
        return self._box

    def _identity(self, values: Values) -> tuple[str, str]:
        return str(values.get(Meaning.MANUFACTURER, "")), str(values.get(Meaning.MODEL) or self._title)

    def _describe(self, values: Values, at: float) -> model.EvseDescribed:
        box = self._reader
        charge, discharge, connection = charge_way(box), discharge_way(box), box.values.get(0xC7)
        least_charge_w, most_w = limits_w(box, CHARGE_LIMITS, 0xC5)
        charge_w = 0.0 if charge.why_not or connection == "dischargeable" else least(most_w, self.most_charge_w)
        least_discharge_w, most_w = limits_w(box, DISCHARGE_LIMITS, 0xC6)
        discharge_w = least(most_w, self.most_discharge_w)
        why_not = discharge.why_not
        if not why_not and connection == "chargeable":
            why_not = "the vehicle can only be charged here, as the box states (property C7)"
        if not why_not and discharge_w <= 0:
            why_not = "the box states no discharging power (properties C9 and C6), or none is configured"
        limits = PowerLimits(
            charge_w,
            0.0 if why_not else discharge_w,
            charge_w if charge.fixed else least_charge_w or 0.0,
            0.0 if why_not else least_discharge_w or 0.0,
        )
        return model.EvseDescribed(self.name, self.name, at, limits, not why_not, why_not, CONTINUES)

    def _vehicle(self, values: Values, state: DeviceState, at: float, wall: float) -> Iterator[model.Event]:
        yield from super()._vehicle(values, state, at, wall)
        stated = self._reader.values.get(0xE6)
        vehicle = _printable(stated.get("id")) if isinstance(stated, Mapping) else ""
        if self.session is None:
            self._vehicle_id = ""
        elif vehicle and vehicle != self._vehicle_id:
            self._vehicle_id = vehicle
            yield model.VehicleIdentified(self.name, at, vehicle)


def _state(box: ObjectReader) -> DeviceState:
    if box.values.get(0x88) is True:
        return DeviceState.FAULT
    stated = _CONNECTIONS.get(str(box.values.get(0xC7)), DeviceState.OCCUPIED)
    if stated is not DeviceState.READY:
        return stated
    power_w = box.number(0xD3) or 0.0
    if box.has(ACTUAL_MODE):
        return _STATES.get(str(box.values.get(ACTUAL_MODE)), DeviceState.READY)
    if abs(power_w) < RUNNING_W or box.values.get(MODE) == "standby":
        return DeviceState.READY
    return DeviceState.CHARGING if power_w > 0 else DeviceState.DISCHARGING


def _printable(data: object) -> str:
    """Return bytes as text, hexadecimal where they are none."""
    if not isinstance(data, bytes):
        return ""
    text = data.rstrip(b"\0 ").decode("ascii", "replace")
    return text if text.isprintable() and "\ufffd" not in text else data.hex()
