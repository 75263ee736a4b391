"""SDP: the two datagrams, the SECC's response, the EVCC's retries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.sdp import (
    ANSWER_WITHIN,
    TRIES,
    Discovery,
    SdpError,
    SdpRequest,
    SdpResponse,
    SeccFound,
    SeccNotFound,
    Security,
    Transport,
    answer,
    decode_request,
    decode_response,
)

HERE = "fe80::1"


def test_golden_frames() -> None:
    assert SdpRequest(Security.NONE).encode().hex() == "01fe9000000000021000"
    response = SdpResponse(HERE, 50000, Security.NONE)
    golden = "01fe900100000014fe800000000000000000000000000001c3501000"
    assert response.encode().hex() == golden
    assert decode_response(bytes.fromhex(golden)) == response


@given(st.sampled_from(Security), st.sampled_from(Transport))
def test_requests_come_back(security: Security, transport: Transport) -> None:
    request = SdpRequest(security, transport)
    assert decode_request(request.encode()) == request


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_an_sdp_error(datagram: bytes) -> None:
    for decode in (decode_request, decode_response):
        with pytest.raises(SdpError):
            decode(datagram)


@pytest.mark.parametrize(
    ("requested", "offered", "answered"),
    [
        (Security.TLS, {Security.TLS, Security.NONE}, Security.TLS),
        (Security.NONE, {Security.TLS, Security.NONE}, Security.NONE),
        (Security.TLS, {Security.NONE}, Security.NONE),
        (Security.NONE, {Security.TLS}, Security.TLS),
    ],
)
def test_the_sdp_response_states_the_security_of_the_port(
    requested: Security, offered: set[Security], answered: Security
) -> None:
    assert answer(SdpRequest(requested), HERE, 50000, frozenset(offered)).security is answered


def test_the_ev_repeats_sdp_fifty_times_and_fails() -> None:
    engine = Discovery(Security.NONE, 0.0)
    sent, events = 0, []
    while (now := engine.deadline()) is not None:
        events += engine.expire(now)
        sent += len(engine.datagrams_to_send())
        last = now
    assert sent == TRIES
    assert events == [SeccNotFound(TRIES)]
    assert last == pytest.approx(TRIES * ANSWER_WITHIN)
    assert engine.ended


def test_the_first_matching_response_is_used() -> None:
    engine = Discovery(Security.NONE, 0.0)
    engine.expire(0.0)
    good = SdpResponse(HERE, 50000, Security.NONE)
    for bad in (
        SdpResponse("2001:db8::1", 50000, Security.NONE),  # not on this link
        SdpResponse(HERE, 80, Security.NONE),  # no dynamic port
        SdpResponse(HERE, 50000, Security.NONE, Transport.UDP),
    ):
        assert engine.receive(bad.encode(), 0.1) == []
    assert engine.receive(b"rubbish", 0.1) == []
    assert engine.receive(SdpRequest(Security.NONE).encode(), 0.1) == []
    assert engine.receive(good.encode(), 0.2) == [SeccFound(good)]
    assert engine.receive(good.encode(), 0.2) == []
    assert engine.deadline() is None


def test_a_car_that_requires_tls_skips_a_charger_without() -> None:
    engine = Discovery(Security.TLS, 0.0, required=True)
    engine.expire(0.0)
    assert engine.receive(SdpResponse(HERE, 50000, Security.NONE).encode(), 0.1) == []
    assert len(engine.receive(SdpResponse(HERE, 50000, Security.TLS).encode(), 0.2)) == 1


def test_a_car_without_tls_requirement_accepts_a_charger_without_tls() -> None:
    engine = Discovery(Security.TLS, 0.0)
    engine.expire(0.0)
    assert len(engine.receive(SdpResponse(HERE, 50000, Security.NONE).encode(), 0.1)) == 1
