"""Frames recorded from peers: decoded, and encoded to the same bytes."""

from __future__ import annotations

import pytest

from protocols.iso15118 import app_protocol
from protocols.iso15118.iso20 import ac_messages, dc_loop, messages
from protocols.iso15118.iso20.ac import AC_ChargeLoopRes
from protocols.iso15118.iso20.dc import DC_ChargeLoopReq, DC_ChargeLoopRes
from protocols.iso15118.iso20.limits import UNLIMITED, Limits
from protocols.iso15118.iso20.phases import phase_values
from protocols.v2gtp import Framer

WIDE = Limits(max_charge_w=UNLIMITED, max_discharge_w=UNLIMITED)
HANDSHAKE = "01fe8001000000258000f3ab9371d34b9b79d39ba321d34b9b79d189a98989c1d1699181d22218010000040040"
REQUEST = (
    "01fe80040000003f803404571f9afade38bd56081c690d806200518402002400c090202808101404000a02080a010205"
    "008002804081402000a0106158040830ac020418560110"
)
RESPONSE = (
    "01fe80040000003d803804571f9afade38bd56081c690d80620064008c02002400c00001407003c14090000008000004"
    "003202003d00c1001209c08006404000c820002800"
)
AC_RESPONSE = (
    "01fe800300000033800c046dff8f1c6932f61608ec690d80620048400eb9b004008480400848080000010001402000280"
    "400050100014040005000"
)


def test_the_handshake_for_dc() -> None:
    offered = app_protocol.decode(Framer().feed(bytes.fromhex(HANDSHAKE))[0].payload)
    assert offered == app_protocol.request([app_protocol.ISO20_DC])
    assert app_protocol.encode(offered).hex() == HANDSHAKE
    response, agreement = app_protocol.choose(offered, [app_protocol.ISO20_DC])
    assert app_protocol.encode(response)[8:].hex() == "80400040"
    assert agreement is not None


@pytest.mark.parametrize("golden", [REQUEST, RESPONSE, AC_RESPONSE])
def test_a_frame_of_the_loop_is_written_back_as_it_was(golden: str) -> None:
    message = messages.decode(Framer().feed(bytes.fromhex(golden))[0])
    assert message is not None
    assert messages.encode(message).hex() == golden


def test_a_discharge_with_the_messages_of_a_peer() -> None:
    request = messages.decode(Framer().feed(bytes.fromhex(REQUEST))[0])
    assert isinstance(request, DC_ChargeLoopReq)
    assert request.Header.SessionID.hex().upper() == "AE3F35F5BC717AAC"
    assert dc_loop.fits_request(request, bpt=True, dynamic=True)
    car = dc_loop.read_request(request, WIDE)
    assert car.display is not None
    assert car.display.present_soc_pct == 10
    assert car.present_voltage_v == 400
    assert car.limits.max_discharge_w == 300_000
    response = messages.decode(Framer().feed(bytes.fromhex(RESPONSE))[0])
    assert isinstance(response, DC_ChargeLoopRes)
    station = dc_loop.read_response(response, WIDE)
    assert (station.present_current_a, station.present_voltage_v) == (-25, 400)
    assert (station.limits.max_charge_w, station.limits.max_discharge_w) == (0, 10_000)


def test_an_ac_target_out_of_the_vehicle() -> None:
    response = messages.decode(Framer().feed(bytes.fromhex(AC_RESPONSE))[0])
    assert isinstance(response, AC_ChargeLoopRes)
    assert phase_values(response.CLResControlMode, "EVSETargetActivePower") == [-7_000, -10, -10]
    assert ac_messages.read_response(response, WIDE).target_power_w == -7_020
