"""Procedures of cases for a SECC that ISO 15118-2 and DIN SPEC 70121 share."""

from __future__ import annotations

from emulators.conformance.case import NotApplicable, expect
from emulators.conformance.iso15118.mutation import Mutant
from emulators.conformance.iso15118.plain import Plain, find, number
from emulators.conformance.iso15118.profiles import Profile
from emulators.conformance.iso15118.secc_access import SeccAccess
from emulators.conformance.iso15118.secc_procedures import SEQUENCE_ERROR, Check, Procedure, closed
from protocols.json_values import items

UNKNOWN_ID = "1122334455667788"
TUPLES = "SAScheduleList.SAScheduleTuple"
LATE_S = 5.0
EVSE_DC = "DC_EVSEChargeParameter"


def while_ongoing(profile: Profile, step: str, unexpected: str) -> Procedure:
    """Expect a sequence error for the next request while the SECC is still processing the due one."""

    async def procedure(device: SeccAccess) -> None:
        vehicle = await device.reach(profile, step)
        response = await vehicle.request(step)
        if response.fields.get("EVSEProcessing") != "Ongoing":
            raise NotApplicable(f"the SECC finishes {step} with the first response")
        response = await vehicle.request(unexpected)
        expect(response.code == SEQUENCE_ERROR, f"{unexpected} has the code {response.code}")

    return procedure


def in_running_loop(profile: Profile, *unexpected: str) -> Procedure:
    """Expect the loop request to be accepted again, and a sequence error for each of the others."""

    async def procedure(device: SeccAccess) -> None:
        for step in (profile.loop, *unexpected):
            vehicle = await device.reach(profile, profile.loop)
            await vehicle.loop()
            response = await vehicle.request(step)
            good = response.code.startswith("OK") if step == profile.loop else response.code == SEQUENCE_ERROR
            expect(good, f"{step} in the loop has the code {response.code}")
            await vehicle.connection.close()

    return procedure


def closes_after_error(profile: Profile, before: str, unexpected: str) -> Procedure:
    """Expect the SECC to close the connection after a sequence error."""

    async def procedure(device: SeccAccess) -> None:
        vehicle = await device.reach(profile, before)
        await vehicle.request(unexpected)
        await closed(vehicle)

    return procedure


def keeps_session_id(profile: Profile) -> Procedure:
    """Expect the id of the session in every response."""

    async def procedure(device: SeccAccess) -> None:
        vehicle = await device.vehicle(profile)
        await vehicle.run_to(profile.loop)
        for step, response in vehicle.history.items():
            same = response.session_id == vehicle.state.session_id
            expect(same, f"the response to {step} has the session id {response.session_id}")

    return procedure


def new_for_unknown(profile: Profile, session_id: str) -> Procedure:
    """Expect a new session for an unknown id."""

    async def procedure(device: SeccAccess) -> None:
        vehicle = await device.reach(profile, "SessionSetupReq")
        response = await vehicle.request("SessionSetupReq", session_id=session_id)
        expect(response.code == "OK_NewSessionEstablished", f"the code is {response.code}")
        own = response.session_id.strip("0")
        expect(bool(own) and response.session_id != session_id, f"the session id is {response.session_id!r}")

    return procedure


def timely(profile: Profile, step: str, within_s: float) -> Procedure:
    """Expect a step to be finished in time."""

    async def procedure(device: SeccAccess) -> None:
        vehicle = await device.reach(profile, step)
        began = vehicle.connection.now
        response = await vehicle.perform(step)
        took = vehicle.connection.now - began
        expect(response.code.startswith("OK"), f"{response.name} has the code {response.code}")
        expect(took <= within_s, f"{step} is finished after {took:.1f} s")

    return procedure


def prompt(profile: Profile, within_s: float, *, only: tuple[str, ...] = (), but: tuple[str, ...] = ()) -> Procedure:
    """Expect every response of a whole session in time; `only` or all `but` some requests."""

    async def procedure(device: SeccAccess) -> None:
        vehicle = await device.vehicle(profile)
        await vehicle.run_to("")
        chosen = [(n, t) for n, t in vehicle.elapsed if (n in only if only else n not in but)]
        late = [f"{name} {took:.3f} s" for name, took in chosen if took > within_s]
        expect(not late, f"later than {within_s:g} s: {', '.join(late)}")

    return procedure


def prompt_loop(profile: Profile, within_s: float) -> Procedure:
    """Expect every response of the loop in time."""

    async def procedure(device: SeccAccess) -> None:
        vehicle = await device.reach(profile, profile.loop)
        vehicle.elapsed.clear()
        for _ in range(20):
            await vehicle.loop()
            await vehicle.wait(0.1)
        late = [f"{took:.3f} s" for _, took in vehicle.elapsed if took > within_s]
        expect(not late, f"later than {within_s:g} s: {', '.join(late)}")

    return procedure


def silence(profile: Profile, before: str, after_s: float) -> Procedure:
    """Expect the SECC to close a connection on which the vehicle sends no more requests."""

    async def procedure(device: SeccAccess) -> None:
        vehicle = await device.reach(profile, before)
        began = vehicle.connection.now
        ended = await vehicle.connection.wait_closed(after_s + LATE_S)
        passed = vehicle.connection.now - began
        expect(ended, f"the connection is still open after {passed:.1f} s without a request")
        expect(passed >= after_s - LATE_S, f"the connection is closed after {passed:.2f} s without a request")

    return procedure


def silent_connection(profile: Profile, within_s: float) -> Procedure:
    """Expect the SECC to close a connection without a session."""

    async def procedure(device: SeccAccess) -> None:
        vehicle = await device.vehicle(profile)
        await vehicle.handshake()
        ended = await vehicle.connection.wait_closed(within_s + LATE_S)
        expect(ended, f"a connection without a session is still open after {within_s + LATE_S:g} s")

    return procedure


def no_overshoot(profile: Profile, for_s: float = 3.0) -> Procedure:
    """Expect the output never far above the target voltage during pre-charge."""

    async def procedure(device: SeccAccess) -> None:
        vehicle = await device.reach(profile, "PreChargeReq")
        end = vehicle.connection.now + for_s
        while vehicle.connection.now < end:
            response = await vehicle.request("PreChargeReq")
            wrong = voltage_below(vehicle.state.voltage_v, 20.0)(response.fields)
            expect(not wrong, wrong)
            await vehicle.wait(0.1)

    return procedure


def off_after_stop(profile: Profile) -> Procedure:
    """Expect no voltage at the output after PowerDelivery with stop."""

    async def procedure(device: SeccAccess) -> None:
        vehicle = await device.reach(profile, "WeldingDetectionReq")
        voltage = float("inf")
        for _ in range(20):
            response = await vehicle.request("WeldingDetectionReq")
            voltage = number(response.fields.get("EVSEPresentVoltage"))
            if voltage < 60:
                return
            await vehicle.wait(0.25)
        expect(voltage < 60, f"EVSEPresentVoltage is {voltage:g} V, 5 s after the stop")

    return procedure


def unless_ok(message: str, first: int = 1) -> Mutant:
    """Return a mutant that accepts what the device refuses, from its nth such message."""
    return Mutant(
        text=f"{message} OK instead of a refusal",
        message=message,
        first=first,
        when=lambda fields: str(fields.get("ResponseCode", "OK")).startswith("FAILED"),
        rewrite=lambda fields: {**fields, "ResponseCode": "OK"},
    )


# checks of fields ----------------------------------------------------------------------------------------------------


def isolated(fields: Plain) -> str:
    """Return what is wrong with the state of a finished cable check."""
    status, code = (find(fields, f"DC_EVSEStatus.{name}") for name in ("EVSEIsolationStatus", "EVSEStatusCode"))
    if status not in ("Valid", "Warning"):
        return f"EVSEIsolationStatus is {status}"
    return "" if code == "EVSE_Ready" else f"EVSEStatusCode is {code}"


def limits_in_order(fields: Plain) -> str:
    """Return what is wrong with the limits of charge parameter discovery."""
    for what in ("Current", "Voltage"):
        low, high = (number(find(fields, f"{EVSE_DC}.EVSE{side}{what}Limit")) for side in ("Minimum", "Maximum"))
        if not 0 <= low <= high:
            return f"EVSEMinimum{what}Limit is {low:g}, EVSEMaximum{what}Limit {high:g}"
    power = number(find(fields, f"{EVSE_DC}.EVSEMaximumPowerLimit"))
    return "" if not power < 0 else f"EVSEMaximumPowerLimit is {power:g}"


def tuple_ids(fields: Plain) -> str:
    """Return what is wrong with the ids of the schedule tuples."""
    given = [number(find(one, "SAScheduleTupleID")) for one in items(find(fields, TUPLES))]
    good = 1 <= len(given) <= 3 and len(set(given)) == len(given) and all(1 <= one <= 255 for one in given)
    return "" if good else f"ids of the schedule tuples are {given}"


def starts_at_zero(entries: str) -> Check:
    """Return a check of the starts of the entries at a path within a schedule tuple."""

    def check(fields: Plain) -> str:
        for one in items(find(fields, TUPLES)):
            starts = [number(find(entry, "RelativeTimeInterval.start")) for entry in items(find(one, entries))]
            if not starts or starts[0] != 0 or starts != sorted(set(starts)):
                return f"entries of PMaxSchedule start at {starts}"
        return ""

    return check


def current_between(low: float, high: float, slack: float = 1.0) -> Check:
    """Return a check of EVSEPresentCurrent, in A."""

    def check(fields: Plain) -> str:
        current = number(fields.get("EVSEPresentCurrent"))
        inside = low - slack <= current <= high + slack
        return "" if inside else f"EVSEPresentCurrent is {current:g} A, outside {low:g} to {high:g} A"

    return check


def voltage_below(high: float, slack: float = 10.0) -> Check:
    """Return a check of EVSEPresentVoltage, in V."""

    def check(fields: Plain) -> str:
        voltage = number(fields.get("EVSEPresentVoltage"))
        return "" if voltage <= high + slack else f"EVSEPresentVoltage is {voltage:g} V, above {high:g} V"

    return check
