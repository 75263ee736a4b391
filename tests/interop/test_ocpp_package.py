"""The `ocpp` package's ChargePoint, with strict schema validation: as a station at our CSMS, and as our station's CSMS.

Its defects are worked around in the test and named: in 2.1 it refuses message types 5 and 6, loses 43 property names,
and a handler that calls back waits for itself.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from ocpp.routing import on
from ocpp.v16 import ChargePoint as ChargePoint16
from ocpp.v16 import call as call16
from ocpp.v16 import call_result as result16
from ocpp.v16 import enums as enums16
from ocpp.v21 import ChargePoint as ChargePoint21
from ocpp.v21 import call as call21
from ocpp.v21 import call_result as result21
from ocpp.v201 import ChargePoint as ChargePoint201
from ocpp.v201 import call as call201
from ocpp.v201 import call_result as result201
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from gateway.model.event import Metered, SessionEnded, SessionStarted, StationConnected
from gateway.model.station import Answer
from tests.interop.ocpp_sockets import csms, station, until

MODULES: dict[str, Any] = {"2.0.1": (ChargePoint201, call201, result201), "2.1": (ChargePoint21, call21, result21)}


def now() -> str:
    return datetime.now(UTC).isoformat()


@pytest.mark.parametrize("number", ["2.0.1", "2.1"])
async def test_a_peer_station_at_this_csms(number: str) -> None:
    base, call, result = MODULES[number]

    class Station(base):  # type: ignore[misc, valid-type]
        profiles: list[Any]

        @on("SetChargingProfile")
        async def on_profile(self, evse_id: int, charging_profile: dict[str, Any], **_: Any) -> Any:
            self.profiles.append(charging_profile)
            return result.SetChargingProfile(status="Accepted")

        @on("GetBaseReport")
        async def on_report(self, **_: Any) -> Any:
            return result.GetBaseReport(status="NotSupported")

        @on("RequestStopTransaction")
        async def on_stop(self, **_: Any) -> Any:
            return result.RequestStopTransaction(status="Accepted")

    events: list[Any] = []
    async with (
        csms(events) as (gateway, url),
        connect(f"{url}/P1", subprotocols=[Subprotocol(f"ocpp{number}")]) as socket,
    ):
        peer = Station("P1", socket)
        peer.profiles = []
        reading = asyncio.create_task(peer.start())
        about = {"model": "m", "vendor_name": "v"}
        booted = await peer.call(call.BootNotification(charging_station=about, reason="PowerUp"))
        assert booted.status == "Accepted"
        status = call.StatusNotification(timestamp=now(), connector_status="Occupied", evse_id=1, connector_id=1)
        await peer.call(status)
        event: dict[str, Any] = {
            "event_type": "Started",
            "timestamp": now(),
            "trigger_reason": "Authorized",
            "seq_no": 0,
            "transaction_info": {"transaction_id": "t1", "charging_state": "Charging"},
            "evse": {"id": 1, "connector_id": 1},
            "id_token": {"id_token": "A", "type": "ISO14443"},
        }
        started = await peer.call(call.TransactionEvent(**event))
        assert started.id_token_info["status"] == "Accepted"
        sampled = [
            {"value": 1500.0, "measurand": "Power.Active.Export"},
            {"value": 7.0, "measurand": "Energy.Active.Export.Register", "unit_of_measure": {"unit": "kWh"}},
        ]
        event |= {"event_type": "Updated", "seq_no": 1, "trigger_reason": "MeterValuePeriodic"}
        event["meter_value"] = [{"timestamp": now(), "sampled_value": sampled}]
        await peer.call(call.TransactionEvent(**event))
        outcome = await gateway.set_power("P1-1", 2000.0, 30.0)
        assert outcome.answer is Answer.APPLIED
        assert len(peer.profiles) == 2  # the safe one and the order
        assert (await gateway.end_session("P1-1")).answer is Answer.APPLIED
        event |= {"event_type": "Ended", "seq_no": 2, "trigger_reason": "RemoteStop"}
        event["transaction_info"] = {"transaction_id": "t1", "stopped_reason": "Remote"}
        await peer.call(call.TransactionEvent(**event))
        reading.cancel()
        kinds = [type(e) for e in events]
        for kind in (StationConnected, SessionStarted, Metered, SessionEnded):
            assert kind in kinds
        metered = next(e for e in events if isinstance(e, Metered))
        assert (metered.power_w, metered.energy_discharged_wh) == (-1500.0, 7000.0)
        assert not gateway.context.violations


async def test_a_peer_16_station_at_this_csms() -> None:
    class Station(ChargePoint16):
        profiles: list[Any]

        @on("SetChargingProfile")
        async def on_profile(self, connector_id: int, cs_charging_profiles: dict[str, Any]) -> Any:
            self.profiles.append(cs_charging_profiles)
            return result16.SetChargingProfile(status=enums16.ChargingProfileStatus.accepted)

    events: list[Any] = []
    async with csms(events) as (gateway, url), connect(f"{url}/P1", subprotocols=[Subprotocol("ocpp1.6")]) as socket:
        peer = Station("P1", socket)
        peer.profiles = []
        reading = asyncio.create_task(peer.start())
        booted = await peer.call(call16.BootNotification(charge_point_model="m", charge_point_vendor="v"))
        assert booted.status == "Accepted"
        preparing = call16.StatusNotification(
            connector_id=1,
            error_code=enums16.ChargePointErrorCode.no_error,
            status=enums16.ChargePointStatus.preparing,
        )
        await peer.call(preparing)
        begin = call16.StartTransaction(connector_id=1, id_tag="A", meter_start=5, timestamp=now())
        started = await peer.call(begin)
        assert started.id_tag_info["status"] == "Accepted"
        assert (await gateway.set_power("P1-1", 2000.0, 30.0)).answer is Answer.APPLIED
        assert peer.profiles[-1]["charging_schedule"]["charging_schedule_period"][0]["limit"] == 2000.0
        end = call16.StopTransaction(meter_stop=50, timestamp=now(), transaction_id=started.transaction_id)
        await peer.call(end)
        reading.cancel()
        assert any(isinstance(e, SessionEnded) for e in events)
        assert not gateway.context.violations


@pytest.mark.parametrize("number", ["2.0.1", "2.1"])
async def test_the_emulated_station_at_the_peers_csms(number: str) -> None:
    base, call, result = MODULES[number]

    class Peer(base):  # type: ignore[misc, valid-type]
        seen: list[str]

        @on("BootNotification")
        async def on_boot(self, **_: Any) -> Any:
            self.seen.append("boot")
            return result.BootNotification(current_time=now(), interval=10, status="Accepted")

        @on("StatusNotification")
        async def on_status(self, connector_status: str, **_: Any) -> Any:
            self.seen.append(connector_status)
            return result.StatusNotification()

        @on("Heartbeat")
        async def on_heartbeat(self) -> Any:
            return result.Heartbeat(current_time=now())

        @on("SecurityEventNotification")
        async def on_security(self, **_: Any) -> Any:
            return result.SecurityEventNotification()

        @on("TransactionEvent")
        async def on_event(self, event_type: str, **_: Any) -> Any:
            self.seen.append(event_type)
            return result.TransactionEvent()

        @on("NotifyEVChargingNeeds")
        async def on_needs(self, charging_needs: dict[str, Any], **_: Any) -> Any:
            self.seen.append(charging_needs["requested_energy_transfer"])
            return result.NotifyEVChargingNeeds(status="Accepted")

        @on("NotifyReport")
        async def on_report(self, **_: Any) -> Any:
            self.seen.append("report")
            return result.NotifyReport()

    peers: list[Peer] = []

    async def connected(socket: ServerConnection) -> None:
        peer = Peer("P1", socket)
        peer.seen = []
        peers.append(peer)
        await peer.start()

    async with serve(connected, "127.0.0.1", 0, subprotocols=[Subprotocol(f"ocpp{number}")]) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with station(f"ws://127.0.0.1:{port}", id="P1", ocpp=number) as made:
            await until(lambda: peers and "Available" in peers[0].seen)
            from emulators.charger.station.power_path import CarPowerPath
            from emulators.ev.car import Car

            power_path = made.power_paths[0]
            assert isinstance(power_path, CarPowerPath)
            made.station.plug_in(1, power_path.plug(Car(soc_pct=70.0), made.station.clock.now()))
            await until(lambda: "Updated" in peers[0].seen)
            profile = {
                "id": 1,
                "stack_level": 0,
                "charging_profile_purpose": "TxDefaultProfile",
                "charging_profile_kind": "Relative",
                "charging_schedule": [
                    {
                        "id": 1,
                        "charging_rate_unit": "W",
                        "charging_schedule_period": [{"start_period": 0, "limit": 3000.0}],
                    }
                ],
            }
            answer = await peers[0].call(call.SetChargingProfile(evse_id=1, charging_profile=profile))
            assert answer.status == "Accepted"
            composite = await peers[0].call(call.GetCompositeSchedule(duration=60, evse_id=1))
            (period,) = composite.schedule["charging_schedule_period"]
            assert period["limit"] == 3000.0
            report = await peers[0].call(call.GetBaseReport(request_id=1, report_base="FullInventory"))
            assert report.status == "Accepted"
            await until(lambda: "report" in peers[0].seen)
            made.station.unplug(1)
            await until(lambda: "Ended" in peers[0].seen)
        assert peers[0].seen[0] == "boot"
        assert peers[0].seen.index("Started") < peers[0].seen.index("Updated") < peers[0].seen.index("Ended")
        if number == "2.1":
            assert "DC_BPT" in peers[0].seen
