"""Connections on which an injection acts: a wire over TCP, and a link in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from emulators.faults.injection_file import InjectionFile, LinkInjectPart
from emulators.faults.message_injection import Applied, Injection, Rule
from emulators.runtime.clock import RealClock
from emulators.runtime.transports import Link, Tamper
from emulators.runtime.wrapped_wire import WrappedWire
from protocols.ports import Clock, Wire

Report = Callable[[Applied], None]


class InjectedWire(WrappedWire):
    """A wire whose written messages are changed."""

    def __init__(self, wire: Wire, clock: Clock, injection: Injection, report: Report = lambda applied: None) -> None:
        super().__init__(wire)
        self._clock, self._injection, self._report = clock, injection, report

    async def write(self, data: bytes) -> None:
        """See `Wire`."""
        before = len(self._injection.applied)
        deliveries = self._injection.apply(data)
        for applied in self._injection.applied[before:]:
            self._report(applied)
        for delivery in deliveries:
            if delivery.delay_s:
                await self._clock.sleep(delivery.delay_s)
            if delivery.data:
                await self._wire.write(delivery.data)
            if delivery.close:
                await self._wire.close()
                return


def from_file(file: InjectionFile, report: Callable[[str], None]) -> Callable[[Wire], Wire]:
    """Return a function that applies the injections of a file to each new wire, and reports each in words."""
    rules = [part.rule() for part in file.inject]

    def applied(one: Applied) -> None:
        report(f"injected into {one.message} {one.occurrence}: rule {one.rule}{f', {one.error}' if one.error else ''}")

    return lambda wire: InjectedWire(wire, RealClock(), Injection(rules, file.seed), applied)


def on_link(parts: Sequence[LinkInjectPart], evse: str, seed: int | str) -> Callable[[Link[bytes]], Tamper[bytes]]:
    """Return a function that applies the injections of a scenario to each new link of an EVSE."""
    rules: dict[str, list[Rule]] = {}
    for part in parts:
        for sender in part.senders() if part.evse in ("", evse) else ():
            rules.setdefault(sender, []).append(part.rule())

    def attach(link: Link[bytes]) -> Tamper[bytes]:
        return tamper({sender: Injection(found, f"{seed}-{evse}-{sender}") for sender, found in rules.items()}, link)

    return attach


def tamper(injections: dict[str, Injection], link: Link[bytes]) -> Tamper[bytes]:
    """Return the effect of the injections on a link in memory, by sender (`ev`, `secc`)."""

    def apply(sender: str, data: bytes) -> list[tuple[float, bytes]]:
        if sender not in injections:
            return [(0.0, data)]
        found: list[tuple[float, bytes]] = []
        at = 0.0
        for delivery in injections[sender].apply(data):
            at += delivery.delay_s
            if delivery.data:
                found.append((at, delivery.data))
            if delivery.close:
                link.cut()
        return found

    return apply
