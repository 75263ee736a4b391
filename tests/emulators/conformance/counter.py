"""A small device for tests of the framework: a counter that answers text messages, with a bench and a catalogue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from emulators.conformance.bench import DeviceUnreachable, Discovery
from emulators.conformance.capabilities import Capabilities, Capability, DeviceIdentity
from emulators.conformance.case import Case, Requirement, expect, precondition
from emulators.conformance.catalogue import Catalogue
from emulators.conformance.evidence import Evidence


class Counter:
    """A device that counts; `step` is what a correct one adds."""

    def __init__(self, step: int = 1, silent: bool = False) -> None:
        self.value, self.step, self.silent = 0, step, silent

    async def increment(self, evidence: Evidence) -> int:
        """Increment and return the value."""
        evidence.sent("Increment", "{}")
        if self.silent:
            await asyncio.sleep(1e9)
        await asyncio.sleep(1.0)
        self.value += self.step
        evidence.received("Value", f"{self.value}")
        evidence.sample(power_w=float(self.value))
        return self.value


class Access:
    """Access of one case."""

    def __init__(self, counter: Counter, evidence: Evidence) -> None:
        self.counter, self.evidence = counter, evidence

    async def increment(self) -> int:
        """Increment and return the value."""
        return await self.counter.increment(self.evidence)


class CounterBench:
    """Access to a counter; a mutant counts wrongly."""

    target = "counter:1"

    def __init__(self, counter: Counter | None = None, reachable: bool = True) -> None:
        self.counter, self.reachable = counter or Counter(), reachable
        self.opened: list[str] = []

    async def discover(self, evidence: Evidence) -> Discovery:
        """See `Bench`."""
        if not self.reachable:
            raise DeviceUnreachable("nothing answers")
        return Discovery(DeviceIdentity(vendor="Example", name="Counter", firmware="1.0"), {"down": False})

    @asynccontextmanager
    async def access(self, case: str, evidence: Evidence, capabilities: Capabilities) -> AsyncIterator[Access]:
        """See `Bench`."""
        self.opened.append(case)
        if not self.reachable:
            raise DeviceUnreachable("nothing answers")
        self.counter.value = 0
        yield Access(self.counter, evidence)


async def counts(device: Access) -> None:
    """Expect the sequence 1, 2."""
    first, second = await device.increment(), await device.increment()
    expect((first, second) == (1, 2), f"values {first}, {second} <script>")


async def reaches_two(device: Access) -> None:
    """Expect 3 after 2."""
    with precondition("the counter is at 2"):
        await device.increment()
        value = await device.increment()
        expect(value == 2, f"value {value}")
    expect(await device.increment() == 3, "not 3")


async def broken(device: Access) -> None:
    """Raise an error of the tester."""
    raise KeyError("table")


def case(name: str, procedure: object, reference: str, **rest: object) -> Case[Access, int]:
    """Return a case; its mutant is a wrong step."""
    return Case(
        id=name,
        requirement=Requirement("Counters", reference, "counts in steps of one"),
        feature="counting",
        stimulus="two increments",
        expectation="1, then 2",
        procedure=procedure,  # type: ignore[arg-type]
        mutants=(2,),
        **rest,  # type: ignore[arg-type]
    )


CASES = (
    case("C-01", counts, "1.1", tags=frozenset({"nominal"})),
    case("C-02", reaches_two, "1.2", tags=frozenset({"nominal", "long"}), within_s=30.0),
    case("C-03", counts, "1.3", requires=("down",), tags=frozenset({"negative"})),
)
CATALOGUE = Catalogue(
    role="counter",
    title="Counters",
    cases=CASES,
    capabilities={"down": Capability("counts down"), "up": Capability("counts up")},
)
