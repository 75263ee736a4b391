"""An emulated car and an emulated charger with ISO 15118-2 and DIN 70121, in memory and in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from emulators.charger.hardware.power_stage import Fault as StageFault
from emulators.charger.hardware.power_stage import PowerStage
from emulators.charger.secc import events as charger
from emulators.charger.secc.evse_hardware import stage_settings
from emulators.charger.secc.secc import EvseSecc
from emulators.ev.car import CCS_63, Car
from emulators.ev.session import EvSession, car_settings
from emulators.runtime.clock import VirtualClock
from emulators.runtime.transports import wire_pair
from protocols.iso15118.iso20 import events
from protocols.iso15118.iso20.services import ServiceId
from protocols.iso15118.session.control_pilot import Pilot

pytestmark = pytest.mark.virtual_time
NAMESPACES = {
    "iso20": "urn:iso:std:iso:15118:-20:DC",
    "iso2": "urn:iso:15118:2:2013:MsgDef",
    "din": "urn:din:70121:2012:MsgDef",
}
AC = (ServiceId.AC,)


class Bay:
    """A car with some protocols at a charger with some."""

    def __init__(
        self,
        car: tuple[str, ...],
        secc: tuple[str, ...] = ("iso20", "iso2", "din"),
        services: tuple[ServiceId, ...] = (ServiceId.DC,),
    ) -> None:
        self.clock = VirtualClock()
        self.seen: list[Any] = []
        self.stage, self.car = PowerStage(), Car(replace(CCS_63, protocols=car), soc_pct=50)
        self.secc = EvseSecc(
            self.stage,
            self.clock,
            self.seen.append,
            settings=stage_settings(self.stage, services=services),
            protocols=secc,
        )
        self.session = EvSession(self.car, self.clock, self.pilot, settings=car_settings(self.car, services=services))

    def pilot(self, event: Any) -> None:
        """Connect the control pilot of the car with that of the charger."""
        self.seen.append(event)
        if isinstance(event, events.PilotRequested):
            self.secc.set_pilot(event.state)

    async def run(self, orders: Callable[[Bay], Any]) -> events.SessionEnded:
        ev_end, secc_end = wire_pair("ev", "secc")
        serving = asyncio.create_task(self.secc.serve(secc_end))
        driving = asyncio.create_task(self.session.run(ev_end))
        await orders(self)
        ended = await driving
        await serving
        return ended

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.seen if isinstance(event, kind)]


@pytest.mark.parametrize(("protocol", "services"), [("iso2", (ServiceId.DC,)), ("din", (ServiceId.DC,)), ("iso2", AC)])
async def test_a_set_point_charges_and_its_negative_is_refused(protocol: str, services: tuple[ServiceId, ...]) -> None:
    async def orders(bay: Bay) -> None:
        bay.secc.set_power(6_000)
        await bay.clock.sleep(600)
        assert bay.of(charger.Measured)[-1].power_w == pytest.approx(6_000, rel=0.03)
        bay.secc.set_power(-5_000)
        await bay.clock.sleep(60)
        assert abs(bay.of(charger.Measured)[-1].power_w) < 50
        bay.secc.terminate()

    bay = Bay((protocol,), services=services)
    ended = await bay.run(orders)
    assert ended.ok, ended
    assert bay.of(events.ProtocolAgreed)[0].namespace == NAMESPACES[protocol]
    refused = bay.of(charger.SetpointRefused)
    assert [one.power_w for one in refused] == [-5_000]
    assert "has no discharge" in refused[0].reason
    assert bay.stage.meter.charged_wh == pytest.approx(1_000, rel=0.1)
    assert bay.stage.meter.discharged_wh == 0.0
    assert bay.car.soc_pct > 50
    assert bay.car.violations == []
    assert bay.of(charger.NeedsStated)[0].service == ("AC" if services == AC else "DC")


@pytest.mark.parametrize(
    ("car", "secc", "agreed"),
    [
        (("din", "iso2", "iso20"), ("iso20", "iso2", "din"), "din"),
        (("iso20", "din"), ("iso20", "iso2", "din"), "iso20"),
        (("iso2", "iso20"), ("iso20", "iso2", "din"), "iso2"),
        (("iso20", "iso2"), ("iso2", "din"), "iso2"),
        (("din", "iso20"), ("iso20",), "iso20"),
        (("iso2", "din"), ("din",), "din"),
        (("iso2",), ("iso20", "din"), None),
    ],
)
async def test_the_best_protocol_of_the_car_among_those_of_the_charger(
    car: tuple[str, ...], secc: tuple[str, ...], agreed: str | None
) -> None:
    """V2G2-169, V2G20-169."""

    async def orders(bay: Bay) -> None:
        await bay.clock.sleep(5)
        bay.secc.terminate()

    bay = Bay(car, secc)
    ended = await bay.run(orders)
    assert ended.ok is (agreed is not None)
    assert [one.namespace for one in bay.of(events.ProtocolAgreed)] == ([NAMESPACES[agreed]] if agreed else [])


async def test_a_request_for_new_needs_is_a_renegotiation_in_iso2_and_nothing_in_din() -> None:
    for protocol, exchanges in (("iso2", 2), ("din", 1)):

        async def orders(bay: Bay) -> None:
            bay.secc.set_power(3_000)
            await bay.clock.sleep(20)
            bay.secc.renegotiate(services=True)
            await bay.clock.sleep(30)
            assert bay.of(charger.Measured)[-1].power_w == pytest.approx(3_000, rel=0.05)
            bay.session.stop()

        bay = Bay((protocol,))
        assert (await bay.run(orders)).ok
        assert len(bay.of(charger.NeedsStated)) == exchanges


async def test_an_unplugged_car_gets_no_power() -> None:
    async def orders(bay: Bay) -> None:
        bay.secc.set_power(3_000)
        await bay.clock.sleep(20)
        await bay.secc.unplug()
        await bay.clock.sleep(1)
        assert bay.stage.current_a == 0.0

    bay = Bay(("iso2",))
    await bay.run(orders)


@pytest.mark.parametrize("protocol", ["iso2", "din"])
async def test_a_faulty_charger_ends_the_session(protocol: str) -> None:
    """The car follows EVSE_Malfunction; the session failed."""

    async def orders(bay: Bay) -> None:
        bay.secc.set_power(3_000)
        await bay.clock.sleep(20)
        bay.stage.trip(StageFault.INTERNAL, bay.clock.now())
        await bay.clock.sleep(5)

    bay = Bay((protocol,))
    ended = await bay.run(orders)
    assert not ended.ok
    assert ended.termination_code == "EVSE_Malfunction"
    assert bay.stage.current_a == 0.0


@pytest.mark.parametrize("protocol", ["iso2", "din"])
async def test_a_car_connects_again_without_a_new_plug(protocol: str) -> None:
    """Audi Q4: a silent connection is dropped, the next one charges; also one that ended right after the handshake."""
    bay = Bay((protocol,))
    for _ in range(2):
        ev_end, secc_end = wire_pair("ev", "secc")
        serving = asyncio.create_task(bay.secc.serve(secc_end))
        await bay.clock.sleep(3)
        await ev_end.close()
        await serving

    async def orders(bay: Bay) -> None:
        bay.secc.set_power(3_000)
        await bay.clock.sleep(20)
        assert bay.of(charger.Measured)[-1].power_w == pytest.approx(3_000, rel=0.05)
        bay.session.stop()

    assert (await bay.run(orders)).ok


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("protocol", "services"), [("iso2", (ServiceId.DC,)), ("din", (ServiceId.DC,)), ("iso2", AC)])
async def test_no_set_point_leads_to_a_negative_current(
    protocol: str, services: tuple[ServiceId, ...], seed: int
) -> None:
    choose = random.Random(seed)

    async def orders(bay: Bay) -> None:
        for _ in range(12):
            bay.secc.set_power(choose.choice([None, choose.uniform(-30_000, 30_000)]))
            await bay.clock.sleep(choose.uniform(0, 20))
            assert bay.stage.current_a >= 0.0
        bay.session.stop()

    bay = Bay((protocol,), services=services)
    await bay.run(orders)
    assert min((one.power_w for one in bay.of(charger.Measured)), default=0.0) >= -50.0  # own consumption
    assert bay.stage.meter.discharged_wh == 0.0
    assert bay.car.energy_out_wh == 0.0
    assert bay.car.violations == []


@pytest.mark.parametrize(("protocol", "services"), [("iso2", (ServiceId.DC,)), ("din", (ServiceId.DC,)), ("iso2", AC)])
async def test_the_control_pilot_follows_the_session(protocol: str, services: tuple[ServiceId, ...]) -> None:
    async def orders(bay: Bay) -> None:
        await bay.clock.sleep(20)
        bay.session.stop()

    bay = Bay((protocol,), services=services)
    bay.secc.set_pilot(Pilot.B)
    assert (await bay.run(orders)).ok
    assert [one.state for one in bay.of(events.PilotRequested)] == [Pilot.C, Pilot.B]


async def test_a_car_that_does_not_change_the_control_pilot_gets_no_power() -> None:
    async def orders(bay: Bay) -> None:
        await bay.clock.sleep(60)

    bay = Bay(("iso2",), services=AC)
    bay.secc.set_pilot(Pilot.B)
    bay.session = EvSession(bay.car, bay.clock, bay.seen.append, settings=car_settings(bay.car, services=AC))
    assert not (await bay.run(orders)).ok
    assert not bay.of(charger.ChargingStarted)
