"""A leased command whose station is at an instance that is drained: it goes on where the station connects next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from emulators.charger.station.csms_link.network_profiles import NetworkProfile
from emulators.runtime.transports import Link, text_wire_pair
from gateway.cluster.connections import SiteConnections
from gateway.cluster.messages import Attach
from gateway.model.event import StationLost
from gateway.service import GatewayService
from protocols.ocpp.schema import Version
from protocols.ports import TextWire
from tests.emulators.charger.station_rig import Rig
from tests.gateway.cluster.test_holder import Cluster
from tests.gateway.commands.test_with_stations import governed, send

pytestmark = pytest.mark.virtual_time


class ClusterRig(Rig):
    """A station that connects to one of two instances; the CSMS runs at the holder of the site."""

    def __init__(self, version: Version) -> None:
        super().__init__(version, vendor_profile=None if version is Version.V21 else "negative-limit")
        self.cluster = Cluster(clock=self.clock, way_s=0.01)
        self.cluster.serve = self._serve  # type: ignore[method-assign]
        self.at = self.cluster.other

    async def _serve(self, wire: TextWire, attached: Attach) -> None:
        await self.csms.attach(wire, attached.station, attached.security_profile, resumes=attached.resumes)

    async def connect(self, target: NetworkProfile) -> TextWire:
        if not self.up:
            raise ConnectionError("no instance accepts it")
        link: Link[str] = Link()
        ours, theirs = text_wire_pair("station", "gateway", subprotocol=target.version.value, link=link)
        self._tasks.append(asyncio.create_task(self.at.serve(theirs, self.config.id, 0)))
        return ours

    async def drain(self, to: SiteConnections) -> None:
        """Drain the instance that has the station, which connects to the other one then."""
        drained, self.at = self.at, to
        await drained.drain(per_s=50.0)


@asynccontextmanager
async def discharging(version: Version) -> AsyncIterator[tuple[ClusterRig, GatewayService]]:
    """Run a cluster whose station is at the instance without the lease, and discharges by a command."""
    rig = ClusterRig(version)
    async with rig.cluster.running(), rig, governed(rig) as service:
        await rig.charging()
        await rig.sleep(5)
        assert (await send(service, "discharge", "d", power_w=4600, lease_s=120)).status == "accepted"
        await rig.sleep(25)
        assert rig.evse().reading.power_w == pytest.approx(-4600, rel=0.01)
        yield rig, service


async def results(service: GatewayService) -> list[str]:
    """Return the reasons of the results of the command, and of its end."""
    entries = await service.entries(command="d", limit=1000)
    return [one.cause for one in entries if one.step in ("result", "ended")]


@pytest.mark.parametrize("version", list(Version))
async def test_a_command_goes_on_at_the_instance_to_which_its_station_connects(version: Version) -> None:
    async with discharging(version) as (rig, service):
        for to in (rig.cluster.holder.connections, rig.cluster.other):  # and back
            await rig.drain(to)
            await rig.until(lambda: service.is_connected("CP1-1"), 10.0)
            for _ in range(20):
                await rig.sleep(1)
                assert rig.evse().reading.power_w == pytest.approx(-4600, rel=0.01)
        assert len(rig.of(StationLost)) == 2
        assert service.commands_in_force() == 1
        await rig.sleep(60)
        assert rig.evse().reading.power_w == 0
        assert await results(service) == ["granted", "seen_on_meter", "lease_expired"]


async def test_a_command_ends_once_where_no_instance_accepts_the_station() -> None:
    async with discharging(Version.V21) as (rig, service):
        rig.up = False
        await rig.drain(rig.cluster.holder.connections)
        await rig.sleep(9)
        assert service.commands_in_force() == 1
        await rig.sleep(2)
        assert service.commands_in_force() == 0
        rig.up = True
        await rig.until(lambda: service.is_connected("CP1-1"))
        await rig.sleep(10)
        assert rig.evse().reading.power_w == 0
        assert await results(service) == ["granted", "seen_on_meter", "offline"]
