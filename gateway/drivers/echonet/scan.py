"""Nodes that answer in a network of ECHONET Lite, for `v2x echonet scan` and `v2x doctor`. Nothing is set."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.drivers.echonet.finding import ID, MAKER, NotFound, ObjectLink, find
from gateway.drivers.echonet.network import EchonetNetwork
from gateway.drivers.echonet.orders import charge_way, discharge_way
from gateway.drivers.echonet.reader import ObjectReader
from gateway.drivers.echonet.site_object import reader_of
from protocols.echonet.classes import DEVICE_CLASSES, EV_CHARGER_DISCHARGER, STORAGE_BATTERY, object_class
from protocols.echonet.events import ObjectDescribed, Request, RequestAnswered
from protocols.echonet.frames import NODE_PROFILE, Eoj, Esv, Property
from protocols.echonet.io import UdpSettings, unicast_socket
from protocols.echonet.objects import INSTANCE_LIST
from protocols.echonet.values import Value
from protocols.ports import Clock

PRODUCT = 0x8C
BOX_VALUES = (0x88, 0xC7, 0xC8, 0xC9, 0xD3, 0xDA, 0xDB, 0xDC, 0xDD, 0xDF, 0xE1, 0xE4)
ANSWER_WITHIN_S = 5.0
MOST_READ = 10  # properties in one request


class PortInUse(Exception):
    """Another program of this machine receives what is sent to this address."""


@dataclass(frozen=True, slots=True)
class FoundObject:
    """One object that answers. `cannot`: what the gateway could not do with a box or battery, by direction."""

    node: str
    eoj: Eoj
    title: str
    node_id: str
    maker: str
    product: str
    described: ObjectDescribed
    values: Mapping[str, Value]
    cannot: Mapping[str, str] = field(default_factory=dict)


def verify_port_free(settings: UdpSettings) -> None:
    """Raise PortInUse where another program has the port: two would share what arrives. Raises OSError."""
    probe = socket.socket(socket.AF_INET6 if settings.ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        if not settings.ipv6:
            probe.bind((settings.address, settings.port))
        else:
            unicast_socket(settings).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(f"port {settings.port} of {settings.address} is in use") from None
        raise
    finally:
        probe.close()


async def scan(network: EchonetNetwork, clock: Clock, seconds: float, nodes: Sequence[str] = ()) -> list[FoundObject]:
    """Return the objects of all nodes that answer within a time; `nodes` get the request beside the multicast."""
    running = asyncio.get_running_loop().create_task(network.run())
    try:
        for node in nodes:
            asked = Request(node, NODE_PROFILE, Esv.GET, (Property(INSTANCE_LIST),))
            network.command(asked)
        await clock.sleep(seconds)
        described = sorted(network.objects.values(), key=lambda one: (one.node, one.eoj.pack()))
        return [await _read(network, one) for one in described]
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def locate(network: EchonetNetwork, link: ObjectLink, clock: Clock, within_s: float) -> tuple[bool, str]:
    """Return whether the object of a configuration answers, and what it is or what is wrong."""
    running = asyncio.get_running_loop().create_task(network.run())
    reason = f"{link.wanted}: no answer within {within_s:g} s"
    try:
        async with clock.timeout_at(clock.now() + within_s):
            while True:
                try:
                    found = await _read(network, await find(network, link))
                    return True, line(found)
                except NotFound as error:
                    reason = str(error)
                    await network.wait(1.0)
    except TimeoutError:
        return False, reason
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


def line(found: FoundObject) -> str:
    """Return one line for people."""
    parts = [f"{found.eoj} {found.title}, release {found.described.release or 'not stated'}, maker {found.maker}"]
    parts += [found.product] if found.product else []
    parts += [f"{name} {_text(value)}" for name, value in found.values.items()]
    parts += [f"no {direction}: {why}" for direction, why in found.cannot.items()]
    return ", ".join(parts)


def record(found: FoundObject) -> dict[str, object]:
    """Return the members of the JSON."""
    maps = {name: _epcs(getattr(found.described, name)) for name in ("get", "set", "inf")}
    return {
        "node": found.node,
        "eoj": str(found.eoj),
        "class": found.title,
        "release": found.described.release or None,
        "node_id": found.node_id or None,
        "maker": found.maker or None,
        "product": found.product or None,
        "properties": maps,
        "values": {name: _json(value) for name, value in found.values.items()},
        "cannot": dict(found.cannot),
    }


async def _read(network: EchonetNetwork, described: ObjectDescribed) -> FoundObject:
    identity = await _ask(network, described.node, NODE_PROFILE, (ID, MAKER))
    code = described.eoj.class_code
    epcs: Sequence[int] = ()
    if code == EV_CHARGER_DISCHARGER:
        epcs = BOX_VALUES
    elif code in DEVICE_CLASSES:
        epcs = [*reader_of(described).fast, *reader_of(described).slow]
    reader = ObjectReader(described, [], [])
    wanted = [epc for epc in (PRODUCT, *epcs) if reader.has(epc)]
    for at in range(0, len(wanted), MOST_READ):
        reader.apply(
            Property(epc, data)
            for epc, data in (await _ask(network, described.node, described.eoj, wanted[at : at + MOST_READ])).items()
        )
    product = reader.values.pop(PRODUCT, b"")
    cannot: dict[str, str] = {}
    if code in (EV_CHARGER_DISCHARGER, STORAGE_BATTERY):
        ways = {"charge": charge_way(reader), "discharge": discharge_way(reader)}
        cannot = {direction: way.why_not for direction, way in ways.items() if way.why_not}
    return FoundObject(
        described.node,
        described.eoj,
        object_class(code).title,
        identity.get(ID, b"").hex(),
        identity.get(MAKER, b"").hex(),
        product.rstrip(b"\0 ").decode("ascii", "replace") if isinstance(product, bytes) else "",
        described,
        {reader.rule(epc).name: value for epc, value in reader.values.items()},
        cannot,
    )


async def _ask(network: EchonetNetwork, node: str, eoj: Eoj, epcs: Sequence[int]) -> dict[int, bytes]:
    asked = Request(node, eoj, Esv.GET, tuple(map(Property, epcs)), within_s=ANSWER_WITHIN_S)
    found = await network.ask(asked)
    if not isinstance(found, RequestAnswered) or found.answer is None:
        return {}
    return {one.epc: one.data for one in found.answer.properties if one.data}


def _epcs(epcs: frozenset[int]) -> list[str]:
    return [f"{epc:02X}" for epc in sorted(epcs)]


def _text(value: Value) -> str:
    if isinstance(value, Mapping):
        return " to ".join(_text(one) for one in value.values())
    return value.hex() if isinstance(value, bytes) else str(value)


def _json(value: Value) -> object:
    if isinstance(value, Mapping):
        return {name: _json(one) for name, one in value.items()}
    if isinstance(value, tuple):
        return [_json(one) for one in value]
    return value.hex() if isinstance(value, bytes) else value
