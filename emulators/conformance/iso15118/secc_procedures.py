"""Procedures of cases for a SECC, made from declarations: refusals, sequences, fields of responses, charge loops."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from emulators.conformance.case import Inconclusive, expect
from emulators.conformance.iso15118.connection import Received
from emulators.conformance.iso15118.plain import Plain
from emulators.conformance.iso15118.profiles import PROFILES, Profile
from emulators.conformance.iso15118.secc_access import SeccAccess
from emulators.conformance.iso15118.vehicle import Vehicle

Procedure = Callable[[SeccAccess], Awaitable[None]]
Check = Callable[[Plain], str]  # returns what is wrong with the fields, "" for nothing
Changes = Mapping[str, object]
SEQUENCE_ERROR = "FAILED_SequenceError"
SAP_RES = "supportedAppProtocolRes"
OK_SAP, NO_SAP = "OK_SuccessfulNegotiation", "Failed_NoNegotiation"
CLOSES_WITHIN_S = 10.0


def any_profile(device: SeccAccess, *, dc: bool | None = None) -> Profile:
    """Return the first profile that the device has. Raises Inconclusive without one."""
    for profile in PROFILES:
        if device.capabilities.has(profile.capability) and dc in (None, profile.dc):
            return profile
    raise Inconclusive("the device has none of the profiles")


def refused(
    profile: Profile,
    before: str,
    step: str,
    codes: str | Sequence[str],
    changes: Changes | None = None,
    *,
    session_id: Callable[[str], str] | None = None,
) -> Procedure:
    """Expect one of the response codes to the request of `step`, sent when `before` is due."""
    wanted = (codes,) if isinstance(codes, str) else tuple(codes)

    async def procedure(device: SeccAccess) -> None:
        vehicle = await device.reach(profile, before)
        other = session_id(vehicle.state.session_id) if session_id is not None else None
        response = await vehicle.request(step, changes, session_id=other)
        expect(response.code in wanted, f"{response.name} has the code {response.code}, not {' or '.join(wanted)}")

    return procedure


def only(profile: Profile, before: str, *unexpected: str) -> Procedure:
    """Expect the due request to be accepted, and a sequence error for each of the unexpected ones in its place."""

    async def procedure(device: SeccAccess) -> None:
        vehicle = await device.reach(profile, before)
        response = await vehicle.request(before)
        expect(response.code.startswith("OK"), f"{before} is due, but {response.name} has the code {response.code}")
        await vehicle.connection.close()
        for step in unexpected:
            vehicle = await device.reach(profile, before)
            response = await vehicle.request(step)
            expect(response.code == SEQUENCE_ERROR, f"{step} is not due, but {response.name} has {response.code}")
            await vehicle.connection.close()

    return procedure


def answered(profile: Profile, step: str, check: Check, changes: Changes | None = None) -> Procedure:
    """Expect an OK response to the request of a step whose fields satisfy `check`."""

    async def procedure(device: SeccAccess) -> None:
        vehicle = await device.reach(profile, step)
        response = await (vehicle.request(step, changes) if changes is not None else vehicle.perform(step))
        expect(response.code.startswith("OK"), f"{response.name} has the code {response.code}")
        wrong = check(response.fields)
        expect(not wrong, f"{response.name}: {wrong}")

    return procedure


def in_loop(
    profile: Profile,
    check: Check,
    changes: Changes | None = None,
    *,
    settle: int = 8,
    judged: int = 8,
    interval_s: float = 0.2,
) -> Procedure:
    """Expect `check` of the last `judged` loop responses, after `settle` ones with the same changed request."""

    async def procedure(device: SeccAccess) -> None:
        vehicle = await device.reach(profile, profile.loop)
        for number in range(settle + judged):
            response = await vehicle.loop(changes)
            expect(response.code.startswith("OK"), f"{response.name} has the code {response.code}")
            wrong = check(response.fields) if number >= settle else ""
            expect(not wrong, f"{response.name}: {wrong}")
            await vehicle.wait(interval_s)
        await finish(vehicle)

    return procedure


async def finish(vehicle: Vehicle) -> None:
    """End a session from its charge loop in the regular way, as far as the device takes part."""
    for step in vehicle.profile.steps[vehicle.profile.steps.index(vehicle.profile.loop) + 1 :]:
        await vehicle.request(step)


async def closed(vehicle: Vehicle, within_s: float = CLOSES_WITHIN_S) -> None:
    """Expect the device to close the connection."""
    began = vehicle.connection.now
    ended = await vehicle.connection.wait_closed(within_s)
    expect(ended, f"the connection is still open {vehicle.connection.now - began:.1f} s later")


async def silent(vehicle: Vehicle, what: str, within_s: float = 1.0) -> None:
    """Expect no message of the device."""
    response = await vehicle.connection.receive(within_s)
    shown = "" if response is None else response.name or response.error
    expect(response is None, f"{what} is answered with {shown}")
    expect(not vehicle.connection.closed, f"{what} ends the connection")


def positive(response: Received) -> None:
    """Expect a code that is not FAILED."""
    expect(not response.code.startswith("FAILED"), f"{response.name} has the code {response.code}")
