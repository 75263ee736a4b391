"""What goes wrong on links, in the broker, in chargers, meters, cars, clocks and switches; by plan, by seed or by hand.

Every fault is a name in one table with a way to begin and a way to end. The world hands in its parts; nothing here
knows a protocol. The same seed breaks the same pieces.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from emulators.broker import Tamper
from emulators.charger.power_stage import Contactors, PowerStage
from emulators.charger.power_stage import Fault as Trip
from emulators.clock import SkewedClock
from emulators.ev.car import Car
from emulators.site.site import Site
from emulators.wires import Link
from protocols.ports import BusMessage, Clock

M = TypeVar("M", bytes, str)


class FaultError(ValueError):
    """A fault that cannot be: unknown kind, or a target that this world has not."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `target` names the part, `duration_s` None lasts to the end, `rate` is the share of pieces hit."""

    kind: str
    target: str = ""
    at: float = 0.0
    duration_s: float | None = None
    rate: float = 1.0
    value: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise FaultError(f"no fault is called {self.kind!r}; there are {', '.join(sorted(KINDS))}")
        if not 0 <= self.rate <= 1:
            raise FaultError(f"{self.kind}: the rate is 0..1, not {self.rate}")


class BreakableBroker(Protocol):
    """A broker that can go wrong: the one in memory in every way, a real one behind a relay in fewer."""

    tamper: Tamper | None

    def cut(self, client_id: str) -> None:
        """A client's link is lost without a word."""

    def stop(self, *, forget: bool = False) -> None:
        """It dies; `forget` loses sessions and retained messages."""

    def start(self) -> None:
        """It is back."""

    def freeze(self) -> None:
        """It hangs with its links open."""

    def thaw(self) -> None:
        """It goes on."""


@dataclass(slots=True)
class Parts:
    """What can break in a world, by name. Wires are the present ones: a reconnection replaces its entry."""

    clock: Clock
    text_links: dict[str, Link[str]] = field(default_factory=dict)  # OCPP, by station
    byte_links: dict[str, Link[bytes]] = field(default_factory=dict)  # ISO 15118, by EVSE
    broker: BreakableBroker | None = None
    stages: dict[str, PowerStage] = field(default_factory=dict)  # by EVSE
    cars: dict[str, Car] = field(default_factory=dict)  # by name
    clocks: dict[str, SkewedClock] = field(default_factory=dict)  # by station, and "gateway"
    site: Site | None = None
    mute_inputs: set[str] = field(default_factory=set)  # of the facility: kinds that are no longer published
    restarts: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)  # "gateway", or a station
    seed: int | str = 0


Begin = Callable[[Parts, Fault], Awaitable[None] | None]


# Links ---------------------------------------------------------------------------------------------------------------


def tamper_bytes(fault: Fault, seed: int | str) -> Callable[[str, bytes], Iterable[tuple[float, bytes]]]:
    """How a fault treats pieces of a byte stream. A stream keeps its order: loss here is what a broken proxy does."""
    draw = random.Random(f"{fault.kind}-{fault.target}-{fault.at}-{seed}")

    def hit(_: str, data: bytes) -> list[tuple[float, bytes]]:
        if draw.random() >= fault.rate:
            return [(0.0, data)]
        if fault.kind == "loss":
            return []
        if fault.kind == "delay":
            return [(fault.value or draw.uniform(0.1, 1.0), data)]
        if fault.kind == "duplicate":
            return [(0.0, data), (0.0, data)]
        if fault.kind == "split":
            size = max(1, int(fault.value) or 1)
            return [(0.0, data[n : n + size]) for n in range(0, len(data), size)]
        broken = bytearray(data)
        place = draw.randrange(len(broken))
        broken[place] ^= 1 << draw.randrange(8)
        return [(0.0, bytes(broken))]

    return hit


def tamper_text(fault: Fault, seed: int | str) -> Callable[[str, str], Iterable[tuple[float, str]]]:
    """How a fault treats messages of a WebSocket."""
    draw = random.Random(f"{fault.kind}-{fault.target}-{fault.at}-{seed}")
    held: dict[str, str] = {}

    def hit(sender: str, text: str) -> list[tuple[float, str]]:
        if sender in held:
            return [(0.0, text), (0.0, held.pop(sender))]
        if draw.random() >= fault.rate:
            return [(0.0, text)]
        if fault.kind == "loss":
            return []
        if fault.kind == "delay":
            return [(fault.value or draw.uniform(0.1, 1.0), text)]
        if fault.kind == "duplicate":
            return [(0.0, text), (0.0, text)]
        if fault.kind == "reorder":
            held[sender] = text
            return []
        place = draw.randrange(max(1, len(text)))
        return [(0.0, text[:place] + chr(draw.randrange(32, 127)) + text[place + 1 :])]

    return hit


def tamper_bus(fault: Fault, seed: int | str) -> Callable[[str, BusMessage], Iterable[tuple[float, BusMessage]]]:
    """How a fault treats deliveries of the broker. QoS 1 may come twice or late, never not at all."""
    draw = random.Random(f"{fault.kind}-{fault.target}-{fault.at}-{seed}")

    def hit(client: str, message: BusMessage) -> list[tuple[float, BusMessage]]:
        if (fault.target not in ("", "mqtt", f"mqtt:{client}")) or draw.random() >= fault.rate:
            return [(0.0, message)]
        if fault.kind == "loss":
            return [] if message.qos == 0 else [(0.0, message)]
        if fault.kind in ("delay", "reorder"):
            return [(fault.value or draw.uniform(0.1, 2.0), message)]
        if fault.kind == "duplicate":
            return [(0.0, message), (0.0, message)]
        payload = bytearray(message.payload or b"\0")
        payload[draw.randrange(len(payload))] ^= 1 << draw.randrange(8)
        return [(0.0, replace(message, payload=bytes(payload)))]

    return hit


def _link(parts: Parts, fault: Fault) -> Link[Any]:
    kind, _, name = fault.target.partition(":")
    every: dict[str, Mapping[str, Link[Any]]] = {"ocpp": parts.text_links, "iso15118": parts.byte_links}
    links = every.get(kind, {})
    if name not in links:
        there = [f"ocpp:{n}" for n in parts.text_links] + [f"iso15118:{n}" for n in parts.byte_links]
        raise FaultError(f"{fault.kind}: no link {fault.target!r}; there are {', '.join(there) or 'none'}")
    return links[name]


def _tamper(parts: Parts, fault: Fault) -> None:
    if fault.target.startswith("mqtt") or not fault.target:
        _broker(parts, fault).tamper = tamper_bus(fault, parts.seed)
    elif fault.target.startswith("ocpp:"):
        _link(parts, fault).tamper = tamper_text(fault, parts.seed)
    else:
        _link(parts, fault).tamper = tamper_bytes(fault, parts.seed)


def _untamper(parts: Parts, fault: Fault) -> None:
    if fault.target.startswith("mqtt") or not fault.target:
        _broker(parts, fault).tamper = None
    else:
        _link(parts, fault).tamper = None


def _half_open(parts: Parts, fault: Fault) -> None:
    link = _link(parts, fault)
    link.silent.update(lane.sender for lane in link._lanes)


def _reopen(parts: Parts, fault: Fault) -> None:
    _link(parts, fault).silent.clear()


def _cut(parts: Parts, fault: Fault) -> None:
    if fault.target.startswith("mqtt:"):
        _broker(parts, fault).cut(fault.target.partition(":")[2])
    else:
        _link(parts, fault).cut()


# Parts ---------------------------------------------------------------------------------------------------------------


def _broker(parts: Parts, fault: Fault) -> BreakableBroker:
    if parts.broker is None:
        raise FaultError(f"{fault.kind}: this world has no broker of its own")
    return parts.broker


def _named(table: Mapping[str, Any], fault: Fault, what: str) -> Any:
    if fault.target not in table:
        raise FaultError(f"{fault.kind}: no {what} {fault.target!r}; there are {', '.join(sorted(table)) or 'none'}")
    return table[fault.target]


def _stage(parts: Parts, fault: Fault) -> PowerStage:
    stage: PowerStage = _named(parts.stages, fault, "EVSE")
    return stage


def _car(parts: Parts, fault: Fault) -> Car:
    car: Car = _named(parts.cars, fault, "car")
    return car


def _site(parts: Parts, fault: Fault) -> Site:
    if parts.site is None:
        raise FaultError(f"{fault.kind}: this world has no site")
    return parts.site


def _quirk(parts: Parts, fault: Fault, **change: Any) -> None:
    car = _car(parts, fault)
    car.spec = replace(car.spec, quirks=replace(car.spec.quirks, **change))


def _weld(parts: Parts, fault: Fault) -> None:
    _stage(parts, fault).contactors = Contactors.WELDED


def _unweld(parts: Parts, fault: Fault) -> None:
    stage = _stage(parts, fault)
    stage.contactors = Contactors.CLOSED if stage.battery is not None else Contactors.OPEN


def _jump(parts: Parts, fault: Fault) -> None:
    clock: SkewedClock = _named(parts.clocks, fault, "clock")
    clock.jump(fault.value or 3600.0)


def _switch(stuck: bool) -> Begin:
    def act(parts: Parts, fault: Fault) -> None:
        _site(parts, fault).switch.stuck = stuck

    return act


def _setting(attribute: str, bad: object, good: object, where: str) -> tuple[Begin, Begin]:
    """A fault that is one attribute of the stage or its meter."""

    def put(value: object) -> Begin:
        def act(parts: Parts, fault: Fault) -> None:
            stage = _stage(parts, fault)
            setattr(stage.meter if where == "meter" else stage, attribute, value)

        return act

    return put(bad), put(good)


def _trip(fault_of_stage: Trip) -> tuple[Begin, Begin]:
    def trip(parts: Parts, fault: Fault) -> None:
        _stage(parts, fault).trip(fault_of_stage, parts.clock.now())

    def reset(parts: Parts, fault: Fault) -> None:
        _stage(parts, fault).reset(fault_of_stage, parts.clock.now())

    return trip, reset


async def _restart(parts: Parts, fault: Fault) -> None:
    restart: Callable[[], Awaitable[None]] = _named(parts.restarts, fault, "restartable part")
    await restart()


def _nothing(parts: Parts, fault: Fault) -> None:
    """Ends by itself."""


KINDS: dict[str, tuple[Begin, Begin]] = {
    "loss": (_tamper, _untamper),
    "delay": (_tamper, _untamper),
    "reorder": (_tamper, _untamper),
    "duplicate": (_tamper, _untamper),
    "split": (_tamper, _untamper),
    "corruption": (_tamper, _untamper),
    "half-open": (_half_open, _reopen),
    "cut": (_cut, _nothing),
    "broker-stop": (lambda p, f: _broker(p, f).stop(), lambda p, f: _broker(p, f).start()),
    "broker-wipe": (lambda p, f: _broker(p, f).stop(forget=True), lambda p, f: _broker(p, f).start()),
    "broker-freeze": (lambda p, f: _broker(p, f).freeze(), lambda p, f: _broker(p, f).thaw()),
    "restart": (_restart, _nothing),
    "clock-jump": (_jump, _nothing),
    "meter-stuck": _setting("stuck", True, False, "meter"),
    "meter-wrong-sign": _setting("sign_swapped", True, False, "meter"),
    "deaf": _setting("follows_setpoint", False, True, "stage"),
    "ignores-car": _setting("obeys_bounds", False, True, "stage"),
    "insulation": _trip(Trip.INSULATION),
    "internal": _trip(Trip.INTERNAL),
    "weld": (_weld, _unweld),
    "frozen-soc": (lambda p, f: _quirk(p, f, frozen_soc=True), lambda p, f: _quirk(p, f, frozen_soc=False)),
    "silence": (lambda p, f: _quirk(p, f, silent_after_s=0.0), lambda p, f: _quirk(p, f, silent_after_s=None)),
    "wrong-sign": (
        lambda p, f: _quirk(p, f, negative_discharge_limits=True),
        lambda p, f: _quirk(p, f, negative_discharge_limits=False),
    ),
    "late-frames": (
        lambda p, f: _quirk(p, f, late_frames_s=f.value or 1.0),
        lambda p, f: _quirk(p, f, late_frames_s=0.0),
    ),
    "switch-stuck": (_switch(True), _switch(False)),
    "input-silent": (lambda p, f: p.mute_inputs.add(f.target), lambda p, f: p.mute_inputs.discard(f.target)),
}


# Doing it ------------------------------------------------------------------------------------------------------------


async def begin(parts: Parts, fault: Fault) -> None:
    """Let a fault begin now; FaultError when this world has no such part."""
    done = KINDS[fault.kind][0](parts, fault)
    if done is not None:
        await done


async def end(parts: Parts, fault: Fault) -> None:
    """End it."""
    done = KINDS[fault.kind][1](parts, fault)
    if done is not None:
        await done


async def play(
    parts: Parts, faults: Iterable[Fault], told: Callable[[str, Fault], None] = lambda what, fault: None
) -> None:
    """Begin and end faults at their times; a part that is not there at the moment is told as `missed`."""
    moments: list[tuple[float, int, bool, Fault]] = []
    for n, fault in enumerate(faults):
        moments.append((fault.at, n, True, fault))
        if fault.duration_s is not None:
            moments.append((fault.at + fault.duration_s, n, False, fault))
    for at, _, begins, fault in sorted(moments, key=lambda moment: moment[:3]):
        await parts.clock.sleep(max(0.0, at - parts.clock.now()))
        try:
            await (begin if begins else end)(parts, fault)
            told("begins" if begins else "ends", fault)
        except FaultError:
            told("missed", fault)


def random_faults(
    seed: int | str, duration_s: float, targets: Mapping[str, Iterable[str]], count: int = 10
) -> list[Fault]:
    """A seeded parade: `count` faults over the time, of the kinds and targets given (kind -> possible targets)."""
    draw = random.Random(f"faults-{seed}")
    kinds = sorted(targets)
    found = []
    for n in range(count):
        kind = kinds[draw.randrange(len(kinds))]
        choice = sorted(targets[kind])
        at = duration_s * (n + draw.random()) / count
        found.append(
            Fault(kind, draw.choice(choice) if choice else "", at, draw.uniform(5, 60), draw.choice([0.2, 0.5, 1.0]))
        )
    return found
