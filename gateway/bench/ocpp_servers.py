"""Servers of `v2x bench ocpp`, each run as a process: `python -m gateway.bench.ocpp_servers KIND`.

`rpc`: our RPC layer with validation and an empty handler. `gateway`: the CSMS with sessions and meter values, its
events dropped. `core`: the same with the service and a SQLite store behind it. `package`: the `ocpp` package's
ChargePoint as it ships. The first line on standard output is the port; each line on standard input is answered with
the usage.
"""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from gateway.bench.measuring import Figures, resident_kib

Ready = Callable[[int], None]


async def rpc(ready: Ready) -> None:
    """Run the RPC layer alone."""
    from websockets.asyncio.server import ServerConnection

    from gateway.clock import SystemClock
    from protocols.ocpp.events import CallReceived
    from protocols.ocpp.io import Link, PushingConnection, WebSocketWire
    from protocols.ocpp.rpc import Rpc
    from protocols.ocpp.schema import Payload, Version

    clock = SystemClock()
    booted = {"currentTime": "2026-11-01T12:00:00Z", "interval": 300, "status": "Accepted"}

    def handle(call: CallReceived) -> Payload:
        return {} if call.action == "TransactionEvent" else booted

    async def connected(socket: ServerConnection) -> None:
        await Link(WebSocketWire(socket), Rpc(Version.V201), handle, clock).run()

    await _serve_sockets(connected, ready, create_connection=PushingConnection)


async def gateway(ready: Ready) -> None:
    """Run the CSMS."""
    from gateway.clock import SystemClock
    from gateway.csms.csms import Csms

    await Csms(_settings(), lambda _: None, SystemClock()).serve(ready)


async def core(ready: Ready) -> None:
    """Run CSMS, service and a store on disk: transactions, too, are on disk before the response."""
    from gateway import garbage_collection
    from gateway.clock import SystemClock
    from gateway.control.settings import ServiceSettings
    from gateway.csms.csms import Csms
    from gateway.model.event import Event
    from gateway.model.site import SitePolicy
    from gateway.service import GatewayService
    from gateway.store.journal import Journal
    from gateway.store.sql import SqlStore

    clock = SystemClock()
    with tempfile.TemporaryDirectory() as folder:
        store = SqlStore(f"sqlite:///{Path(folder) / 'bench.db'}")
        await store.open()
        built: list[GatewayService] = []

        def report(event: Event) -> None:
            built[0].report(event)

        journal = Journal(store, clock)
        csms = Csms(_settings(), report, clock, journal)
        built.append(GatewayService(ServiceSettings(SitePolicy("bench")), clock, lambda _: csms, journal))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(built[0].run())
            await built[0].ready.wait()
            tasks.create_task(garbage_collection.run(clock))
            tasks.create_task(csms.serve(ready))


async def package(ready: Ready) -> None:
    """Run the `ocpp` package."""
    from ocpp.routing import on
    from ocpp.v201 import ChargePoint, call_result
    from ocpp.v201.enums import RegistrationStatusEnumType
    from websockets.asyncio.server import ServerConnection

    class Peer(ChargePoint):
        @on("BootNotification")  # type: ignore[no-untyped-call, untyped-decorator]
        async def on_boot(self, **_: Any) -> Any:
            return call_result.BootNotification("2026-11-01T12:00:00Z", 300, RegistrationStatusEnumType.accepted)

        @on("TransactionEvent")  # type: ignore[no-untyped-call, untyped-decorator]
        async def on_event(self, **_: Any) -> Any:
            return call_result.TransactionEvent()

    async def connected(socket: ServerConnection) -> None:
        await Peer("B", socket).start()  # type: ignore[no-untyped-call]

    await _serve_sockets(connected, ready)


async def _serve_sockets(connected: Callable[[Any], Awaitable[None]], ready: Ready, **options: Any) -> None:
    from websockets.asyncio.server import serve

    async with serve(connected, "127.0.0.1", 0, subprotocols=["ocpp2.0.1"], compression=None, **options) as server:  # type: ignore[list-item]
        ready(next(iter(server.sockets)).getsockname()[1])
        await asyncio.get_running_loop().create_future()


def _settings() -> Any:
    from gateway.csms.settings import CsmsSettings, UnknownStations, UnknownTokens

    return CsmsSettings(
        port=0,
        unknown_stations=UnknownStations.ACCEPT,
        unknown_tokens=UnknownTokens.ACCEPT,
        max_unknown=10_000,
        max_unserved=10_000,
        max_handshakes_per_s=10_000,
        max_calls_per_s=1e6,
        max_burst=1_000_000,
        inventory=False,
    )


def usage() -> Figures:
    """Return CPU seconds and resident memory of this process."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return {"cpu_s": spent.ru_utime + spent.ru_stime, "rss_kb": resident_kib() or spent.ru_maxrss}


async def _serve(kind: str) -> None:
    loop = asyncio.get_running_loop()

    def ready(port: int) -> None:
        print(json.dumps({"port": port, "loop": type(loop).__module__}), flush=True)

    server = asyncio.ensure_future({"rpc": rpc, "gateway": gateway, "core": core, "package": package}[kind](ready))
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while not server.done() and await reader.readline():
        print(json.dumps(usage()), flush=True)
    server.cancel()
    await asyncio.gather(server, return_exceptions=True)


def main() -> None:
    """Run one kind of server: ours on the event loop of the gateway, `package` on that of the standard library."""
    from gateway.event_loop import make_loop

    logging.disable(logging.CRITICAL)
    kind = sys.argv[1]
    with asyncio.Runner(loop_factory=None if kind == "package" else make_loop) as runner:
        runner.run(_serve(kind))


if __name__ == "__main__":
    main()
