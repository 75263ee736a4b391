"""The page of a service without sockets, and beside an emulated station and vehicle in virtual time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from gateway.control.settings import ServiceSettings
from gateway.csms.admin import Admin
from gateway.csms.csms import Csms
from gateway.model.site import SitePolicy
from gateway.service import GatewayService
from gateway.store.journal import Journal
from gateway.store.store import MemoryStore
from gateway.web.page.access import PageGuard, Sessions
from gateway.web.page.application import Page
from gateway.web.page.readouts import Sources
from protocols.ports import Clock
from tests.emulators.charger.station_rig import Rig


def hidden(text: str) -> dict[str, str]:
    """Return the hidden fields of the last form within the content of a page."""
    form = text[text.rindex("<form", 0, text.index("</main>")) :]
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form.split("</form>")[0]))


@dataclass
class ChargingPage:
    """A client of the page, and what the page shows."""

    rig: Rig
    service: GatewayService
    store: MemoryStore
    http: httpx.AsyncClient

    async def text(self, path: str) -> str:
        answer = await self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.text

    async def command(self, verb: str, power_kw: str, minutes: str = "15", evse: str = "CP1-1") -> httpx.Response:
        """Give a command by form, preview and confirmation."""
        form = await self.text(f"/command?evse={evse}")
        given = {**hidden(form), "verb": verb, "power_kw": power_kw, "minutes": minutes}
        preview = await self.http.post("/command/preview", data=given)
        return await self.http.post("/command", data=hidden(preview.text))


async def nothing_wrong() -> dict[str, str]:
    return {}


@asynccontextmanager
async def served(service: GatewayService, csms: Csms, clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the page of a service, in English, to a client in this process."""
    sessions, sources = Sessions(None, clock.now), Sources(service, Admin(csms), nothing_wrong, (), clock.wall)
    page = Page(sources, sessions, ["en"], service.security, clock.now)
    guarded = PageGuard(page.app, frozenset({"gateway"}), sessions, service.security, clock.now)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(guarded), base_url="http://gateway") as http:
        following = asyncio.create_task(sources.follow())
        yield http
        following.cancel()


@asynccontextmanager
async def charging_page() -> AsyncIterator[ChargingPage]:
    """Serve the page beside a vehicle in session at CP1-1."""
    async with Rig() as rig:
        settings, store = ServiceSettings(SitePolicy("site"), stations=("CP1",)), MemoryStore()
        service = GatewayService(settings, rig.clock, lambda _: rig.csms, Journal(store, rig.clock))
        for event in rig.events:
            service.report(event)
        rig.csms.context.report = service.report
        running = asyncio.create_task(service.run())
        async with served(service, rig.csms, rig.clock) as http:
            await rig.charging()
            await rig.sleep(2)
            yield ChargingPage(rig, service, store, http)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
