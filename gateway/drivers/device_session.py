"""Values of a device as events of the gateway's model: connector, session, faults, limits and readings. Pure.

A session is the time from when a vehicle can get power until it is disconnected; a device that was silent in between
continues it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace

from gateway.drivers.modbus.energy import EnergyIntegral
from gateway.drivers.modbus.soc import SocFilter
from gateway.model import event as model
from gateway.model.event import PlugState, PowerLimits
from protocols.modbus.register import DeviceState, Meaning
from protocols.modbus.register_map import Glitches

Values = Mapping[Meaning, float | str]
RUNNING = (DeviceState.CHARGING, DeviceState.DISCHARGING)
WITH_SESSION = (DeviceState.READY, *RUNNING)
_PLUGS = {DeviceState.UNAVAILABLE: PlugState.UNAVAILABLE, DeviceState.AVAILABLE: PlugState.AVAILABLE}
DEVICE_FAULT, SILENT, REPLUG = "VendorError", "CommunicationFault", "ReplugRequired"


class DeviceSession(ABC):
    """One EVSE of a driver whose devices are read. `most_charge_w`, `most_discharge_w`: as configured, None: none."""

    protocol = ""

    def __init__(
        self,
        name: str,
        most_charge_w: float | None,
        most_discharge_w: float | None,
        *,
        glitches: Glitches | None = None,
        counts: bool = False,
    ) -> None:
        """`counts`: the device has no energy registers, so its power is integrated."""
        self.name, self.most_charge_w, self.most_discharge_w = name, most_charge_w, most_discharge_w
        self.session: str | None = None
        self._soc = SocFilter(glitches or Glitches())
        self._energy = EnergyIntegral()
        self._counts = counts
        self._plug: PlugState | None = None
        self._faults: dict[str, str] = {}
        self._described: model.EvseDescribed | None = None
        self._needs: model.VehicleNeeds | None = None

    # of each driver

    @abstractmethod
    def _identity(self, values: Values) -> tuple[str, str]:
        """Return manufacturer and model."""

    @abstractmethod
    def _describe(self, values: Values, at: float) -> model.EvseDescribed:
        """Return the limits of the device, and why it cannot discharge where it cannot."""

    # events

    def connected(self, values: Values, at: float, wall: float) -> list[model.Event]:
        """Return the events of a device that answers, on a new connection."""
        self._plug = self._described = self._needs = None
        vendor, kind = self._identity(values)
        found: list[model.Event] = [self._describe(values, at)]
        found.append(model.StationConnected(self.name, at, self.protocol, vendor=vendor, model=kind))
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
            battery_capacity_wh=number(values, Meaning.CAPACITY_WH),
        )

    def _metered(self, values: Values, state: DeviceState, at: float, wall: float) -> model.Metered:
        power_w, energy = number(values, Meaning.POWER_W), self._energy
        energy.add(power_w, at)
        counts = self._counts
        return model.Metered(
            self.name,
            at,
            wall=wall,
            power_w=power_w,
            energy_charged_wh=energy.charged_wh if counts else number(values, Meaning.ENERGY_CHARGED_WH),
            energy_discharged_wh=energy.discharged_wh if counts else number(values, Meaning.ENERGY_DISCHARGED_WH),
            soc_pct=self._soc.read(number(values, Meaning.SOC_PCT), state in RUNNING),
            voltage_v=number(values, Meaning.VOLTAGE_V),
            current_a=number(values, Meaning.CURRENT_A),
            frequency_hz=number(values, Meaning.FREQUENCY_HZ),
        )


def number(values: Values, meaning: Meaning) -> float | None:
    value = values.get(meaning)
    return value if isinstance(value, float) else None


def least(*values: float | None) -> float:
    """Return the smallest of what is stated, 0 W where nothing is."""
    return min((one for one in values if one is not None), default=0.0)
