"""Fault: kind, target and times of one injected fault, and the valid targets of each kind.

How a fault acts is in `actions.py` and `tampering.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Kinds that alter single messages or chunks of a link; several of them on one link act together.
MESSAGE_KINDS = ("loss", "delay", "reorder", "duplicate", "split", "corruption")
LINK_KINDS = ("half-open", "cut")
BROKER_KINDS = ("broker-stop", "broker-wipe", "broker-freeze")
EVSE_KINDS = ("meter-stuck", "meter-wrong-sign", "deaf", "ignores-car", "insulation", "internal", "weld")
VEHICLE_KINDS = ("frozen-soc", "silence", "wrong-sign", "late-frames")
OTHER_KINDS = ("restart", "modem-reset", "clock-jump", "switch-stuck", "input-silent")
KINDS = (*MESSAGE_KINDS, *LINK_KINDS, *BROKER_KINDS, *EVSE_KINDS, *VEHICLE_KINDS, *OTHER_KINDS)
MEANINGS = {
    "loss": "Messages are lost at `rate`; over MQTT only those of QoS 0",
    "delay": "Messages are late by `value` s (without one: 0.1 to 1 s; over MQTT 0.1 to 2 s)",
    "reorder": "A message arrives after the next one",
    "duplicate": "A message arrives twice",
    "split": "Bytes arrive in pieces of `value` bytes (default 1)",
    "corruption": "One bit (ISO 15118, MQTT) or character (OCPP) of a message is changed",
    "half-open": "Nothing is delivered, while the connection stays open",
    "cut": "The connection ends",
    "broker-stop": "The broker is stopped, and starts again with its sessions and retained messages",
    "broker-wipe": "The broker is stopped, and starts again empty",
    "broker-freeze": "The broker processes nothing, while connections stay open",
    "meter-stuck": "The meter repeats its last reading",
    "meter-wrong-sign": "The meter exchanges import and export",
    "deaf": "The charger ignores set-points",
    "ignores-car": "The charger ignores the limits of the vehicle",
    "insulation": "The insulation monitor trips",
    "internal": "The charger has an internal fault",
    "weld": "The contactors are welded",
    "frozen-soc": "The vehicle reports the same state of charge",
    "silence": "The vehicle stops sending",
    "wrong-sign": "The vehicle states its discharge limits as negative numbers",
    "late-frames": "The vehicle responds late, by `value` s (default 1)",
    "restart": "The gateway or the station restarts",
    "modem-reset": "The network link of the station is reset",
    "clock-jump": "The clock jumps by `value` s (default 3600)",
    "switch-stuck": "The main switch does not move",
    "input-silent": "The facility does not publish the input",
}
TARGET_PREFIXES: dict[str, tuple[str, ...]] = {  # a byte stream keeps its order, a text message is never split
    "split": ("iso15118:", "modbus:"),
    "reorder": ("ocpp:", "mqtt"),
    "half-open": ("ocpp:", "iso15118:", "chademo:", "modbus:"),
    "cut": ("ocpp:", "iso15118:", "chademo:", "modbus:", "mqtt:"),
}
INPUTS = ("grid", "switch", "load", "pv", "storage", "meter")


class FaultError(ValueError):
    """A fault that cannot be injected: unknown kind, invalid parameter, or a target that does not exist."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `duration_s` None lasts to the end of the scenario; `rate` is the share of messages affected."""

    kind: str
    target: str = ""
    at: float = 0.0
    duration_s: float | None = None
    rate: float = 1.0
    value: float = 0.0

    def __post_init__(self) -> None:
        check_kind(self.kind)
        if not 0 <= self.rate <= 1:
            raise FaultError(f"{self.kind}: rate must be between 0 and 1, not {self.rate}")
        if self.duration_s is not None and not 0 < self.duration_s < float("inf"):
            raise FaultError(f"{self.kind}: duration must be positive and finite, not {self.duration_s:g} s")
        prefixes = TARGET_PREFIXES.get(self.kind, ())
        if prefixes and not (self.target or "mqtt").startswith(prefixes):
            target = self.target or "mqtt"
            raise FaultError(f"{self.kind}: invalid target {target!r}; it must begin with {' or '.join(prefixes)}")


def check_kind(kind: str) -> None:
    """Raise FaultError if there is no such kind of fault."""
    if kind not in KINDS:
        raise FaultError(f"unknown fault kind {kind!r}; known kinds: {', '.join(sorted(KINDS))}")


@dataclass(frozen=True, slots=True)
class Targets:
    """Names of everything in a scenario that a fault can act on."""

    stations: Sequence[str]
    evses: Sequence[str]
    iso15118_evses: Sequence[str]  # EVSEs that communicate with their vehicles by ISO 15118
    cars: Sequence[str]
    modbus_evses: Sequence[str] = ()  # EVSEs that the gateway reaches over Modbus
    clients: Sequence[str] = ("gw1", "facility")  # of the broker
    chademo_evses: Sequence[str] = ()

    def of(self, kind: str) -> list[str]:
        """Return the valid targets of a kind; [""] for a kind without targets."""
        ocpp = [f"ocpp:{name}" for name in self.stations]
        vehicles = [f"iso15118:{name}" for name in self.iso15118_evses]
        vehicles += [f"chademo:{name}" for name in self.chademo_evses]
        mqtt, modbus = [f"mqtt:{name}" for name in self.clients], [f"modbus:{name}" for name in self.modbus_evses]
        if kind in (*MESSAGE_KINDS, *LINK_KINDS):
            prefixes = TARGET_PREFIXES.get(kind, ("",))
            links = ["", "mqtt", *mqtt, *ocpp, *vehicles, *modbus]
            return [name for name in links if (name or "mqtt").startswith(prefixes)]
        if kind in (*BROKER_KINDS, "switch-stuck"):
            return [""]
        if kind == "modem-reset":
            return list(self.stations)
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
