"""What goes wrong on links, in the broker, in chargers, meters, cars, clocks and switches; by plan, by seed or by hand.

Every fault is a name in one table with a way to begin and a way to end. The world hands in its parts; nothing here
knows a protocol. The same seed breaks the same pieces.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from emulators.charger.hardware.power_stage import Contactors, PowerStage
from emulators.charger.hardware.power_stage import Fault as Trip
from emulators.ev.car import Car
from emulators.faults.tampering import ONLY, STACKED, Tampering, chained, tamper_bus, tamper_bytes, tamper_text
from emulators.runtime.clock import SkewedClock
from emulators.runtime.memory_broker import Tamper
from emulators.runtime.transports import Link
from emulators.site.site import Site
from protocols.ports import Clock


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
        if self.duration_s is not None and not 0 < self.duration_s < float("inf"):
            raise FaultError(f"{self.kind}: lasts more than 0 s, or has no end; not {self.duration_s:g} s")
        only = ONLY.get(self.kind, ())
        if only and not (self.target or "mqtt").startswith(only):
            text = f"cannot be done to {self.target or 'mqtt'!r}, its target begins with {' or '.join(only)}"
            raise FaultError(f"{self.kind}: {text}")


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
    tampers: dict[str, list[tuple[Fault, Tampering]]] = field(default_factory=dict)  # in force, by link
    running: Counter[tuple[str, str]] = field(default_factory=Counter)  # faults begun and not ended, by kind and target
    quirks: dict[tuple[str, str], Any] = field(default_factory=dict)  # what cars had before faults gave them others

    def join_text(self, station: str, link: Link[str]) -> None:
        """A station has a new wire; what is wrong on the way is wrong for it, too."""
        self.text_links[station] = link
        link.tamper = chained(self.tampers.get(f"ocpp:{station}", ()))

    def join_bytes(self, evse: str, link: Link[bytes]) -> None:
        """A car at an EVSE has a new wire."""
        self.byte_links[evse] = link
        link.tamper = chained(self.tampers.get(f"iso15118:{evse}", ()))

    def unsound(self, evse: str) -> bool:
        """Whether something is done to what passes between a car and its charger."""
        link = self.byte_links.get(evse)
        return link is not None and (link.tamper is not None or bool(link.silent))


Begin = Callable[[Parts, Fault], Awaitable[None] | None]


# Links ---------------------------------------------------------------------------------------------------------------


def _link(parts: Parts, fault: Fault) -> Link[Any]:
    links, name = _links(parts, fault)
    if name not in links:
        raise FaultError(f"{fault.kind}: nobody is connected by {fault.target}")
    return links[name]


def _links(parts: Parts, fault: Fault) -> tuple[Mapping[str, Link[Any]], str]:
    """The present wires of the kind that a fault names, and its name among them. It may come later, or again."""
    kind, _, name = fault.target.partition(":")
    every: dict[str, tuple[Mapping[str, Link[Any]], set[str]]] = {
        "ocpp": (parts.text_links, set(parts.text_links) | set(parts.clocks) - {"gateway"}),
        "iso15118": (parts.byte_links, set(parts.byte_links) | set(parts.stages)),
    }
    links, known = every.get(kind, ({}, set()))
    if name not in known:
        there = sorted(f"{kind}:{name}" for kind, (_, names) in every.items() for name in names)
        raise FaultError(f"{fault.kind}: no link {fault.target!r}; there are {', '.join(there) or 'none'}")
    return links, name


def _tamper(parts: Parts, fault: Fault) -> None:
    if _of_bus(fault):
        hit: Tampering = tamper_bus(fault, parts.seed)
    else:
        _links(parts, fault)
        hit = (tamper_text if fault.target.startswith("ocpp:") else tamper_bytes)(fault, parts.seed)
    key = _way(fault)
    _retamper(parts, fault, [*parts.tampers.get(key, ()), (fault, hit)])


def _untamper(parts: Parts, fault: Fault) -> None:
    left = list(parts.tampers.get(_way(fault), ()))
    mine = next((n for n, (one, _) in enumerate(left) if one == fault), None)
    if mine is not None:
        del left[mine]
    _retamper(parts, fault, left)


def _retamper(parts: Parts, fault: Fault, tampers: list[tuple[Fault, Tampering]]) -> None:
    if _of_bus(fault):
        _broker(parts, fault).tamper = chained(tampers)
    else:
        links, name = _links(parts, fault)
        if name in links:
            links[name].tamper = chained(tampers)
    parts.tampers[_way(fault)] = tampers


def _of_bus(fault: Fault) -> bool:
    return fault.target.startswith("mqtt") or not fault.target


def _way(fault: Fault) -> str:
    return "mqtt" if _of_bus(fault) else fault.target


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


def _quirk(name: str, value: Callable[[Fault], Any]) -> tuple[Begin, Begin]:
    """A fault that is a quirk of the car; one that the car had before is its own again afterwards."""

    def give(car: Car, one: Any) -> None:
        car.spec = replace(car.spec, quirks=replace(car.spec.quirks, **{name: one}))

    def put(parts: Parts, fault: Fault) -> None:
        car = _car(parts, fault)
        parts.quirks.setdefault((fault.target, name), getattr(car.spec.quirks, name))
        give(car, value(fault))

    def take(parts: Parts, fault: Fault) -> None:
        car = _car(parts, fault)
        give(car, parts.quirks.pop((fault.target, name), getattr(car.spec.quirks, name)))

    return put, take


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
            stage.advance(parts.clock.now())  # what was so far was whole
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
    "frozen-soc": _quirk("frozen_soc", lambda f: True),
    "silence": _quirk("silent_after_s", lambda f: 0.0),
    "wrong-sign": _quirk("negative_discharge_limits", lambda f: True),
    "late-frames": _quirk("late_frames_s", lambda f: f.value or 1.0),
    "switch-stuck": (_switch(True), _switch(False)),
    "input-silent": (lambda p, f: p.mute_inputs.add(f.target), lambda p, f: p.mute_inputs.discard(f.target)),
}


# Doing it ------------------------------------------------------------------------------------------------------------


async def begin(parts: Parts, fault: Fault) -> None:
    """Let a fault begin now; FaultError when this world has no such part."""
    done = KINDS[fault.kind][0](parts, fault)
    if done is not None:
        await done
    parts.running[fault.kind, fault.target] += 1


async def end(parts: Parts, fault: Fault) -> None:
    """End it. What several faults did to one part ends with the last of them."""
    parts.running[fault.kind, fault.target] -= 1
    if parts.running[fault.kind, fault.target] > 0 and fault.kind not in STACKED:
        return
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
    missed: set[int] = set()  # what never began has no end
    for at, n, begins, fault in sorted(moments, key=lambda moment: moment[:3]):
        await parts.clock.sleep(max(0.0, at - parts.clock.now()))
        if n in missed:
            continue
        try:
            await (begin if begins else end)(parts, fault)
            told("begins" if begins else "ends", fault)
        except FaultError:
            missed.add(n)
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
