"""A light emulated station of OCPP 2.1: the RPC engine and one EVSE, without a charger or a vehicle behind it.

It connects to any gateway of a cluster, again after each end and where its calls stay without responses, and reports
the set-points that it was sent.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

from emulators.runtime import ocpp_client
from gateway.clock import SystemClock
from protocols.ocpp.errors import Refusal
from protocols.ocpp.events import Answered, CallReceived, Refused
from protocols.ocpp.io import Link
from protocols.ocpp.rpc import Rpc
from protocols.ocpp.schema import ErrorCode, Payload, Version
from protocols.ocpp.times import stamp
from tests.gateway.cluster.judge import Setpoint

HANDLED = frozenset({"SetChargingProfile", "UpdateDynamicSchedule", "GetCompositeSchedule", "ClearChargingProfile"})
NEEDS = {"requestedEnergyTransfer": "DC_BPT", "v2xChargingParameters": {"maxDischargePower": 10_000}}
TX_PROFILE = "TxProfile"
BUSY = "HTTP 503"
BACK_OFF_S = 20.0  # longest pause, about, where a gateway accepts no further station for now
UNANSWERED = 3  # calls in a row, until the station connects anew


@dataclass(frozen=True)
class Times:
    """Times of a station, in s."""

    meter_every_s: float = 1.0
    heartbeat_s: float = 10.0
    answer_within_s: float = 5.0


class LightStation:
    """One station; with `session` a vehicle is plugged in for as long as it runs."""

    def __init__(
        self,
        name: str,
        urls: list[str],
        *,
        seed: str,
        session: bool = False,
        times: Times = Times(),
        received: Callable[[str, Setpoint], None],
        ready: Callable[[str, bool], None],
    ) -> None:
        """`seed` is another one for each life of a station."""
        self.name, self._urls, self._session, self._times, self._life = name, urls, session, times, seed
        self._received, self._ready = received, ready
        self._random = random.Random(f"{seed} {name}")
        self._clock = SystemClock()
        self._sequence = count()
        self._booted = self._began = False
        self._unanswered = 0
        self._last: Setpoint | None = None
        self._valid_for_s: float | None = None

    @property
    def power_w(self) -> float:
        """Return the power that the set-point in force permits."""
        last = self._last
        if last is None:
            return 0.0
        over = last.valid_for_s is not None and time.monotonic() >= last.at + last.valid_for_s
        return 0.0 if over else last.power_w

    async def run(self) -> None:
        """Connect and serve until cancelled."""
        rejected = 0
        while True:
            url = f"{self._random.choice(self._urls)}/{self.name}"
            try:
                wire = await ocpp_client.connect(
                    url, (Version.V21,), ping_interval=None, open_timeout=self._times.answer_within_s
                )
            except ConnectionError as error:
                rejected = rejected + 1 if BUSY in str(error) else 0
                await asyncio.sleep(self._random.uniform(0.2, 0.8) * min(2.0**rejected, BACK_OFF_S))
                continue
            self._unanswered = rejected = 0
            link = Link(
                wire,
                Rpc(Version.V21, handles=HANDLED, answer_within=self._times.answer_within_s),
                self._handle,
                self._clock,
            )
            reporting = asyncio.create_task(self._report(link))
            try:
                await link.run()
            finally:
                reporting.cancel()
                await asyncio.gather(reporting, return_exceptions=True)
                self._ready(self.name, False)
                await link.close()
            await asyncio.sleep(self._random.uniform(0.1, 0.5))

    async def _report(self, link: Link) -> None:
        """Boot once in the life of the station, then report the session."""
        while not self._booted:
            about = {"reason": "PowerUp", "chargingStation": {"model": "light", "vendorName": "tests"}}
            answer = await self._call(link, "BootNotification", about)
            self._booted = answer is not None and answer["status"] == "Accepted"
            if not self._booted:
                await asyncio.sleep(1.0 if answer is None else max(1.0, answer["interval"]))
        status = "Occupied" if self._session else "Available"
        body = {"timestamp": stamp(time.time()), "connectorStatus": status, "evseId": 1, "connectorId": 1}
        await self._until_answered(link, "StatusNotification", body)
        if self._session and not self._began:
            await self._event(link, "Started", "Authorized")
            self._began = True
        if self._session:
            await self._call(
                link, "NotifyEVChargingNeeds", {"evseId": 1, "maxScheduleTuples": 1, "chargingNeeds": NEEDS}
            )
        self._ready(self.name, True)
        while True:
            if self._session:
                await asyncio.sleep(self._times.meter_every_s * self._random.uniform(0.8, 1.2))
                await self._event(link, "Updated", "MeterValuePeriodic")
            else:
                await asyncio.sleep(self._times.heartbeat_s * self._random.uniform(0.5, 1.5))
                await self._call(link, "Heartbeat", {})

    async def _event(self, link: Link, kind: str, trigger: str) -> None:
        now = stamp(time.time())
        sampled = [{"value": self.power_w, "measurand": "Power.Active.Import"}, {"value": 80, "measurand": "SoC"}]
        body: dict[str, Any] = {
            "eventType": kind,
            "timestamp": now,
            "triggerReason": trigger,
            "seqNo": next(self._sequence),
            "transactionInfo": {"transactionId": f"t-{self.name}-{self._life}", "chargingState": "Charging"},
            "evse": {"id": 1, "connectorId": 1},
            "idToken": {"idToken": "A", "type": "Central"},
            "meterValue": [{"timestamp": now, "sampledValue": sampled}],
        }
        await self._until_answered(link, "TransactionEvent", body)

    async def _until_answered(self, link: Link, action: str, payload: Payload) -> None:
        for _ in range(100):
            if await self._call(link, action, payload) is not None:
                return
            await asyncio.sleep(0.5)

    async def _call(self, link: Link, action: str, payload: Payload) -> Payload | None:
        reply = await link.call(action, payload)
        if link.closed:
            await asyncio.sleep(3600)  # cancelled with the link
        self._unanswered = 0 if isinstance(reply, (Answered, Refused)) else self._unanswered + 1
        if self._unanswered >= UNANSWERED:
            await link.close()
        return reply.payload if isinstance(reply, Answered) else None

    def _handle(self, call: CallReceived) -> Payload:
        payload = call.payload
        if call.action == "SetChargingProfile":
            profile = payload["chargingProfile"]
            if profile["chargingProfilePurpose"] == TX_PROFILE:
                (schedule,) = profile["chargingSchedule"]
                period = schedule["chargingSchedulePeriod"][0]
                self._valid_for_s = schedule.get("duration")
                self._apply(period.get("setpoint", period.get("limit", 0.0)), call.id)
            return {"status": "Accepted"}
        if call.action == "UpdateDynamicSchedule":
            update = payload["scheduleUpdate"]
            self._apply(update.get("setpoint", update.get("limit", 0.0)), call.id)
            return {"status": "Accepted"}
        if call.action == "ClearChargingProfile":
            return {"status": "Accepted"}
        raise Refusal(ErrorCode.NOT_SUPPORTED, "a light station has no such message")

    def _apply(self, power_w: float, call: str) -> None:
        self._last = Setpoint(time.monotonic(), power_w, self._valid_for_s, call)
        self._received(self.name, self._last)
