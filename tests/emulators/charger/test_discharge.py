"""Discharging over OCPP 2.1 between gateway and station: needs, discharge, watchdog, fall back, stop."""

from __future__ import annotations

import pytest

from gateway.model.event import (
    EvseDescribed,
    Metered,
    ModeChanged,
    NeedsStated,
    OperationMode,
    PlugChanged,
    PlugState,
    SessionEnded,
    SessionStarted,
    StationConnected,
    StationLost,
)
from gateway.model.station import Answer
from protocols.ocpp.schema import Version
from tests.emulators.charger.station_rig import Rig

pytestmark = pytest.mark.virtual_time


def near(watts: float) -> object:
    """Compare powers with a tolerance of 1 %, the accuracy of the converter."""
    return pytest.approx(watts, rel=0.01)


async def test_a_session_from_boot_to_unplug() -> None:
    async with Rig() as rig:
        (connected,) = rig.of(StationConnected)
        assert (connected.station, connected.protocol) == ("CP1", "ocpp2.1")
        await rig.until(lambda: bool(rig.of(EvseDescribed)) and rig.of(EvseDescribed)[-1].can_discharge)
        assert rig.of(EvseDescribed)[-1].limits.max_discharge_w == 10_000.0

        car = await rig.charging()
        (started,) = rig.of(SessionStarted)
        assert started.vehicle == car.spec.evcc_id
        (stated,) = rig.of(NeedsStated)
        assert stated.needs.bidirectional
        assert stated.needs.control_mode == "dynamic"
        assert stated.needs.limits.max_discharge_w == 10_000.0
        await rig.until(lambda: rig.evse().composite.mode == "CentralSetpoint")
        assert rig.evse().reading.power_w == 0.0

        outcome = await rig.csms.set_power("CP1-1", -5000.0, 30.0)
        assert outcome.answer is Answer.APPLIED, outcome
        await rig.sleep(5)
        assert rig.evse().reading.power_w == near(-5000.0)
        assert rig.of(Metered)[-1].power_w == near(-5000.0)

        for _ in range(3):  # the core refreshes before the time is over
            await rig.sleep(20)
            assert (await rig.csms.set_power("CP1-1", -5000.0, 30.0)).answer is Answer.APPLIED
        assert rig.evse().reading.power_w == near(-5000.0)
        assert len(rig.calls("SetChargingProfile")) == 3  # safe, 0 W, and the order; the rest are updates
        assert len(rig.calls("UpdateDynamicSchedule")) == 3

        await rig.sleep(32)  # no refresh: the fallback profile applies, 0 W
        assert rig.evse().composite.mode == "ChargingOnly"
        assert rig.evse().reading.power_w == 0.0
        assert rig.of(ModeChanged)[-1].mode is OperationMode.CHARGING_ONLY
        assert not rig.of(SessionEnded)

        assert (await rig.csms.set_power("CP1-1", -3000.0, 30.0)).answer is Answer.APPLIED  # revived
        await rig.sleep(3)
        assert rig.evse().reading.power_w == near(-3000.0)
        assert await rig.csms.reconcile("CP1-1") == -3000.0

        assert (await rig.csms.end_session("CP1-1")).answer is Answer.APPLIED
        await rig.until(lambda: bool(rig.of(SessionEnded)))
        assert rig.of(SessionEnded)[-1].reason == "Remote"
        rig.station.unplug(1)
        await rig.until(lambda: rig.of(PlugChanged)[-1].state is PlugState.AVAILABLE)
        discharged_wh = rig.of(Metered)[-1].energy_discharged_wh
        assert discharged_wh is not None
        assert discharged_wh > 100
        assert car.energy_out_wh > 100
        assert car.violations == []
        assert rig.errors() == []
        assert not rig.csms.context.violations


async def test_a_stopped_station_ends_its_transactions_first() -> None:
    async with Rig() as rig:
        await rig.charging()
        await rig.csms.set_power("CP1-1", -5000.0, 30.0)
        await rig.station.stop()
        await rig.until(lambda: bool(rig.of(StationLost)))
        kinds = [type(e) for e in rig.events]
        assert kinds.index(SessionEnded) < kinds.index(StationLost)
        assert rig.evse().reading.power_w == 0.0


async def test_no_transaction_no_power() -> None:
    async with Rig() as rig:
        outcome = await rig.csms.set_power("CP1-1", -5000.0, 30.0)
        assert (outcome.answer, outcome.code) == (Answer.REFUSED, "TxNotFound")
        outcome = await rig.csms.set_power("CP1-7", -5000.0, 30.0)
        assert (outcome.answer, outcome.code) == (Answer.REFUSED, "UnknownEvse")
        assert rig.config.version is Version.V21
