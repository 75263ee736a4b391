"""The tester as vehicle: one session with a SECC, step by step, with any deviation."""

from __future__ import annotations

from collections.abc import Mapping

from emulators.conformance.case import Failed, Inconclusive, expect, precondition
from emulators.conformance.evidence import Evidence
from emulators.conformance.iso15118.connection import Connection, Received
from emulators.conformance.iso15118.plain import Plain, changed, number, with_header
from emulators.conformance.iso15118.profiles import STOP, Profile
from emulators.conformance.iso15118.requests import RENEGOTIATE, ZERO, ZERO_20, VehicleState, build
from protocols.iso15118.iso20.timers import SEQUENCE_LOOP
from protocols.json_values import members
from protocols.ports import Clock

RESPONSE_WITHIN_S = 6.0  # the timers of the standards are judged by cases of their own
POLL_S = 0.1
ONGOING_WITHIN_S = 60.0
LATE_S = 0.9 * SEQUENCE_LOOP  # pause after a charge loop response of ISO 15118-20
MATCHED_V = 20.0
POLLED = {"AuthorizationReq", "ContractAuthenticationReq", "ChargeParameterDiscoveryReq", "ScheduleExchangeReq"}
POLLED |= {"CableCheckReq", "DC_CableCheckReq"}
SETUP = "SessionSetupReq"


class Vehicle:
    """One session of the tester's vehicle. `history` has the responses of the steps so far, by step."""

    def __init__(self, profile: Profile, connection: Connection, clock: Clock, evidence: Evidence) -> None:
        self.profile, self.connection = profile, connection
        self.state = VehicleState(profile)
        self.history: dict[str, Received] = {}
        self.elapsed: list[tuple[str, float]] = []  # response times
        self.resumes: str | None = None  # session id of SessionSetupReq; None: zero
        self._loop_at: float | None = None  # time of the last message, if it was a charge loop response
        self._clock, self._evidence = clock, evidence

    # messages

    async def handshake(self, entries: list[Plain] | None = None) -> Received:
        """Offer protocols, by default that of the profile; return the response."""
        offered = entries if entries is not None else [entry(self.profile)]
        plain: Plain = {"supportedAppProtocolReq": {"AppProtocol": offered}}
        return await self.exchange("supportedAppProtocolReq", plain)

    def message(self, step: str, changes: Mapping[str, object] | None = None, session_id: str | None = None) -> Plain:
        """Return the request of a step, with changed fields."""
        self.state.timestamp = int(self._clock.wall())
        name, fields = build(step, self.state)
        return with_header(
            self.profile.protocol,
            name,
            changed(fields, changes or {}),
            self._id(name, session_id),
            self.state.timestamp,
        )

    def _id(self, name: str, session_id: str | None) -> str:
        if session_id is not None:
            return session_id
        zero = ZERO_20 if self.profile.protocol == "iso20" else ZERO
        if name == SETUP:
            return self.resumes or zero
        return self.state.session_id or zero

    async def request(
        self, step: str, changes: Mapping[str, object] | None = None, *, session_id: str | None = None
    ) -> Received:
        """Send the request of a step and return its response. Raises Failed without one, or with another one."""
        plain = self.message(step, changes, session_id)
        name = "PowerDeliveryReq" if step in (STOP, RENEGOTIATE) else step
        response = await self.exchange(name, plain)
        if response.name == "SessionSetupRes":
            self.state.session_id = response.session_id
        self.state.learn(response.name, response.fields)
        self.history[step] = response
        return response

    async def exchange(self, name: str, plain: Plain, payload_type: int | None = None) -> Received:
        """Send a message and return its response. Raises Failed without one, or with another one.

        A SECC that closes the connection because the tester was late in the charge loop, on a busy machine, is not
        judged: Inconclusive.
        """
        began = self._clock.now()
        pause = 0.0 if self._loop_at is None else began - self._loop_at
        await self.connection.send(name, plain, payload_type)
        try:
            response = await self.answer(name)
        except Failed:
            if self.connection.closed and pause > LATE_S:
                raise Inconclusive(f"the tester sent {name} {pause:.2f} s after the charge loop response") from None
            raise
        iso20_loop = self.profile.protocol == "iso20" and response.name.endswith("ChargeLoopRes")
        self._loop_at = response.at if iso20_loop else None
        self.elapsed.append((name, response.at - began))
        return response

    async def answer(self, name: str, within_s: float = RESPONSE_WITHIN_S) -> Received:
        """Return the response to a request that was sent. Raises Failed."""
        response = await self.connection.receive(within_s)
        wanted = f"{name[:-3]}Res"
        if response is None:
            why = "connection closed" if self.connection.closed else f"no response within {within_s:g} s"
            raise Failed(f"{name}: {why} instead of {wanted}")
        expect(not response.error, f"{name}: the response cannot be decoded: {response.error}")
        expect(response.name == wanted, f"{name}: {response.name} instead of {wanted}")
        return response

    # steps

    async def perform(self, step: str) -> Received:
        """Perform a step as an ordinary vehicle: poll while it is ongoing. Raises Failed for a code that is not OK."""
        deadline = self._clock.now() + ONGOING_WITHIN_S
        while True:
            finished = step == "DC_PreChargeReq" and abs(self.state.inlet_v - self.state.voltage_v) <= MATCHED_V
            response = await self.request(step)
            expect(response.code.startswith("OK"), f"{response.name} has the code {response.code}")
            if self._finished(step, response, finished):
                return response
            expect(self._clock.now() < deadline, f"{step} is not finished within {ONGOING_WITHIN_S:g} s")
            await self._clock.sleep(POLL_S)

    def _finished(self, step: str, response: Received, stated: bool) -> bool:
        if step in POLLED:
            return response.fields.get("EVSEProcessing") == "Finished"
        if step == "DC_PreChargeReq":
            return stated
        if step == "PreChargeReq":
            return abs(number(response.fields.get("EVSEPresentVoltage")) - self.state.voltage_v) <= MATCHED_V
        return True

    async def run_to(self, before: str) -> None:
        """Perform the steps before the one named; includes the handshake. Raises Failed."""
        response = await self.handshake()
        expect(response.code.startswith("OK"), f"the SECC does not support {self.profile.name}: {response.code}")
        for step in self.profile.steps:
            if step == before:
                return
            await self.perform(step)

    async def reach(self, before: str) -> Vehicle:
        """Perform the steps before the one named as a precondition; return this vehicle. Raises Inconclusive."""
        with precondition(f"{self.profile.name}: the next request is {before}"):
            await self.run_to(before)
        return self

    async def loop(self, changes: Mapping[str, object] | None = None) -> Received:
        """Exchange one request of the charge loop, and record its power."""
        response = await self.request(self.profile.loop, changes)
        fields = response.fields
        current, voltage = number(fields.get("EVSEPresentCurrent")), number(fields.get("EVSEPresentVoltage"))
        if current == current:  # not NaN
            self._evidence.sample(current_a=current, power_w=current * voltage, voltage_v=voltage)
        for mode in (members(value) for name, value in fields.items() if name.endswith("AC_CLResControlMode")):
            if "EVSETargetActivePower" in mode:
                self._evidence.sample(target_w=total(mode, "EVSETargetActivePower"))
        return response

    async def wait(self, seconds: float) -> None:
        """Wait."""
        await self._clock.sleep(seconds)


def entry(profile: Profile, schema: int = 1, priority: int = 1, **changes: object) -> Plain:
    """Return an entry of supportedAppProtocolReq."""
    return {
        "ProtocolNamespace": profile.namespace,
        "VersionNumberMajor": profile.major,
        "VersionNumberMinor": 0,
        "SchemaID": schema,
        "Priority": priority,
        **changes,
    }


def total(mode: Plain, name: str) -> float:
    """Return a power of all phases: the plain field alone is the total, with others it is that of L1."""
    return sum(number(mode[key]) for key in (name, f"{name}_L2", f"{name}_L3") if key in mode)
