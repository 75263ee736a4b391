"""Orders of a laboratory on standard input of `v2x charger`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from io import StringIO

import pytest

from emulators.charger.station.console import Console
from emulators.charger.station.control_input import obey
from emulators.charger.station.run import Options, run
from emulators.conformance.ocpp.emulated_station import EmulatedStation
from emulators.conformance.ocpp.tester_csms import TesterCsms
from emulators.runtime.clock import VirtualClock
from gateway.csms.payload_secrets import without_secrets
from protocols.ocpp.schema import Version


class Bench:
    """A station at a tester, and the orders that it gets."""

    def __init__(self) -> None:
        self.csms = TesterCsms(VirtualClock())
        self.station = EmulatedStation(self.csms, Version.V21)
        self.output = StringIO()

    async def order(self, text: str, seconds: float = 5.0) -> dict[str, object]:
        """Give one order and return its answer, after some time."""

        async def lines() -> AsyncIterator[bytes]:
            yield text.encode()

        await obey(lines(), self.station, Console(self.output, json=True, trace=False, redact=without_secrets))
        await self.csms.clock.sleep(seconds)
        found: dict[str, object] = json.loads(self.output.getvalue().splitlines()[-1])
        return found

    def sent(self, action: str) -> list[dict[str, object]]:
        """Return the payloads of the station's calls."""
        return [message.payload for message in self.csms.recorded.find(action, since=0)]


@pytest.mark.virtual_time
async def test_a_vehicle_a_token_and_an_external_limit() -> None:
    bench = Bench()
    async with bench.station.running():
        await bench.csms.clock.sleep(5.0)
        assert (await bench.order('{"order": "plug"}'))["event"] == "OrderTaken"
        assert bench.sent("StatusNotification")[-1]["connectorStatus"] == "Occupied"
        await bench.order('{"order": "present", "token": "DEC0DE01"}')
        await bench.order('{"order": "external", "limit_w": 3000, "setpoint_w": null, "schedule": ""}')
        evse = bench.station.station.evses[1]
        assert evse.reading.power_w == pytest.approx(3000, rel=0.02)
        await bench.order('{"order": "external", "evse": 1, "quantity": "limit", "schedule": "0:2000,60:1000"}', 90.0)
        assert evse.reading.power_w == pytest.approx(1000, rel=0.05)
        await bench.order('{"order": "reset"}')
        assert evse.reading.power_w > 5000
        await bench.order('{"order": "unplug", "evse": 1}')
        assert bench.sent("TransactionEvent")[-1]["eventType"] == "Ended"
        await bench.order('{"order": "power_cycle"}', 30.0)
        assert bench.sent("BootNotification")[-1]["reason"] == "PowerUp"


@pytest.mark.virtual_time
async def test_a_must_trip_curve_acts_at_a_voltage_that_is_ordered() -> None:
    bench = Bench()
    async with bench.station.running():
        await bench.csms.clock.sleep(5.0)
        await bench.order('{"order": "plug"}')
        await bench.order('{"order": "present", "token": "DEC0DE01"}', 20.0)
        curve = {"priority": 1, "yUnit": "Not_Applicable", "curveData": [{"x": 110, "y": 2}]}
        control = {"isDefault": True, "controlId": "hv", "controlType": "HVMustTrip", "curve": curve}
        await bench.csms.call("SetDERControl", control)
        evse = bench.station.station.evses[1]
        assert evse.reading.power_w > 5000
        await bench.order('{"order": "grid", "voltage_v": 255}')
        assert evse.reading.power_w == pytest.approx(0.0, abs=1.0)
        assert bench.sent("NotifyDERAlarm")[-1]["controlType"] == "HVMustTrip"
        await bench.order('{"order": "reset"}', 20.0)
        assert evse.reading.power_w > 5000


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"order": "plug", "evse": 3}', "the station has no EVSE 3"),
        ('{"order": "plugg"}', "did you mean plug?"),
        ('{"order": "external", "schedule": "0-3000"}', "a schedule is 0:3000,60:1000"),
        ('{"order": "unplug", "token": "A"}', "unplug has no member token"),
    ],
)
async def test_a_wrong_order_is_refused(line: str, reason: str) -> None:
    answer = await Bench().order(line)
    assert answer["event"] == "OrderRefused"
    assert reason in str(answer["error"])


async def test_orders_are_for_cars_of_the_stations_own(capsys: pytest.CaptureFixture[str]) -> None:
    options = Options("ws://127.0.0.1:9/ocpp", secc="[::1]:0", control_stdin=True)
    assert await run(options, redact=without_secrets) == 2
    assert "without --secc and --chademo" in capsys.readouterr().err
