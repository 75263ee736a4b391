"""A whole gateway over real sockets: an HTTP client on one side, a WebSocket with messages of the test on the other."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from gateway.app import Gateway, Parts, gateway
from gateway.config import from_table
from gateway.store.store import MemoryStore
from protocols.ocpp.schema import Version

TOKEN = "a token of the tests"
PASSWORD = "0123456789abcdef"


class Station:
    """One connection of a station; calls of the gateway are recorded as received, and answered from `answers`."""

    def __init__(self, socket: ClientConnection, version: Version) -> None:
        self.socket, self.version = socket, version
        self.texts: list[str] = []
        self.answers: dict[str, Any] = {}  # by action: a payload, an error code as text, or None for silence
        self._mine: dict[str, asyncio.Future[list[Any]]] = {}
        self._count = 0
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for text in self.socket:
            assert isinstance(text, str)
            message = json.loads(text)
            if message[0] == 5:  # our response violated the schema, which a 2.1 gateway reports
                continue
            if message[0] != 2:
                self._mine.pop(message[1]).set_result(message)
                continue
            self.texts.append(text)
            answer = self.answers.get(message[2], "NotSupported")
            if isinstance(answer, str):
                await self.socket.send(json.dumps([4, message[1], answer, "no", {"why": "tests"}]))
            elif answer is not None:
                await self.socket.send(json.dumps([3, message[1], answer]))

    async def send(self, action: str, payload: dict[str, Any]) -> list[Any]:
        """Send a call and return the whole response."""
        self._count += 1
        mid = f"s{self._count}"
        answer: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._mine[mid] = answer
        await self.socket.send(json.dumps([2, mid, action, payload]))
        async with asyncio.timeout(10):
            return await answer

    async def ok(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Send a call and return the payload of its CALLRESULT."""
        message = await self.send(action, payload)
        assert message[0] == 3, message
        found: dict[str, Any] = message[2]
        return found

    async def boot(self) -> str:
        """Send a BootNotification and return the status of its response."""
        about: dict[str, Any] = {"reason": "PowerUp", "chargingStation": {"model": "m1", "vendorName": "v1"}}
        if self.version is Version.V16:
            about = {"chargePointVendor": "v1", "chargePointModel": "m1"}
        return str((await self.ok("BootNotification", about))["status"])

    async def close(self) -> None:
        self._reading.cancel()
        await self.socket.close()


class RunningGateway:
    """A gateway with its HTTP client and its OCPP port."""

    def __init__(self, gateway: Gateway, http: httpx.AsyncClient) -> None:
        assert gateway.ocpp_port is not None
        self.gateway, self.http, self.ocpp = gateway, http, gateway.ocpp_port
        self.stations: list[Station] = []

    async def station(
        self, version: Version, name: str = "CP1", password: str | None = PASSWORD, booted: bool = True
    ) -> Station:
        headers = {}
        if password is not None:
            headers["Authorization"] = "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
        socket = await connect(
            f"ws://127.0.0.1:{self.ocpp}/ocpp/{name}",
            subprotocols=[Subprotocol(version.value)],
            additional_headers=headers,
            proxy=None,
        )
        station = Station(socket, version)
        self.stations.append(station)
        if booted:
            assert await station.boot() == "Accepted"
        return station

    async def call(self, action: str, payload: dict[str, Any], name: str = "CP1", **more: Any) -> httpx.Response:
        body = {"action": action, "payload": payload, **more}
        return await self.http.post(f"/stations/{name}/call", json=body)

    async def get(self, path: str, **params: Any) -> Any:
        answer = await self.http.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()


@asynccontextmanager
async def running_gateway(folder: Path, **ocpp: Any) -> AsyncIterator[RunningGateway]:
    """Run a gateway: CP1 has a password, the API requires a token, raw calls are enabled, unknown idTokens are
    rejected."""
    (folder / "token").write_text(TOKEN + "\n")
    (folder / "cp1").write_text(PASSWORD + "\n")
    admin = ocpp.pop("admin", {})
    config = from_table(
        {
            "mqtt": {"url": "mqtt://127.0.0.1:9"},
            "store": {"url": "memory:"},
            "ocpp": {"listen": "127.0.0.1:0", "inventory": False, **ocpp},
            "stations": [{"id": "CP1", "password_file": "cp1"}],
            "admin": {"listen": "127.0.0.1:0", "token_file": "token", "raw_calls": True, **admin},
        },
        folder,
    )
    async with gateway(config, Parts(store=MemoryStore())) as running:
        base = f"http://127.0.0.1:{running.admin_port}/admin/v1"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(base_url=base, headers=headers, timeout=30, trust_env=False) as http:
            client = RunningGateway(running, http)
            try:
                yield client
            finally:
                for station in client.stations:
                    await station.close()
