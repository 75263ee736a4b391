"""`ocpp-rpc` (npm) with strict schema validation: its station at our CSMS, and our station at its CSMS."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from emulators.charger.station.power_path import CarPowerPath
from emulators.ev.car import Car
from gateway.model.event import EvseDescribed, Metered, NeedsStated, SessionStarted
from gateway.model.station import Answer
from protocols.ocpp.schema import Version
from tests.interop.ocpp_sockets import csms, station, until
from tests.peers import node_peer, program

PACKAGE = "ocpp-rpc@2.2.1"
SCRIPTS = Path(__file__).resolve().parent.parent / "data" / "ocpp_rpc"


class Peer:
    """A Node process that reports its events, one JSON line each."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.messages: list[tuple[str, Any]] = []
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            try:
                line_event = json.loads(line)
                self.messages.append((line_event["event"], line_event["value"]))
            except ValueError:
                self.messages.append(("text", line.decode(errors="replace")))

    def of(self, event: str) -> list[Any]:
        return [value for name, value in self.messages if name == event]

    async def request(self, action: str, payload: dict[str, Any]) -> Any:
        assert self.process.stdin is not None
        before = len(self.messages)
        self.process.stdin.write(json.dumps({"action": action, "payload": payload}).encode() + b"\n")

        def answer() -> list[tuple[str, Any]]:
            return [one for one in self.messages[before:] if one[0] in (f"{action} answered", f"{action} refused")]

        await until(answer)
        return answer()[0][1]

    async def close(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        await self._reading


def project() -> Path:
    """Return the folder of the npm project."""
    return node_peer("ocpp-rpc", PACKAGE)


@asynccontextmanager
async def node(script: str, *arguments: str) -> AsyncIterator[Peer]:
    process = await asyncio.create_subprocess_exec(
        program("node", "nodejs"), str(SCRIPTS / script), *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={"NODE_PATH": str(project() / "node_modules"), "PATH": "/usr/bin:/bin:/usr/local/bin"},
    )  # fmt: skip
    peer = Peer(process)
    try:
        yield peer
    finally:
        await peer.close()


@pytest.mark.peer
@pytest.mark.parametrize("version", list(Version))
async def test_a_peer_station_at_this_csms(version: Version) -> None:
    events: list[Any] = []
    async with csms(events) as (gateway, url), node("station.js", url, "N1", version.number) as peer:
        await until(lambda: peer.of("time") or peer.of("failed"))
        assert peer.of("failed") == []
        assert peer.of("boot") == ["Accepted"]
        assert any(isinstance(e, SessionStarted) for e in events)
        assert next(e for e in events if isinstance(e, Metered) and e.power_w is not None).power_w == -1500.0
        if version is Version.V21:
            await until(lambda: peer.of("reported"))
            assert peer.of("needs") == [{"status": "Accepted"}]
            assert next(e for e in events if isinstance(e, NeedsStated)).needs.limits.max_discharge_w == 6000.0
            described = [e for e in events if isinstance(e, EvseDescribed)][-1]
            assert (described.can_discharge, described.limits.max_discharge_w) == (True, 6000.0)
            for power in (-5000.0, -4000.0):
                assert (await gateway.set_power("N1-1", power, 30.0)).answer is Answer.APPLIED
            await until(lambda: peer.of("update"))
            assert peer.of("update")[-1]["scheduleUpdate"] == {"setpoint": -4000}
        else:
            assert (await gateway.set_power("N1-1", 3000.0, 30.0)).answer is Answer.APPLIED
            await until(lambda: len(peer.of("profile")) == 2)
        ended = await gateway.end_session("N1-1")
        assert (ended.answer, ended.code) == (Answer.REFUSED, "NotSupported")
        assert peer.of("violation") == []
        assert not gateway.context.violations


@pytest.mark.peer
@pytest.mark.parametrize("version", list(Version))
async def test_the_emulated_station_at_the_peers_csms(version: Version) -> None:
    async with node("csms.js") as peer:
        await until(lambda: peer.of("port"))
        url = f"ws://127.0.0.1:{peer.of('port')[0]}"
        async with station(url, id="N1", ocpp=version.number) as made:
            await until(lambda: peer.of("StatusNotification"))
            assert peer.of("client") == [{"id": "N1", "protocol": version.value}]
            power_path = made.power_paths[0]
            assert isinstance(power_path, CarPowerPath)
            made.station.plug_in(1, power_path.plug(Car(soc_pct=70.0), made.station.clock.now()))
            begin = "StartTransaction" if version is Version.V16 else "TransactionEvent"
            await until(lambda: peer.of(begin))
            schedule: dict[str, Any] = {
                "chargingRateUnit": "W",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 3000}],
            }
            profile: dict[str, Any] = {
                "stackLevel": 0,
                "chargingProfilePurpose": "TxDefaultProfile",
                "chargingProfileKind": "Relative",
            }
            if version is Version.V16:
                profile |= {"chargingProfileId": 1, "chargingSchedule": schedule}
                body: dict[str, Any] = {"connectorId": 1, "csChargingProfiles": profile}
            else:
                profile |= {"id": 1, "chargingSchedule": [{"id": 1, **schedule}]}
                body = {"evseId": 1, "chargingProfile": profile}
            assert await peer.request("SetChargingProfile", body) == {"status": "Accepted"}
            place = "connectorId" if version is Version.V16 else "evseId"
            composite = await peer.request("GetCompositeSchedule", {"duration": 60, place: 1})
            assert composite["status"] == "Accepted"
            if version is Version.V16:
                keys = await peer.request("GetConfiguration", {"key": ["HeartbeatInterval", "Nonsense"]})
                assert keys["unknownKey"] == ["Nonsense"]
            else:
                assert await peer.request("GetBaseReport", {"requestId": 1, "reportBase": "FullInventory"}) == {
                    "status": "Accepted"
                }
                await until(lambda: peer.of("NotifyReport"))
            if version is Version.V16:
                assert (await peer.request("GetDiagnostics", {"location": "ftp://x/"}))["fileName"]
                await until(lambda: len(peer.of("DiagnosticsStatusNotification")) == 2)
            else:
                monitored = await peer.request("GetMonitoringReport", {"requestId": 1})
                assert monitored == {"status": "Accepted"}
                await until(lambda: peer.of("NotifyMonitoringReport"))
                image = {"location": "http://127.0.0.1:1/image", "checksum": "0" * 32, "requestId": 2}
                assert await peer.request("PublishFirmware", image) == "NotSupported"  # no local controller
            made.station.unplug(1)
            done = "StopTransaction" if version is Version.V16 else "TransactionEvent"
            await until(lambda: any(one.get("eventType", "Ended") == "Ended" for one in peer.of(done)))
        assert peer.of("violation") == []
