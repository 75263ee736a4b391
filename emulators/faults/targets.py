"""Valid targets of each kind of fault in a scenario, for the validation of scenario files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emulators.faults.fault import (
    BROKER_KINDS,
    LINK_KINDS,
    MESSAGE_KINDS,
    TARGET_PREFIXES,
    VEHICLE_KINDS,
    Fault,
)

INPUTS = ("grid", "switch", "load", "pv", "storage", "meter")


@dataclass(frozen=True, slots=True)
class Targets:
    """Names of everything in a scenario that a fault can act on."""

    stations: Sequence[str]
    evses: Sequence[str]
    iso15118_evses: Sequence[str]  # EVSEs that communicate with their vehicles
    cars: Sequence[str]
    clients: Sequence[str] = ("gw1", "facility")  # of the broker

    def of(self, kind: str) -> list[str]:
        """Return the valid targets of a kind; [""] for a kind without targets."""
        ocpp, iso = [f"ocpp:{name}" for name in self.stations], [f"iso15118:{name}" for name in self.iso15118_evses]
        mqtt = [f"mqtt:{name}" for name in self.clients]
        if kind in (*MESSAGE_KINDS, *LINK_KINDS):
            prefixes = TARGET_PREFIXES.get(kind, ("",))
            return [name for name in ["", "mqtt", *mqtt, *ocpp, *iso] if (name or "mqtt").startswith(prefixes)]
        if kind in (*BROKER_KINDS, "switch-stuck"):
            return [""]
        if kind in ("restart", "clock-jump"):
            return ["gateway", *self.stations]
        if kind in VEHICLE_KINDS:
            return list(self.cars)
        return list(INPUTS) if kind == "input-silent" else list(self.evses)

    def error(self, fault: Fault) -> str:
        """Return why the target of a fault is invalid, "" if it is valid."""
        valid = self.of(fault.kind)
        if fault.target in valid or valid == [""]:
            return ""
        names = ", ".join(name for name in valid if name) or "none"
        return f"{fault.kind}: unknown target {fault.target!r}; valid targets: {names}"
