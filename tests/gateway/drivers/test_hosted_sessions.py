"""Sessions of hosted EVSEs where an operator finds the transactions of stations: list, one session, CSV, a restart."""

from __future__ import annotations

import pytest

from emulators.world import World
from gateway.csms.admin import Admin
from gateway.drivers.sessions import RESTARTED, HostedSessions
from gateway.model.event import Metered, SessionEnded, SessionStarted
from gateway.model.journal import Kept
from gateway.web.page.sessions import detail, sessions_csv
from tests.scenarios.test_behind_ocpp_and_hosted import WAYS, Evse

BOTH = """
[[charger]]
id = "CP1"
[[car]]
name = "other"
evse = "CP1-1"
soc_pct = 70
[[car.visits]]
arrive = 30
leave = 1190
"""


class _Clock:
    """A clock that a test sets."""

    at = 1000.0

    def now(self) -> float:
        return self.at

    def wall(self) -> float:
        return 1.7e9 + self.at


def admin(world: World) -> Admin:
    assert world.gateway is not None
    assert world.gateway.csms is not None
    return Admin(world.gateway.csms, world.gateway.hosted.sessions)


@pytest.mark.virtual_time
async def test_a_hosted_session_is_listed_beside_the_transactions_of_stations() -> None:
    way = WAYS["hosted"]
    world = way.world(more=BOTH)
    async with world.running():
        evse = Evse(world, way)
        await evse.ready()
        await world.clock.sleep(40)
        before_wh = evse.bay.stage.meter.true_discharged_wh
        await evse.discharge()
        await world.clock.sleep(30)
        await evse.command("stop")
        await world.clock.sleep(10)
        rows = admin(world).transactions(None, None, None, 10)
        assert [row["station"] for row in rows] == ["CP1", "BAY1"]  # the newest first
        row = rows[1]
        moved_wh = evse.bay.stage.meter.true_discharged_wh - before_wh
        assert row["energy_discharged_wh"] == pytest.approx(moved_wh, rel=0.005)
        assert (row["stoppedAt"], row["transactionId"]) == (None, evse.state.session)
        assert admin(world).transactions("BAY1", None, True, 10) == [row]
        assert [one["station"] for one in admin(world).transactions("CP1", None, None, 10)] == ["CP1"]
        assert "BAY1" in sessions_csv(rows)
        assert world.gateway is not None
        found = await detail(world.gateway.service, admin(world), str(row["ref"]), world.clock.wall())
        assert found is not None
        assert (found.evse, bool(found.samples)) == ("BAY1", True)
        await evse.bay.unplug()
        await evse.until("the end", lambda: not admin(world).transactions("BAY1", None, True, 10))
        ended = admin(world).transaction(str(row["ref"]))
        assert ended["stoppedAt"] is not None
        await world.clock.sleep(10)  # until the journal has written
        await world.restart_gateway(5.0)
        again = admin(world).transaction(str(row["ref"]))
        assert again == ended


def test_energies_of_a_session_its_storage_and_a_register_that_begins_anew() -> None:
    clock, stored = _Clock(), list[Kept]()
    sessions = HostedSessions(["BAY1"], clock, stored.append)  # type: ignore[arg-type]

    def read(at: float, charged_wh: float | None, discharged_wh: float | None, evse: str = "BAY1") -> None:
        clock.at = at
        sessions.observe(
            Metered(evse, at, wall=clock.wall(), energy_charged_wh=charged_wh, energy_discharged_wh=discharged_wh)
        )

    read(1000.0, 500.0, 100.0)
    sessions.observe(SessionStarted("BAY1", 1001.0, "s1", "WMI1"))
    sessions.observe(SessionStarted("OTHER", 1001.0, "s9"))
    read(1010.0, 700.0, 100.0)
    read(1020.0, 10.0, 130.0)  # the register begins anew
    read(1030.0, 30.0, 130.0)
    (row,) = sessions.rows(None, None, None)
    assert (row["energy_charged_wh"], row["energy_discharged_wh"]) == (220.0, 30.0)
    assert [*sessions.rows(None, "wmi1", True)] == [row]
    assert [*sessions.rows(None, "else", None)] == []
    read(1100.0, 40.0, 130.0)
    again = HostedSessions(["BAY1"], clock, stored.append)  # type: ignore[arg-type]
    again.restore([stored[-1], Kept("hosted_session", "x", "{", 0.0), Kept("energy", "x", "{", 0.0)])
    (row,) = again.rows(None, None, None)
    assert (row["energy_charged_wh"], row["stopReason"]) == (230.0, RESTARTED)
    sessions.observe(SessionEnded("BAY1", 1101.0, "s1", "the vehicle left"))
    (row,) = sessions.rows(None, None, False)
    assert row["stopReason"] == "the vehicle left"
    assert stored[-1].ended is not None
