"""Actions of the faults: for each kind, the function that begins it and the function that ends it.

Nothing here depends on a protocol. When faults begin and end is in `injector.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from emulators.charger.hardware.power_stage import Contactors, PowerStage
from emulators.charger.hardware.power_stage import Fault as StageFault
from emulators.ev.car import Car
from emulators.faults.fault import MESSAGE_KINDS, Fault, FaultError
from emulators.faults.injection_points import FaultableBroker, InjectionPoints
from emulators.faults.tampering import Tampering, chain, tamper_bus, tamper_bytes, tamper_text
from emulators.runtime.transports import Link
from emulators.site.site import Site

T = TypeVar("T")
Action = Callable[[InjectionPoints, Fault], Awaitable[None] | None]


# Links ---------------------------------------------------------------------------------------------------------------


def _link(points: InjectionPoints, fault: Fault) -> Link[Any]:
    links, name = _links(points, fault)
    if name not in links:
        raise FaultError(f"{fault.kind}: no connection on {fault.target}")
    return links[name]


def _links(points: InjectionPoints, fault: Fault) -> tuple[Mapping[str, Link[Any]], str]:
    """Return the present links of the target's kind, and the name of its link, which may be disconnected."""
    kind, _, name = fault.target.partition(":")
    by_kind: dict[str, tuple[Mapping[str, Link[Any]], set[str]]] = {
        "ocpp": (points.text_links, set(points.text_links) | set(points.clocks) - {"gateway"}),
        "iso15118": (points.byte_links, set(points.byte_links) | set(points.stages)),
        "chademo": (points.can_links, set(points.can_links) | set(points.stages)),
        "modbus": (points.device_links, points.devices),
    }
    links, known = by_kind.get(kind, ({}, set()))
    if name not in known:
        targets = sorted(f"{kind}:{name}" for kind, (_, names) in by_kind.items() for name in names)
        raise FaultError(f"{fault.kind}: unknown link {fault.target!r}; known links: {', '.join(targets) or 'none'}")
    return links, name


def _begin_tampering(points: InjectionPoints, fault: Fault) -> None:
    if _tampering_key(fault) == "mqtt":
        tampering: Tampering = tamper_bus(fault, points.seed)
    else:
        _links(points, fault)
        tampering = (tamper_text if fault.target.startswith("ocpp:") else tamper_bytes)(fault, points.seed)
    key = _tampering_key(fault)
    _set_tampering(points, fault, [*points.tamperings.get(key, ()), (fault, tampering)])


def _end_tampering(points: InjectionPoints, fault: Fault) -> None:
    remaining = list(points.tamperings.get(_tampering_key(fault), ()))
    index = next((n for n, (one, _) in enumerate(remaining) if one == fault), None)
    if index is not None:
        del remaining[index]
    _set_tampering(points, fault, remaining)


def _set_tampering(points: InjectionPoints, fault: Fault, tamperings: list[tuple[Fault, Tampering]]) -> None:
    points.tamperings[_tampering_key(fault)] = tamperings
    effect = chain([tampering for _, tampering in tamperings])
    if _tampering_key(fault) == "mqtt":
        _broker(points, fault).tamper = effect
        return
    links, name = _links(points, fault)
    if name in links:
        on_vehicle = fault.target.startswith("iso15118:")
        links[name].tamper = points.vehicle_tampering(name) if on_vehicle else effect


def _tampering_key(fault: Fault) -> str:
    return "mqtt" if fault.target.startswith("mqtt") or not fault.target else fault.target


def _begin_half_open(points: InjectionPoints, fault: Fault) -> None:
    link = _link(points, fault)
    link.silent.update(link.senders)


def _end_half_open(points: InjectionPoints, fault: Fault) -> None:
    _link(points, fault).silent.clear()


def _cut(points: InjectionPoints, fault: Fault) -> None:
    if fault.target.startswith("mqtt:"):
        _broker(points, fault).cut(fault.target.partition(":")[2])
    else:
        _link(points, fault).cut()


# Equipment -----------------------------------------------------------------------------------------------------------


def _broker(points: InjectionPoints, fault: Fault) -> FaultableBroker:
    if points.broker is None:
        raise FaultError(f"{fault.kind}: there is no MQTT broker to act on")
    return points.broker


def _lookup(table: Mapping[str, T], fault: Fault, what: str) -> T:
    if fault.target not in table:
        raise FaultError(f"{fault.kind}: unknown {what} {fault.target!r}; known: {', '.join(sorted(table)) or 'none'}")
    return table[fault.target]


def _stage(points: InjectionPoints, fault: Fault) -> PowerStage:
    return _lookup(points.stages, fault, "EVSE")


def _car(points: InjectionPoints, fault: Fault) -> Car:
    return _lookup(points.cars, fault, "car")


def _site(points: InjectionPoints, fault: Fault) -> Site:
    if points.site is None:
        raise FaultError(f"{fault.kind}: there is no site to act on")
    return points.site


def _quirk(name: str, value: Callable[[Fault], Any]) -> tuple[Action, Action]:
    """Return the actions of a fault that sets a quirk of a vehicle, and restores the original value at its end."""

    def assign(car: Car, setting: Any) -> None:
        car.spec = replace(car.spec, quirks=replace(car.spec.quirks, **{name: setting}))

    def begin(points: InjectionPoints, fault: Fault) -> None:
        car = _car(points, fault)
        points.original_quirks.setdefault((fault.target, name), getattr(car.spec.quirks, name))
        assign(car, value(fault))

    def end(points: InjectionPoints, fault: Fault) -> None:
        car = _car(points, fault)
        assign(car, points.original_quirks.pop((fault.target, name), getattr(car.spec.quirks, name)))

    return begin, end


def _begin_weld(points: InjectionPoints, fault: Fault) -> None:
    _stage(points, fault).contactors = Contactors.WELDED


def _end_weld(points: InjectionPoints, fault: Fault) -> None:
    stage = _stage(points, fault)
    stage.contactors = Contactors.CLOSED if stage.battery is not None else Contactors.OPEN


def _set_switch(stuck: bool) -> Action:
    return lambda points, fault: setattr(_site(points, fault).switch, "stuck", stuck)


def _setting(attribute: str, bad: object, good: object, where: str) -> tuple[Action, Action]:
    """Return the actions of a fault that sets one attribute of the power stage or of its meter."""

    def assign(value: object) -> Action:
        def act(points: InjectionPoints, fault: Fault) -> None:
            stage = _stage(points, fault)
            stage.advance(points.clock.now())  # up to now without the fault
            setattr(stage.meter if where == "meter" else stage, attribute, value)

        return act

    return assign(bad), assign(good)


def _trip(stage_fault: StageFault) -> tuple[Action, Action]:
    def trip(points: InjectionPoints, fault: Fault) -> None:
        _stage(points, fault).trip(stage_fault, points.clock.now())

    def reset(points: InjectionPoints, fault: Fault) -> None:
        _stage(points, fault).reset(stage_fault, points.clock.now())

    return trip, reset


def _no_end(points: InjectionPoints, fault: Fault) -> None:
    """No action: this kind has no end."""


ACTIONS: dict[str, tuple[Action, Action]] = {
    **dict.fromkeys(MESSAGE_KINDS, (_begin_tampering, _end_tampering)),
    "half-open": (_begin_half_open, _end_half_open),
    "cut": (_cut, _no_end),
    "broker-stop": (lambda p, f: _broker(p, f).stop(), lambda p, f: _broker(p, f).start()),
    "broker-wipe": (lambda p, f: _broker(p, f).stop(forget=True), lambda p, f: _broker(p, f).start()),
    "broker-freeze": (lambda p, f: _broker(p, f).freeze(), lambda p, f: _broker(p, f).thaw()),
    "restart": (lambda p, f: _lookup(p.restarts, f, "restartable part")(), _no_end),
    "modem-reset": (lambda p, f: _lookup(p.modems, f, "station")(), _no_end),
    "clock-jump": (lambda p, f: _lookup(p.clocks, f, "clock").jump(f.value or 3600.0), _no_end),
    "meter-stuck": _setting("stuck", True, False, "meter"),
    "meter-wrong-sign": _setting("sign_swapped", True, False, "meter"),
    "deaf": _setting("follows_setpoint", False, True, "stage"),
    "ignores-car": _setting("respects_bounds", False, True, "stage"),
    "insulation": _trip(StageFault.INSULATION),
    "internal": _trip(StageFault.INTERNAL),
    "weld": (_begin_weld, _end_weld),
    "frozen-soc": _quirk("frozen_soc", lambda fault: True),
    "silence": _quirk("silent_after_s", lambda fault: 0.0),
    "wrong-sign": _quirk("negative_discharge_limits", lambda fault: True),
    "late-frames": _quirk("late_frames_s", lambda fault: fault.value or 1.0),
    "switch-stuck": (_set_switch(True), _set_switch(False)),
    "input-silent": (lambda p, f: p.muted_inputs.add(f.target), lambda p, f: p.muted_inputs.discard(f.target)),
}
