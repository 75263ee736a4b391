"""Codecs compiled at start-up: those of a regular session, and few others."""

from __future__ import annotations

from typing import Any

import pytest

from protocols.exi.codec import Codec
from protocols.iso15118.codecs import ISO20_AC, ISO20_COMMON, ISO20_DC, SAP
from protocols.iso15118.iso20 import events, orders
from protocols.iso15118.iso20.preparation import needed
from protocols.iso15118.iso20.services import ControlMode, ServiceId
from tests.protocols.iso15118.engine_pair import EV_AC, EV_DC, car_state, loops, pair

SMALL = {"RationalNumber", "SelectedService"}  # written from a dictionary, but read by a function
Compiled = set[tuple[str, str]]
Prepared = dict[Codec, tuple[Codec, list[Any], list[Any]]]


def fresh(service: ServiceId, control: ControlMode) -> Prepared:
    """Return, by codec, one that has compiled nothing, with the requests and responses that are needed."""
    return {
        codec: (
            Codec(codec.name, codec.modules),
            [request for request, _ in pairs],
            [response for _, response in pairs],
        )
        for codec, pairs in needed([service], [control]).items()
    }


def compiled(codec: Codec) -> Compiled:
    """Return the types that a codec has compiled so far: ("writes" or "reads", class)."""
    return {
        (what, cls.__name__)
        for what, side in (("writes", codec._encoder(None)), ("reads", codec._decoder(None, False)))
        for cls in side.compiled
    }


def session(service: ServiceId, control: ControlMode) -> tuple[list[Any], list[Any]]:
    """Return the requests and the responses of a session, without the handshake."""
    limits = EV_DC if service in (ServiceId.DC, ServiceId.DC_BPT) else EV_AC
    traced: dict[str, Any] = {"trace": True}
    played = pair(
        car=car_state(70.0, limits=limits),
        setpoint_w=2_000.0,
        ev=traced | {"services": (service,), "controls": (control,)},
        secc=traced,
    )
    played.run(until=loops(5))
    played.ev.command(orders.Stop(), played.now)
    played.run()
    assert played.ev_seen(events.SessionEnded)[0].ok
    sent = [
        [one.message for one in sent_events if isinstance(one, events.MessageSent)]
        for sent_events in (played.ev_events, played.secc_events)
    ]
    return sent[0], sent[1]


@pytest.mark.parametrize("service", list(ServiceId))
@pytest.mark.parametrize("control", list(ControlMode))
@pytest.mark.parametrize("role", ["car", "charger"])
def test_nothing_is_compiled_while_a_session_runs(role: str, service: ServiceId, control: ControlMode) -> None:
    prepared = fresh(service, control)
    requests, responses = session(service, control)
    written, read = (requests, responses) if role == "car" else (responses, requests)
    for codec, wanted, answers in prepared.values():
        codec.prepare(writes=wanted if role == "car" else answers, reads=answers if role == "car" else wanted)
    before = {codec: compiled(codec) for codec, _, _ in prepared.values()}

    for message in (*written, *read):
        home = next(codec for codec in prepared if type(message) in codec._codes)
        codec = prepared[home][0]
        if message in written:
            codec.encode(message)
        else:
            codec.decode(home.encode(message))

    assert {codec: compiled(codec) for codec, _, _ in prepared.values()} == before


def test_a_car_with_direct_current_prepares_none_of_alternating_current() -> None:
    assert list(needed([ServiceId.DC, ServiceId.DC_BPT], list(ControlMode))) == [SAP, ISO20_COMMON, ISO20_DC]
    assert list(needed([ServiceId.AC], [ControlMode.DYNAMIC])) == [SAP, ISO20_COMMON, ISO20_AC]


@pytest.mark.parametrize("service", list(ServiceId))
@pytest.mark.parametrize("control", list(ControlMode))
def test_few_codecs_are_prepared_that_a_session_does_not_use(service: ServiceId, control: ControlMode) -> None:
    lazy = fresh(service, control)
    for message in session(service, control)[0]:
        home = next(codec for codec in lazy if type(message) in codec._codes)
        lazy[home][0].encode(message)
    for codec, wanted, _ in fresh(service, control).values():
        if codec.name != SAP.name:
            codec.prepare(writes=wanted)
            used = next(one for one, _, _ in lazy.values() if one.name == codec.name)
            parts = {name for _, name in compiled(codec)} - {name for _, name in compiled(used)}
            assert parts <= SMALL, parts
