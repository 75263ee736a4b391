"""The plan of the rounds of faults: a seed and a number decide all of a round, so that it can be repeated alone."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Faults of a part."""

    KILL = "kill"  # SIGKILL, then it is started again
    PAUSE = "pause"  # SIGSTOP, SIGCONT
    CUT = "cut"  # off from all other parts
    ISOLATE = "isolate"  # a gateway from NATS alone: it still reaches stations, broker and Postgres
    DRAIN = "drain"  # SIGTERM, then it is started again


class Part(StrEnum):
    """Parts; of several one is drawn."""

    HOLDER = "holder"
    OTHER = "other"  # a gateway that is not the holder
    NATS = "nats"
    POSTGRES = "postgres"
    STATIONS = "stations"  # a group of stations


@dataclass(frozen=True)
class Fault:
    """A kind of fault of a kind of part."""

    kind: Kind
    part: Part

    def __str__(self) -> str:
        return f"{self.kind} {self.part}"


EACH = tuple(Fault(kind, part) for part in Part for kind in (Kind.KILL, Kind.PAUSE, Kind.CUT))
GATEWAY = (Fault(Kind.ISOLATE, Part.HOLDER), Fault(Kind.DRAIN, Part.HOLDER), Fault(Kind.DRAIN, Part.OTHER))
ALL = EACH + GATEWAY
SHORT = tuple(
    one
    for one in ALL
    if str(one)
    in {
        "kill holder", "pause holder", "isolate holder", "drain holder", "kill other", "kill nats", "pause nats",
        "kill postgres", "cut postgres", "cut stations",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Round:
    """One round. Times in s."""

    seed: int
    number: int
    fault: Fault
    after_s: float  # the commands of the first half of the EVSEs
    lasts_s: float  # a pause or a cut, or until a killed part is started again
    then_s: float  # of a holder, beyond the take-over
    which: float  # of several parts: 0 the first, below 1 the last

    def __str__(self) -> str:
        times = f"after {self.after_s:.2f} s for {self.lasts_s:.2f} s, beyond a take-over {self.then_s:.2f} s"
        return f"seed {self.seed}, round {self.number}: {self.fault} (of several: {self.which:.2f}) {times}"

    def choose(self, names: list[str]) -> str:
        """Return one of some parts."""
        return names[int(self.which * len(names))]


def round_of(seed: int, number: int, lease_s: float, faults: tuple[Fault, ...] = ALL, longest: float = 2.0) -> Round:
    """Return a round, from 1. Each fault comes once in as many rounds, in another order each time.

    A pause or a cut lasts for `longest` times the lease at most.
    """
    turn, place = divmod(number - 1, len(faults))
    order = list(faults)
    random.Random(f"{seed} turn {turn}").shuffle(order)
    drawn = random.Random(f"{seed} round {number}")
    fault = order[place]
    return Round(
        seed, number, fault,
        after_s=lease_s * drawn.uniform(0.0, 0.1),
        lasts_s=lease_s * drawn.uniform(0.1, 0.5 if fault.kind is Kind.KILL else longest),
        then_s=lease_s * drawn.uniform(0.0, 0.1),
        which=drawn.random(),
    )  # fmt: skip
