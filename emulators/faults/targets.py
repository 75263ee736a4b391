"""What each kind of fault may be done to in a world that does not live yet: for those who check a plan of faults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emulators.faults.injector import Fault
from emulators.faults.tampering import ONLY, STACKED

INPUTS = ("grid", "switch", "load", "pv", "storage", "meter")


@dataclass(frozen=True, slots=True)
class Targets:
    """What a world will have to break, by name; known before it lives."""

    stations: Sequence[str]
    evses: Sequence[str]
    speaking: Sequence[str]  # EVSEs that speak to their cars
    cars: Sequence[str]
    clients: Sequence[str] = ("gw1", "facility")  # of the broker

    def of(self, kind: str) -> list[str]:
        """The targets that a kind may have; "" where it has none."""
        ocpp, iso = [f"ocpp:{name}" for name in self.stations], [f"iso15118:{name}" for name in self.speaking]
        mqtt = [f"mqtt:{name}" for name in self.clients]
        if kind in (*STACKED, "half-open", "cut"):
            only = ONLY.get(kind, ("",))
            return [name for name in ["", "mqtt", *mqtt, *ocpp, *iso] if (name or "mqtt").startswith(only)]
        if kind in ("broker-stop", "broker-wipe", "broker-freeze", "switch-stuck"):
            return [""]
        if kind in ("restart", "clock-jump"):
            return ["gateway", *self.stations]
        if kind in ("frozen-soc", "silence", "wrong-sign", "late-frames"):
            return list(self.cars)
        return list(INPUTS) if kind == "input-silent" else list(self.evses)

    def complaint(self, fault: Fault) -> str:
        """Why a fault would never hit anything; "" if it does."""
        able = self.of(fault.kind)
        if fault.target in able or able == [""]:
            return ""
        there = ", ".join(name for name in able if name) or "none"
        return f"{fault.kind}: there is no {fault.target!r} to break; there are {there}"
