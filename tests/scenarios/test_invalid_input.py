"""Invalid bytes and JSON at the interfaces of a running gateway, over real sockets: a clear error, and no crash.

Configuration and command line are tested in `test_first_light.py`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiomqtt
import pytest
from rich.console import Console
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from emulators.demo import discharge
from emulators.demo.observer import Observer
from emulators.demo.timeline import Timeline
from emulators.ev.car import CCS_63, Car
from emulators.ev.session import EvSession
from emulators.runtime.clock import RealClock
from protocols.iso15118 import io
from tests.gateway.mqtt.facility import leaky_peer

COMMAND = f"{discharge.ROOT}/evse/{discharge.EVSE}/cmd"


async def at_the_mqtt_interface(parts: discharge.Parts) -> None:
    """Invalid commands are refused with a reason, by id where it is readable."""
    port = int(parts.gateway.config.mqtt.url.rsplit(":", 1)[1])
    bad: list[tuple[str, bytes, bool]] = [
        ("discharge", b"\xff\xfe\x00", False),
        ("discharge", b"{", False),
        ("discharge", b"[" * 100_000, False),
        ("discharge", b'{"id": "no-power"}', False),
        ("discharge", b'{"id": "text", "power_w": "5 kW"}', False),
        ("discharge", b'{"id": "negative", "power_w": -5}', False),
        ("discharge", b'{"id": "nan", "power_w": NaN}', False),
        ("discharge", b'{"id": "extra", "power_w": 5, "colour": "red"}', False),
        ("explode", b'{"id": "verb"}', False),
        ("discharge", b'{"id": "old", "power_w": 5, "expires_at": "2001-01-01T00:00:00Z"}', False),
        ("discharge", json.dumps({"id": "big", "power_w": 5, "source": "x" * 70_000}).encode(), False),
    ]
    async with aiomqtt.Client("127.0.0.1", port, identifier="vandal", socket_options=discharge.NO_DELAY) as client:
        for verb, payload, retain in bad:
            await client.publish(f"{COMMAND}/{verb}", payload, qos=1, retain=retain)
            await asyncio.sleep(0.25)  # below the rate limit, which would refuse them otherwise

    def refused() -> set[str]:
        return {str(one["id"]) for one in parts.facility.results if one["status"] == "refused"}

    wanted = {"no-power", "text", "negative", "extra", "verb", "old"}
    await parts.facility.until("a refusal of each", lambda: wanted <= refused())
    assert all(one["reason"]["code"] and one["reason"]["text"] for one in parts.facility.results)


async def at_the_ocpp_interface(parts: discharge.Parts) -> None:
    """Unknown stations are rejected; invalid frames get an OCPP error, and the station reconnects."""
    url = f"ws://127.0.0.1:{parts.gateway.ocpp_port}/ocpp"
    reader, writer = await asyncio.open_connection("127.0.0.1", parts.gateway.ocpp_port)
    writer.write(b"\x00\x01\x02 not http\r\n\r\n")
    await asyncio.wait_for(reader.read(), 10)
    writer.close()
    for unknown in ("nobody", "%00", "x" * 200):
        with pytest.raises(InvalidStatus):
            await connect(f"{url}/{unknown}", subprotocols=[Subprotocol("ocpp2.1")])
    async with connect(f"{url}/{discharge.STATION}", subprotocols=[Subprotocol("ocpp2.1")]) as wire:
        answers = []
        for text in (
            "{", "[]", '[2,"1"]', '[2,"2","NoSuchAction",{}]', '[2,"3","Heartbeat",{"x":1}]', '[9,"4","Heartbeat",{}]',
            '[2,5,"Heartbeat",{}]', '[3,"unasked",{}]', '[2,"6","BootNotification",{"reason":"PowerUp"}]',
        ):  # fmt: skip
            await wire.send(text)
        try:
            while True:
                answers.append(json.loads(await asyncio.wait_for(wire.recv(), 1.0)))
        except (TimeoutError, ConnectionClosed):
            pass
        codes = {frame[1]: frame[2] for frame in answers if frame[0] == 4}
        assert codes["2"] in ("NotImplemented", "NotSupported")
        assert codes["6"] in ("OccurrenceConstraintViolation", "FormatViolation")
        with pytest.raises(ConnectionClosed):
            await _too_much(wire)


async def _too_much(wire: ClientConnection) -> None:
    await wire.send("x" * 2_000_000)
    for _ in range(100):
        await asyncio.wait_for(wire.recv(), 5)


async def at_the_v2gtp_interface(parts: discharge.Parts) -> None:
    """A second car is rejected while one is served; invalid frames only end their own connection."""
    parts.session.stop()
    assert (await asyncio.wait_for(parts.driving, 30)).ok
    for garbage in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x01\xfe\x80\x01\xff\xff\xff\xff",  # a frame of 4 GiB
        b"\x01\xfe\x80\x01\x00\x00\x00\x04\x80\xff\xff\xff",  # no EXI
        b"\x01\xfe\x80\x04\x00\x00\x00\x01\x80",  # a DC message before any agreement
    ):
        reader, writer = await asyncio.open_connection(discharge.LOOPBACK, parts.charger.ports[0])
        writer.write(garbage)
        writer.write_eof()
        await asyncio.wait_for(reader.read(), 10)
        writer.close()
    again = EvSession(Car(CCS_63, soc_pct=80.0), RealClock(), loops=3)
    ended = await again.run(await io.connect(discharge.LOOPBACK, parts.charger.ports[0]))
    assert ended.ok, ended.reason


async def discharge_after(parts: discharge.Parts) -> None:
    facility = parts.facility
    await facility.until("session ready to discharge again", lambda: discharge.ready(facility.state), 60)
    answer: dict[str, Any] = {}
    for attempt in range(3):  # a station that was disconnected takes a while to return
        await facility.command("discharge", id=f"after-{attempt}", power_w=2000, lease_s=10)
        answer = await facility.result(f"after-{attempt}", "accepted", "clamped", "refused", "achieved")
        if answer["status"] != "refused":
            break
        await asyncio.sleep(3)
    await facility.result(answer["id"], "achieved")


@pytest.mark.parametrize(
    "interface", [at_the_mqtt_interface, at_the_ocpp_interface, at_the_v2gtp_interface], ids=lambda b: b.__name__
)
@leaky_peer
async def test_the_gateway_survives(
    interface: Callable[[discharge.Parts], Awaitable[None]], caplog: pytest.LogCaptureFixture
) -> None:
    observer = Observer(Timeline(Console(quiet=True)))
    async with discharge.running_parts(observer) as parts:
        await parts.facility.until("a session", lambda: discharge.ready(parts.facility.state))
        await interface(parts)
        if interface is not at_the_v2gtp_interface:
            await discharge_after(parts)
    tracebacks = [one.getMessage() for one in caplog.records if one.exc_info and not one.name.startswith("amqtt")]
    assert tracebacks == []
