"""Values of a wallbox as events of the gateway's model: connector, session, faults, limits and readings. Pure.

A session is the time from when a vehicle can get power until it is disconnected; a device that was silent in between
continues it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from gateway.drivers.modbus.control import RUNNING
from gateway.drivers.modbus.energy import EnergyIntegral
from gateway.drivers.modbus.soc import SocFilter
from gateway.model import event as model
from gateway.model.event import PlugState, PowerLimits
from protocols.modbus.register import DeviceState, Meaning
from protocols.modbus.register_map import Control, RegisterMap

Values = Mapping[Meaning, float | str]
WITH_SESSION = (DeviceState.READY, DeviceState.CHARGING, DeviceState.DISCHARGING)
_PLUGS = {DeviceState.UNAVAILABLE: PlugState.UNAVAILABLE, DeviceState.AVAILABLE: PlugState.AVAILABLE}
DEVICE_FAULT, SILENT, REPLUG = "VendorError", "CommunicationFault", "ReplugRequired"
NOT_BIDIRECTIONAL = "the register map of this product has no order for a discharge"


@dataclass(slots=True)
class WallboxSession:
    """One EVSE. `most_charge_w`, `most_discharge_w`: as configured, None: as the product states."""

    name: str
    product: RegisterMap
    most_charge_w: float | None = None
    most_discharge_w: float | None = None
    session: str | None = None
    control: Control | None = None
    _soc: SocFilter = field(init=False)
    _energy: EnergyIntegral = field(default_factory=EnergyIntegral)
    _counts: bool = field(init=False)  # the product has no energy registers: its power is integrated
    _plug: PlugState | None = None
    _faults: dict[str, str] = field(default_factory=dict)
    _described: model.EvseDescribed | None = None
    _needs: model.VehicleNeeds | None = None

    def __post_init__(self) -> None:
        self._soc = SocFilter(self.product.glitches)
        registers = (Meaning.ENERGY_CHARGED_WH, Meaning.ENERGY_DISCHARGED_WH)
        self._counts = not any(one.meaning in registers for one in self.product.registers)
        self.control = self.product.control[0] if self.product.control else None

    def connected(self, values: Values, at: float, wall: float) -> list[model.Event]:
        """Return the events of a device that answers, on a new connection."""
        self._plug = self._described = self._needs = None
        vendor = str(values.get(Meaning.MANUFACTURER, self.product.title or self.product.name))
        kind = str(values.get(Meaning.MODEL, self.product.name))
        found: list[model.Event] = [self._describe(values, at)]
        found.append(model.StationConnected(self.name, at, "modbus", vendor=vendor, model=kind))
        if self._faults.pop(SILENT, None) is not None:
            found.append(model.FaultCleared(self.name, at, SILENT))
        if self.session is not None:
            found.append(model.SessionStarted(self.name, at, self.session))
        return [*found, *self.read(values, at, wall)]

    def silent(self, reason: str, at: float) -> list[model.Event]:
        """Return the events of a device that does not answer any more."""
        self._faults[SILENT] = reason
        return [model.FaultRaised(self.name, at, SILENT, reason), model.StationLost(self.name, at, reason)]

    def announce(self, at: float) -> model.EvseDescribed:
        """Return the EVSE before its device has answered."""
        limits = PowerLimits(self.most_charge_w or 0.0)
        return model.EvseDescribed(self.name, self.name, at, limits, False, "the device has not answered yet")

    def read(self, values: Values, at: float, wall: float) -> list[model.Event]:
        """Return the events of one round of readings."""
        found: list[model.Event] = []
        described = self._describe(values, at)
        if self._described is None or replace(described, at=self._described.at) != self._described:
            found.append(described)
            self._described = described
        state = self._state(values)
        found += self._connector(state, at)
        found += self._raised(values, state, at)
        found += self._vehicle(values, state, at, wall)
        found.append(self._metered(values, state, at, wall))
        return found

    # parts

    def _state(self, values: Values) -> DeviceState:
        """Return the state, AVAILABLE where the product states that no vehicle is connected."""
        if values.get(Meaning.CONNECTED) == 0:
            return DeviceState.AVAILABLE
        stated = values.get(Meaning.STATE)
        return DeviceState(str(stated)) if stated is not None else DeviceState.UNAVAILABLE

    def _describe(self, values: Values, at: float) -> model.EvseDescribed:
        product, control = self.product, self.control
        charge_w = _least(_number(values, Meaning.MAX_CHARGE_W), product.max_charge_w, self.most_charge_w)
        stated_w = _number(values, Meaning.MAX_DISCHARGE_W)
        discharge_w = _least(stated_w, product.max_discharge_w, self.most_discharge_w)
        why_not = NOT_BIDIRECTIONAL if control is None or control.discharge == "never" else ""
        if control is not None and control.discharge == "running":
            why_not = "" if values.get(Meaning.STATE) == DeviceState.DISCHARGING else control.why_not
        least_w = control.least_w if control is not None else 0.0
        able = not why_not
        limits = PowerLimits(charge_w, discharge_w if able else 0.0, least_w, least_w if able else 0.0)
        return model.EvseDescribed(self.name, self.name, at, limits, able, why_not)

    def _connector(self, state: DeviceState, at: float) -> Iterator[model.Event]:
        plug = PlugState.FAULTED if state is DeviceState.FAULT else _PLUGS.get(state, PlugState.OCCUPIED)
        if plug is not self._plug:
            self._plug = plug
            yield model.PlugChanged(self.name, at, plug)

    def _raised(self, values: Values, state: DeviceState, at: float) -> Iterator[model.Event]:
        """Yield faults that appear and disappear."""
        faults = {code: text for code, text in self._faults.items() if code == SILENT}
        if Meaning.FAULT in values or state is DeviceState.FAULT:
            faults[DEVICE_FAULT] = str(values.get(Meaning.FAULT, "the device states a fault"))
        if values.get(Meaning.REPLUG, 0) != 0:
            faults[REPLUG] = "the vehicle must be connected anew"
        for code, text in faults.items():
            if self._faults.get(code) != text:
                yield model.FaultRaised(self.name, at, code, text)
        for code in self._faults.keys() - faults.keys():
            yield model.FaultCleared(self.name, at, code)
        self._faults = faults

    def _vehicle(self, values: Values, state: DeviceState, at: float, wall: float) -> Iterator[model.Event]:
        if state in (DeviceState.AVAILABLE, DeviceState.UNAVAILABLE):
            if self.session is not None:
                yield model.SessionEnded(self.name, at, self.session, "the vehicle was disconnected")
            self.session = self._needs = None
            self._soc.reset()
            return
        if self.session is None and state in WITH_SESSION:
            self.session = f"{self.name}-{wall:.0f}"
            yield model.SessionStarted(self.name, at, self.session)
        if self.session is not None and self._described is not None:
            needs = self._stated_needs(values, self._described)
            if needs != self._needs:
                self._needs = needs
                yield model.NeedsStated(self.name, at, needs)

    def _stated_needs(self, values: Values, described: model.EvseDescribed) -> model.VehicleNeeds:
        return model.VehicleNeeds(
            described.limits,
            bidirectional=described.can_discharge,
            energy_transfer="DC_BPT" if described.can_discharge else "DC",
            control_mode="dynamic",
            battery_capacity_wh=_number(values, Meaning.CAPACITY_WH),
        )

    def _metered(self, values: Values, state: DeviceState, at: float, wall: float) -> model.Metered:
        power_w, energy = _number(values, Meaning.POWER_W), self._energy
        energy.add(power_w, at)
        counts = self._counts
        return model.Metered(
            self.name,
            at,
            wall=wall,
            power_w=power_w,
            energy_charged_wh=energy.charged_wh if counts else _number(values, Meaning.ENERGY_CHARGED_WH),
            energy_discharged_wh=energy.discharged_wh if counts else _number(values, Meaning.ENERGY_DISCHARGED_WH),
            soc_pct=self._soc.read(_number(values, Meaning.SOC_PCT), state in RUNNING),
            voltage_v=_number(values, Meaning.VOLTAGE_V),
            current_a=_number(values, Meaning.CURRENT_A),
            frequency_hz=_number(values, Meaning.FREQUENCY_HZ),
        )


def _number(values: Values, meaning: Meaning) -> float | None:
    value = values.get(meaning)
    return value if isinstance(value, float) else None


def _least(*values: float | None) -> float:
    """Return the smallest of what is stated, 0 W where nothing is."""
    return min((one for one in values if one is not None), default=0.0)
