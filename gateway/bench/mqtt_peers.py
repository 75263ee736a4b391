"""The processes that `gateway.bench.mqtt` measures: a gateway with plain stations, and an echo.

python -m gateway.bench.mqtt_peers gateway PORT EVSES DATABASE
python -m gateway.bench.mqtt_peers echo PORT
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gateway.app import Parts, gateway
from gateway.bench.plain_station import PlainStations
from gateway.config import from_table
from gateway.model.event import Report
from protocols.ports import Clock

SITE = "bench"
NODELAY = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]


def evse(number: int) -> str:
    """Return the name of an EVSE of the benchmark."""
    return f"B{number}-1"


def make_client(port: int, five: bool) -> aiomqtt.Client:
    """Return a client of MQTT 5 or 3.1.1."""
    protocol = aiomqtt.ProtocolVersion.V5 if five else aiomqtt.ProtocolVersion.V311
    client = aiomqtt.Client("127.0.0.1", port, protocol=protocol, socket_options=NODELAY)
    client.pending_calls_threshold = 1000
    return client


async def serve(port: int, evses: int, database: str) -> None:
    """Run a gateway with its journal on and a vehicle in session at every EVSE."""
    config = from_table(
        {
            "site": {"id": SITE},
            "mqtt": {"url": f"mqtt://127.0.0.1:{port}", "homeassistant": "off"},
            "store": {"url": database},
            "commands": {"evse_rate_per_s": 100_000, "source_rate_per_s": 100_000},
        }
    )
    made: list[PlainStations] = []

    def stations(report: Report, clock: Clock) -> PlainStations:
        made.append(PlainStations(clock, report))
        return made[0]

    async with gateway(config, Parts(stations=stations)) as running:
        for number in range(evses):
            made[0].connect(f"B{number}", evse(number))
            made[0].plug(evse(number))
        await running.mqtt.connected.wait()
        print("ready", flush=True)
        await made[0].run()


async def echo(port: int, five: bool) -> None:
    """Echo every message with aiomqtt alone."""
    async with make_client(port, five) as client:
        await client.subscribe("echo/request", qos=1)
        print("ready", flush=True)
        pending: set[asyncio.Task[None]] = set()
        async for message in client.messages:
            task = asyncio.create_task(_answer(client, message, five))
            pending.add(task)
            task.add_done_callback(pending.discard)


async def _answer(client: aiomqtt.Client, message: aiomqtt.Message, five: bool) -> None:
    properties: Any = None
    if five:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.CorrelationData = b"echo"
    await client.publish("echo/answer", message.payload, qos=1, properties=properties)


def main() -> None:
    """Run one of the two processes."""
    what, port = sys.argv[1], int(sys.argv[2])
    if what == "gateway":
        asyncio.run(serve(port, int(sys.argv[3]), sys.argv[4]))
    else:
        asyncio.run(echo(port, sys.argv[3] == "5"))


if __name__ == "__main__":
    main()
