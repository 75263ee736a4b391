"""Fault injector: begins and ends faults, at the times of a plan, by seed or by a live command.

The same seed injects the same faults into the same messages.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from math import isfinite

from emulators.faults.actions import ACTIONS
from emulators.faults.fault import MESSAGE_KINDS, Fault, FaultError
from emulators.faults.injection_points import InjectionPoints

RANDOM_S = (5.0, 60.0)  # s, range of the duration of a random fault
RANDOM_RATES = (0.2, 0.5, 1.0)


async def begin(points: InjectionPoints, fault: Fault) -> None:
    """Begin a fault now; FaultError if its target does not exist."""
    pending = ACTIONS[fault.kind][0](points, fault)
    if pending is not None:
        await pending
    points.active[fault.kind, fault.target] += 1


async def end(points: InjectionPoints, fault: Fault) -> None:
    """End a fault now. An effect that several faults have on one target ends with the last of them."""
    points.active[fault.kind, fault.target] -= 1
    if points.active[fault.kind, fault.target] > 0 and fault.kind not in MESSAGE_KINDS:
        return
    pending = ACTIONS[fault.kind][1](points, fault)
    if pending is not None:
        await pending


async def play(
    points: InjectionPoints, faults: Iterable[Fault], report: Callable[[str, Fault], None] = lambda status, fault: None
) -> None:
    """Begin and end faults at their times; report each as "begins", "ends", or "missed" if its target is absent."""
    steps: list[tuple[float, int, bool, Fault]] = []
    for n, fault in enumerate(faults):
        steps.append((fault.at, n, True, fault))
        if fault.duration_s is not None:
            steps.append((fault.at + fault.duration_s, n, False, fault))
    missed: set[int] = set()  # a fault that never began has no end
    for at, n, begins, fault in sorted(steps, key=lambda step: step[:3]):
        await points.clock.sleep(max(0.0, at - points.clock.now()))
        if n in missed:
            continue
        try:
            await (begin if begins else end)(points, fault)
            report("begins" if begins else "ends", fault)
        except FaultError:
            missed.add(n)
            report("missed", fault)


def random_faults(
    seed: int | str, duration_s: float, targets: Mapping[str, Iterable[str]], count: int = 10
) -> list[Fault]:
    """Return `count` faults spread over the duration, drawn by the seed; `targets` maps each kind to its targets."""
    draw = random.Random(f"faults-{seed}")
    kinds = sorted(targets)
    faults = []
    for n in range(count):
        kind = kinds[draw.randrange(len(kinds))]
        choice = sorted(targets[kind])
        at = duration_s * (n + draw.random()) / count
        target = draw.choice(choice) if choice else ""
        faults.append(Fault(kind, target, at, draw.uniform(*RANDOM_S), draw.choice(RANDOM_RATES)))
    return faults


def parse_fault(command: str, now: float) -> Fault:
    """Return the fault of a live command "<kind> [<target> [<seconds>]] [rate=<0..1>] [value=<number>]".

    Examples: "cut ocpp:CP1", "loss ocpp:CP1 60 rate=0.2". Raises FaultError if the command is invalid.
    """
    words = [word for word in command.split() if "=" not in word]
    options = dict(word.split("=", 1) for word in command.split() if "=" in word)
    if not 1 <= len(words) <= 3 or not set(options) <= {"rate", "value"}:
        raise FaultError("expected: <kind> [<target> [<seconds>]] [rate=<0..1>] [value=<number>]")
    duration_s = _number(words[2], "seconds") if len(words) == 3 else None
    numbers = {name: _number(text, name) for name, text in options.items()}
    return Fault(words[0], words[1] if len(words) > 1 else "", now, duration_s, **numbers)


def _number(text: str, what: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise FaultError(f"{what} must be a number, not {text!r}") from None
    if not isfinite(number):
        raise FaultError(f"{what} must be finite, not {text}")
    return number
