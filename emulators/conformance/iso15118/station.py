"""The tester as SECC: one session with an EV, response by response, with any deviation."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from emulators.conformance.case import Failed, Inconclusive, NotApplicable, expect
from emulators.conformance.evidence import Evidence
from emulators.conformance.iso15118.connection import Connection, Received
from emulators.conformance.iso15118.plain import Plain, changed, number, with_header
from emulators.conformance.iso15118.profiles import STOP, Profile
from emulators.conformance.iso15118.responses import StationState, build
from protocols.json_values import items, members
from protocols.ports import Clock
from protocols.v2gtp import PayloadType

MOST_REQUESTS = 100  # of the end of a session
REQUEST_WITHIN_S = 60.0  # a vehicle may take its time outside the loop
SESSION_ID_20, SESSION_ID_2 = "A1B2C3D4E5F60718", "A1B2C3D4E5F60718"
STREAMS = (int(PayloadType.ISO20_SCHEDULE_STREAM), int(PayloadType.ISO20_METERING_STREAM))
Decide = Callable[[Received], Mapping[str, object] | None]


class Station:
    """One session of the tester's station. `history`: all requests so far, `offered`: the entries of the handshake."""

    def __init__(self, profile: Profile, connection: Connection, clock: Clock, evidence: Evidence) -> None:
        self.profile, self.connection = profile, connection
        self.state = StationState(profile, SESSION_ID_20 if profile.protocol == "iso20" else SESSION_ID_2)
        self.history: list[Received] = []
        self.offered: list[Plain] = []
        self.due: Received | None = None  # the last request, not answered yet
        self._clock, self._evidence = clock, evidence

    @property
    def now(self) -> float:
        """Monotonic time."""
        return self._clock.now()

    def sent(self, name: str) -> list[Received]:
        """Return the requests of a name so far."""
        return [one for one in self.history if one.name == name]

    # handshake

    async def handshake(self, code: str = "OK_SuccessfulNegotiation") -> None:
        """Answer the handshake with the profile's protocol. Raises NotApplicable if the EV does not offer it."""
        request = await self.next("supportedAppProtocolReq")
        self.offered = [members(one) for one in items(request.fields.get("AppProtocol"))]
        mine = [one for one in self.offered if one.get("ProtocolNamespace") == self.profile.namespace]
        if not mine:
            raise NotApplicable(f"the EV does not offer {self.profile.namespace}")
        fields: Plain = {"ResponseCode": code}
        if not code.startswith("Failed"):
            fields["SchemaID"] = mine[0].get("SchemaID")
        await self.connection.send("supportedAppProtocolRes", {"supportedAppProtocolRes": fields})
        self.due = None

    # requests and responses

    async def receive(self, within_s: float) -> Received | None:
        """Return the next request; None after the time, or at the end of the connection."""
        request = await self.connection.receive(within_s)
        if request is None:
            return None
        expect(not request.error, f"a request cannot be decoded: {request.error}")
        self.history.append(request)
        self.state.learn(request.name, request.fields)
        self.due = request
        return request

    async def next(self, name: str = "", within_s: float = REQUEST_WITHIN_S) -> Received:
        """Return the next request. Raises Failed without one, or with another than `name`."""
        request = await self.receive(within_s)
        if request is None:
            why = "the EV closes the connection" if self.connection.closed else f"no request within {within_s:g} s"
            raise Failed(f"{why}{f', {name} is due' if name else ''}")
        expect(not name or request.name == name, f"{request.name} instead of {name}")
        return request

    async def answer(
        self, request: Received, changes: Mapping[str, object] | None = None, session_id: str | None = None
    ) -> None:
        """Send the response to a request, with changed fields."""
        self.state.timestamp = int(self._clock.wall())
        name = f"{request.name[:-3]}Res"
        fields = changed(build(request.name, request.fields, self.state), changes or {})
        own = self.state.session_id if session_id is None else session_id
        plain = with_header(self.profile.protocol, name, fields, own, self.state.timestamp)
        stream = request.payload_type if request.payload_type in STREAMS else None
        await self.connection.send(name, plain, stream)
        self.due = None

    # steps

    async def serve(self, until: str, decide: Decide | None = None, most: int = 400) -> Received:
        """Answer requests as an ordinary station up to the one of the step `until`; return it without a response.

        `decide` returns changes of the response to a request.
        """
        for _ in range(most):
            request = await self.next()
            if self.step_of(request) == until:
                return request
            await self.answer(request, decide(request) if decide is not None else None)
        raise Failed(f"{until} is not sent after {most} requests")

    async def reach(self, until: str) -> Received:
        """Answer requests up to a step as a precondition. Raises Inconclusive or NotApplicable."""
        try:
            await self.handshake()
            return await self.serve(until)
        except Failed as failure:
            if self.sent("ServiceDetailReq") and not self.sent("ServiceSelectionReq"):
                raise NotApplicable(f"the EV selects no service of {self.profile.name}") from failure
            if self._ends_at_services():
                raise NotApplicable(f"the EV ends the session at the services of {self.profile.name}") from failure
            raise Inconclusive(f"precondition not met: the EV sends {until}: {failure}") from failure

    def _ends_at_services(self) -> bool:
        """Return True if the EV has ended a session of ISO 15118-2 or DIN SPEC 70121 after ServiceDiscoveryRes."""
        names = [one.name for one in self.history if one.name != "SessionStopReq"]
        return self.profile.protocol != "iso20" and names[-1:] == ["ServiceDiscoveryReq"]

    def step_of(self, request: Received) -> str:
        """Return the step of a request: PowerDeliveryReq that ends the loop is a step of its own."""
        if request.name != "PowerDeliveryReq":
            return request.name
        stops = request.fields.get("ChargeProgress") == "Stop" or request.fields.get("ReadyToChargeState") is False
        return STOP if stops else request.name

    async def loops(self, count: int, changes: Mapping[str, object] | None = None) -> list[Received]:
        """Answer a number of loop requests; return them. Other requests are answered as well. Raises Failed."""
        found: list[Received] = []
        while len(found) < count:
            request = self.due or await self.next(within_s=5.0)
            if request.name == self.profile.loop:
                found.append(request)
                self._sample(request.fields)
            await self.answer(request, changes if request.name == self.profile.loop else None)
        return found

    def _sample(self, fields: Plain) -> None:
        for name, value in fields.items():
            mode = members(value)
            if name.endswith("CLReqControlMode") and "EVPresentActivePower" in mode:
                self._evidence.sample(power_w=number(mode["EVPresentActivePower"]), target_w=self.state.target_w)
        if "EVTargetCurrent" in fields:
            self._evidence.sample(target_current_a=number(fields["EVTargetCurrent"]), current_a=self.state.current_a)
        elif self.profile.dc:
            self._evidence.sample(current_a=self.state.current_a)

    async def finish(self) -> None:
        """Answer the rest of a session, and request its end in the loop, until the EV ends it."""
        request = self.due or await self.receive(5.0)
        for _ in range(MOST_REQUESTS):
            if request is None:
                return
            await self.answer(request, self._stop() if request.name == self.profile.loop else None)
            if request.name == "SessionStopReq":
                return
            request = await self.receive(5.0)

    def _stop(self) -> Mapping[str, object]:
        """Return the changes of a loop response that request the end of the session."""
        if self.profile.protocol == "iso20":
            return {"EVSEStatus": {"NotificationMaxDelay": 5, "EVSENotification": "Terminate"}}
        if not self.profile.dc:
            return {"AC_EVSEStatus.EVSENotification": "StopCharging"}
        return {"DC_EVSEStatus.EVSENotification": "StopCharging", "DC_EVSEStatus.EVSEStatusCode": "EVSE_Shutdown"}
