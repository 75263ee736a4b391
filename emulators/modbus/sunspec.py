"""Emulated SunSpec devices: a chain of models at a base address, with values of a meter, an inverter or a storage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from emulators.modbus.device import EmulatedDevice, Place, Plant
from emulators.site.storage import Storage
from protocols.modbus.messages import Table
from protocols.modbus.register import Meaning, Register
from protocols.modbus.register_map import RegisterMap
from protocols.modbus.sunspec.chain import BASES, MARK, Entry
from protocols.modbus.sunspec.models import END, Model, tables
from protocols.modbus.sunspec.resolve import resolve
from protocols.ports import Clock

NAMES = {Meaning.MANUFACTURER: "Emulated", Meaning.MODEL: "E1"}
Measure = Callable[[float], float | None]  # of the time


def chain_of(models: Mapping[int, int], base: int) -> list[Entry]:
    """Return the chain of models (id: length) from a base address."""
    address, chain = base + 2, []
    for model, length in models.items():
        chain.append(Entry(model, length, address))
        address += 2 + length
    return chain


def sunspec_device(
    product: RegisterMap,
    models: list[int],
    plant: Plant,
    clock: Clock,
    *,
    base: int = BASES[0],
    exponents: Mapping[str, int] | None = None,
    lengths: Mapping[int, int] | None = None,
) -> EmulatedDevice:
    """Return a device with these models. `exponents`: scale factors by register name, such as m203_w_sf; 0 is the
    default. `lengths`: of models that differ from the table."""
    sized = {one: (lengths or {}).get(one, tables()[one].length if one in tables() else 20) for one in models}
    chain = chain_of(sized, base)
    resolved = resolve(product, chain)
    assert resolved is not None, "the product uses none of these models"
    scales = {one.name: 0 for one in resolved.registers if one.name.startswith("m") and one.name.endswith("_sf")}
    fixed = _layout(product.unit, chain, base)
    return EmulatedDevice(resolved, plant, clock, fixed, {**scales, **(exponents or {})})


def _layout(unit: int, chain: list[Entry], base: int) -> dict[Place, int]:
    """Return the words of headers and of all points that are not implemented."""
    words = dict(enumerate(MARK, base))
    for entry in chain:
        words |= {entry.address: entry.id, entry.address + 1: entry.length}
        words |= {entry.address + 2 + offset: 0xFFFF for offset in range(entry.length)}
        if entry.id in tables():
            words |= _absent(tables()[entry.id], entry)
    end = chain[-1].address + 2 + chain[-1].length if chain else base + 2
    words |= {end: END, end + 1: 0}
    return {(unit, Table.HOLDING, address): word for address, word in words.items()}


def _absent(model: Model, entry: Entry) -> dict[int, int]:
    """Return the words of points of a model that is not implemented: 0x8000 for signed values, 0 for counters."""
    found = {}
    for point in model.points.values():
        if point.kind in ("int16", "sunssf") and point.offset < entry.length + 2:
            found[entry.address + point.offset] = 0x8000
    return found


@dataclass(slots=True)
class Measurements:
    """A meter or an inverter: measured values by meaning."""

    measures: Mapping[Meaning, Measure]
    names: Mapping[Meaning, str] = field(
        default_factory=lambda: {Meaning.MANUFACTURER: "Emulated", Meaning.MODEL: "E1"}
    )

    def value(self, register: Register, now: float) -> float | str | None:
        """Return a measured value."""
        if register.meaning is None:
            return None
        if register.meaning in self.names:
            return self.names[register.meaning]
        measure = self.measures.get(register.meaning)
        return None if measure is None else measure(now)

    def written(self, register: Register, value: float | str, now: float) -> None:
        """Ignore writes."""

    def requested(self, now: float) -> None:
        """Ignore the time of requests."""


@dataclass(slots=True)
class Reversion:
    """Reversion time of a control: what was set ends by itself."""

    seconds: float = 0.0
    ends_at: float | None = None
    ended: list[float] = field(default_factory=list)  # when it ended a control

    def start(self, now: float) -> None:
        """Start it, as the last write of a control does."""
        self.ends_at = now + self.seconds if self.seconds else None

    def stop(self) -> None:
        """Stop it."""
        self.ends_at = None

    def expired(self, now: float) -> bool:
        """Return True once, when the time has passed."""
        if self.ends_at is None or now < self.ends_at:
            return False
        self.ended.append(self.ends_at)
        self.ends_at = None
        return True


@dataclass(slots=True)
class ControllerWatch:
    """Supervision of the controller by its heartbeat (models 715 and 802). `within_s`: None, it is not supervised."""

    within_s: float | None = None
    counts: list[int] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)  # when it ended a control
    _at: float = 0.0  # of the last count that was another one

    def counted(self, count: float, now: float) -> None:
        """Process a count; one that does not change shows no controller."""
        if not self.counts or count != self.counts[-1]:
            self._at = now
        self.counts.append(int(count))

    def begin(self, now: float) -> None:
        """Start with the first order, where nothing was counted yet."""
        if not self.counts:
            self._at = now

    def expired(self, now: float) -> bool:
        """Return True where the controller is silent."""
        if self.within_s is None or now < self._at + self.within_s:
            return False
        self.ended.append(self._at + self.within_s)
        return True


@dataclass(slots=True)
class StoragePlant:
    """A storage with model 704 or 124: a set-point, its reversion time, and the power after it."""

    storage: Storage
    setpoint_w: float = 0.0
    revert_w: float = 0.0
    enabled: bool = False
    reversion: Reversion = field(default_factory=Reversion)
    watch: ControllerWatch = field(default_factory=ControllerWatch)
    _charge_pct: float = 0.0  # model 124
    _discharge_pct: float = 0.0

    @property
    def reversions(self) -> list[float]:
        """When a set-point ended by itself."""
        return self.reversion.ended

    def value(self, register: Register, now: float) -> float | str | None:
        """Return what a register shows."""
        self.requested(now)
        stage = self.storage.stage
        match register.meaning:
            case Meaning.MANUFACTURER:
                return "Emulated"
            case Meaning.MODEL:
                return "S1"
            case Meaning.POWER_W:
                return self.storage.power_w(now)
            case Meaning.SOC_PCT:
                return self.storage.soc_pct
            case Meaning.MAX_CHARGE_W:
                return stage.spec.max_charge_w
            case Meaning.MAX_DISCHARGE_W:
                return stage.spec.max_discharge_w
        return None

    def written(self, register: Register, value: float | str, now: float) -> None:
        """Apply a point of model 704 or 124; the last one of a control starts the reversion time."""
        number = value if isinstance(value, float) else 0.0
        match register.name:
            case "set_power":
                self.setpoint_w = number
            case "revert_w":
                self.revert_w = number
            case "revert_s" | "basic_revert_s":
                self.reversion.seconds = number
            case "heartbeat" | "heartbeat_battery":
                self.watch.counted(number, now)
            case "basic_charge":
                self._charge_pct = number
            case "basic_discharge":
                self._discharge_pct = number
            case "set_enable" | "basic_mode":
                self._enable(value in ("start", "both"), basic=register.name == "basic_mode", now=now)
        self.storage.command(self.setpoint_w if self.enabled else 0.0, now)

    def _enable(self, enabled: bool, *, basic: bool, now: float) -> None:
        self.enabled = enabled
        if basic:
            spec = self.storage.stage.spec
            charge_w = self._charge_pct / 100 * spec.max_charge_w
            discharge_w = self._discharge_pct / 100 * spec.max_discharge_w
            self.setpoint_w = max(charge_w, 0.0) if self._discharge_pct < 0 else -max(discharge_w, 0.0)
        if enabled:
            self.reversion.start(now)
            self.watch.begin(now)
        else:
            self.reversion.stop()

    def requested(self, now: float) -> None:
        """Let the reversion time expire."""
        if self.reversion.expired(now):
            self.setpoint_w = self.revert_w
            self.storage.command(self.setpoint_w, self.reversion.ended[-1])
        if self.enabled and self.watch.expired(now):
            self.enabled = False
            self.reversion.stop()
            self.storage.command(0.0, self.watch.ended[-1])
        self.storage.stage.advance(now)


@dataclass(slots=True)
class PvPlant:
    """An inverter with model 704 or 123: a limit in per cent of its rating, and its reversion time."""

    available_w: Measure
    rated_w: float = 5000.0
    limit_pct: float | None = None  # in force
    reversion: Reversion = field(default_factory=Reversion)
    _set_pct: float = 100.0

    def power_w(self, now: float) -> float:
        """Return what it generates."""
        self.requested(now)
        most_w = self.rated_w if self.limit_pct is None else self.rated_w * self.limit_pct / 100
        return min(self.available_w(now) or 0.0, most_w)

    def value(self, register: Register, now: float) -> float | str | None:
        """Return what a register shows."""
        match register.meaning:
            case Meaning.MANUFACTURER | Meaning.MODEL:
                return NAMES[register.meaning]
            case Meaning.POWER_W:
                return self.power_w(now)
            case Meaning.RATED_W:
                return self.rated_w
        return None

    def written(self, register: Register, value: float | str, now: float) -> None:
        """Apply a point; the enable point starts the reversion time."""
        number = value if isinstance(value, float) else 0.0
        if register.name in ("limit", "basic_limit"):
            self._set_pct = number
        elif register.name in ("limit_revert_s", "basic_revert_s"):
            self.reversion.seconds = number
        elif register.meaning is Meaning.ACTION:
            self.limit_pct = self._set_pct if value == "start" else None
            if value == "start":
                self.reversion.start(now)
            else:
                self.reversion.stop()

    def requested(self, now: float) -> None:
        """Let the reversion time expire."""
        if self.reversion.expired(now):
            self.limit_pct = None
