"""One V2H box over ECHONET Lite as an EVSE of the gateway: its events, and the orders to it."""

from __future__ import annotations

import logging
from dataclasses import replace

from gateway.drivers.device_evse import ZERO_WITHIN_S, DeviceEvse
from gateway.drivers.echonet.control import BoxControl
from gateway.drivers.echonet.device import EchonetDevice
from gateway.drivers.echonet.engine import BoxEngine, BoxRead, BoxReady, BoxSilent, Event
from gateway.drivers.echonet.finding import DISCOVER, ID, MOVED_S, ObjectLink, find_again
from gateway.drivers.echonet.network import EchonetNetwork
from gateway.drivers.echonet.orders import DISCHARGE, GRID, INDEPENDENT, MODE, PERMISSION, PERMITTED, held_w
from gateway.drivers.echonet.outage import OutageRole
from gateway.drivers.echonet.profile import BoxProfile
from gateway.drivers.echonet.session import BoxSession
from gateway.model.event import Report, StationLost
from gateway.model.station import Answer, Outcome, OutcomeCode
from protocols.echonet.events import ObjectDescribed, Request, RequestAnswered
from protocols.echonet.frames import NODE_PROFILE, Esv, Property
from protocols.ports import Clock

log = logging.getLogger("v2x.drivers")


class EchonetEvse(DeviceEvse[EchonetDevice]):
    """EVSE with the driver `echonet`."""

    kind = "box"

    def __init__(
        self,
        session: BoxSession,
        link: ObjectLink,
        profile: BoxProfile,
        network: EchonetNetwork,
        report: Report,
        clock: Clock,
        outage: OutageRole | None = None,
    ) -> None:
        super().__init__(session, report, clock)
        self._session, self._link, self._network = session, link, network
        self._outage = outage or OutageRole()
        self.control = BoxControl(profile)
        self._silent_at: float | None = None

    # `gateway.drivers.hosted.HostedEvse`

    async def run(self) -> None:
        """Read and order until cancelled."""
        described: ObjectDescribed | None = None
        try:
            while True:
                described = await find_again(self._network, self._link, self.name, described)
                await self._serve(described)
        finally:
            self._device = None
            self._report(StationLost(self.name, self._clock.now(), "the gateway stops"))

    async def close(self) -> None:
        """Order standby, and wait until the box confirms it. A box that supplies an island continues."""
        device = self._ready
        if device is None:
            return
        if self.control.forms or device.engine.values.get(GRID) == INDEPENDENT:
            self.control.permit()
            device.wake()
            await self._clock.sleep(1.0)
        else:
            await device.order(0.0, ZERO_WITHIN_S)

    async def reconcile(self, evse: str) -> float | None:
        """Return the power that the box holds, None where it is not known."""
        device = self._ready
        if device is None:
            return None
        return self.control.held.power_w or held_w(device.engine.reader)

    async def form(self, evse: str, forms: bool) -> Outcome:
        """Supply an island, or rest and permit the re-connection to the grid."""
        device = self._ready
        if device is None:
            return self._silent()
        box = device.engine.reader
        if not box.has(GRID) or not box.accepts(MODE, DISCHARGE):
            text = f"the box of {self.name} has no interconnection status (property DB), or no mode for discharging"
            return Outcome(Answer.REFUSED, OutcomeCode.NO_FORMING, text)
        if forms and self._session.session is None:
            return self._without_vehicle()
        independent = box.values.get(GRID) == INDEPENDENT
        permitted = not box.settable(PERMISSION) or box.values.get(PERMISSION) == PERMITTED
        if not forms and permitted and not (self.control.forms or independent):
            return Outcome(Answer.APPLIED)
        return await device.form(forms, withhold=self._outage.grid_reported())

    # the box

    async def _serve(self, described: ObjectDescribed) -> None:
        """Read and order, until the box is silent and may be found at another address."""
        await self._learn_identity(described)
        silent = self._silent_at is not None
        self._silent_at = self._clock.now() if silent else None
        engine = BoxEngine(described, self.control, silent=silent)
        device = self._device = EchonetDevice(engine, self._network, self._clock, self._handle)
        with self._network.following(described.node, described.eoj, device.notified):
            await device.run_until(self._may_have_moved)
        self._device = None

    async def _learn_identity(self, described: ObjectDescribed) -> None:
        """Learn the identification number of a node that is discovered, to find it again."""
        if self._link.address != DISCOVER or self._link.node_id:
            return
        asked = Request(described.node, NODE_PROFILE, Esv.GET, (Property(ID),))
        stated = await self._network.ask(asked)
        if isinstance(stated, RequestAnswered) and stated.answer is not None and stated.answer.properties:
            self._link = replace(self._link, node_id=stated.answer.properties[0].data.hex(), eoj=described.eoj)

    def _may_have_moved(self) -> bool:
        silent_at = self._silent_at
        return self._link.address == DISCOVER and silent_at is not None and self._clock.now() - silent_at >= MOVED_S

    def _handle(self, event: Event) -> None:
        session, wall, device = self._session, self._clock.wall(), self._device
        assert device is not None
        session.use(device.engine.reader)
        match event:
            case BoxReady():
                self._silent_at = None
                self._outage.connected()
                found = session.connected(session.values(), event.at, wall)
            case BoxSilent():
                self._silent_at = event.at
                found = session.silent(event.reason, event.at)
            case BoxRead():
                found = session.read(session.values(), event.at, wall)
            case _:
                log.warning("%s: a power was not renewed in time: the box is ordered to standby", self.name)
                found = []
        if isinstance(event, BoxReady | BoxRead):
            found += self._outage.read(self.name, device.engine.reader, event.at)
            if self._outage.may_decide(device.engine.reader, event.at):
                log.warning("%s: no source reports the grid: the box may re-connect by itself", self.name)
                self.control.permit()
        for one in found:
            self._report(one)
