"""Procedures of cases for an EV, made from declarations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from emulators.conformance.case import Failed, expect
from emulators.conformance.iso15118.connection import Received
from emulators.conformance.iso15118.ev_access import EvAccess
from emulators.conformance.iso15118.plain import Plain
from emulators.conformance.iso15118.profiles import Profile
from emulators.conformance.iso15118.station import Station

Procedure = Callable[[EvAccess], Awaitable[None]]
Check = Callable[[Plain], str]  # returns what is wrong with the fields, "" for nothing
Changes = Mapping[str, object]
ENDS_WITHIN_S = 5.0


def requested(profile: Profile, step: str, check: Check) -> Procedure:
    """Expect the fields of the first request of a step to satisfy `check`."""

    async def procedure(device: EvAccess) -> None:
        station = await device.station(profile)
        request = await station.reach(step)
        wrong = check(request.fields)
        expect(not wrong, f"{request.name}: {wrong}")
        await station.finish()

    return procedure


def repeated(profile: Profile, step: str, ongoing: Changes, times: int = 3, same: bool = False) -> Procedure:
    """Expect the request of a step to be repeated while the response is ongoing; `same`: without a change."""

    async def procedure(device: EvAccess) -> None:
        station = await device.station(profile)
        request = await station.reach(step)
        first = request.fields
        for _ in range(times):
            await station.answer(request, ongoing)
            request = await station.next(step, within_s=5.0)
            differs = same and _content(request.fields) != _content(first)
            expect(not differs, f"the repeated {step} differs from the first one")
        await station.finish()

    return procedure


def _content(fields: Plain) -> Plain:
    return {name: value for name, value in fields.items() if name != "Header"}


def ends_after(profile: Profile, step: str, changes: Changes, *, allowed: tuple[str, ...] = ()) -> Procedure:
    """Expect the EV to end after the changed response to a step: no request but the `allowed` ones, then the close."""

    async def procedure(device: EvAccess) -> None:
        station = await device.station(profile)
        request = await station.reach(step)
        await station.answer(request, changes)
        await ended(station, allowed)

    return procedure


async def ended(station: Station, allowed: tuple[str, ...] = (), within_s: float = ENDS_WITHIN_S) -> None:
    """Expect the EV to close the connection; requests of the allowed steps are answered."""
    deadline = station.now + within_s
    while not station.connection.closed:
        request = await station.receive(max(deadline - station.now, 0.0))
        if request is None:
            expect(station.connection.closed, f"the connection is still open after {within_s:g} s")
            return
        step = station.step_of(request)
        expect(step in allowed, f"the EV goes on with {step}")
        await station.answer(request)


def silent_response(profile: Profile, step: str, at_least_s: float, within_s: float) -> Procedure:
    """Expect the EV to end between two times after a request that gets no response."""

    async def procedure(device: EvAccess) -> None:
        station = await device.station(profile)
        await station.reach(step)
        began = station.now
        request = await station.receive(within_s)
        passed = station.now - began
        shown = "" if request is None else request.name
        expect(request is None, f"the EV sends {shown} {passed:.2f} s after a request without a response")
        expect(station.connection.closed, f"the EV still waits after {passed:.2f} s")
        expect(passed >= at_least_s, f"the EV ends after {passed:.2f} s, before the time-out of {at_least_s:g} s")

    return procedure


async def looping(device: EvAccess, profile: Profile, loops: int = 3) -> Station:
    """Return a station in the charge loop."""
    station = await device.station(profile)
    await station.reach(profile.loop)
    await station.loops(loops)
    return station


async def until(station: Station, step: str, changes: Changes | None = None, within_s: float = 20.0) -> Received:
    """Answer the loop with changed responses until the EV sends the request of a step. Raises Failed."""
    deadline = station.now + within_s
    while station.now < deadline:
        request = station.due or await station.receive(deadline - station.now)
        if request is None:
            break
        if station.step_of(request) == step:
            return request
        expect(request.name == station.profile.loop, f"the EV sends {station.step_of(request)}, not {step}")
        await station.answer(request, changes)
    why = "closes the connection instead of" if station.connection.closed else f"within {within_s:g} s does not send"
    raise Failed(f"the EV {why} {step}")


def reacts(
    profile: Profile, changes: Changes, *steps: str, within_s: float = 20.0, check: Check | None = None
) -> Procedure:
    """Expect the steps, in order, after the changed responses of the loop; `check` the last request."""

    async def procedure(device: EvAccess) -> None:
        station = await looping(device, profile)
        request = await until(station, steps[0], changes, within_s)
        for step in steps[1:]:
            await station.answer(request)
            request = await station.next(within_s=10.0)
            while station.step_of(request) != step and request.name in OPTIONAL:
                await station.answer(request)
                request = await station.next(within_s=10.0)
            expect(station.step_of(request) == step, f"the EV sends {station.step_of(request)}, not {step}")
        wrong = check(request.fields) if check is not None else ""
        expect(not wrong, f"{request.name}: {wrong}")
        await station.finish()

    return procedure


OPTIONAL = ("DC_WeldingDetectionReq", "WeldingDetectionReq")
