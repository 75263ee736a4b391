"""The first messages of real cars: offers, session ids and EVCCIDs, as recorded."""

from __future__ import annotations

import pytest

from protocols.iso15118 import app_protocol
from protocols.iso15118.app_protocol_messages import AppProtocol, supportedAppProtocolReq
from protocols.iso15118.din.dialect import DIN
from protocols.iso15118.iso2.dialect import Dialect
from protocols.iso15118.iso2.secc import Secc
from protocols.iso15118.iso2.states import Step
from protocols.iso15118.iso20 import events
from tests.protocols.iso15118.iso2.iso2_pair import DIALECTS, secc_settings
from tests.protocols.iso15118.iso2.raw_car import RawCar

GENERATIONS = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=list(DIALECTS))
DIN_NS, ISO2_NS, TESLA = "urn:din:70121:2012:MsgDef", "urn:iso:15118:2:2013:MsgDef", "urn:tesla:din:2018:MsgDef"


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [
        ([(DIN_NS, 2, 0, 1, 2), (ISO2_NS, 2, 0, 0, 1)], ISO2_NS),  # VW id.3, Audi Q4, Taycan
        ([(DIN_NS, 2, 0, 1, 1), (ISO2_NS, 2, 0, 0, 2)], DIN_NS),  # VW id.4 fw 2.3, Enyaq, BMW iX, Polestar 2
        ([(DIN_NS, 2, 0, 1, 1)], DIN_NS),  # EQC, Kona, Ampera-e, Ioniq 28
        ([(DIN_NS, 2, 0, 1, 1), (ISO2_NS, 2, 0, 2, 2)], DIN_NS),  # Ioniq 5, EV6
        ([(DIN_NS, 2, 0, 10, 1), (ISO2_NS, 2, 0, 20, 2)], DIN_NS),  # Seres 3
        ([(DIN_NS, 2, 0, 2, 1), (ISO2_NS, 2, 0, 10, 2)], DIN_NS),  # MG4
        ([(DIN_NS, 2, 0, 1, 1), (ISO2_NS, 2, 0, 3, 5)], DIN_NS),  # BYD Atto 3, XPENG P7: a gap between priorities
        ([(DIN_NS, 2, 0, 0, 1), (ISO2_NS, 2, 0, 1, 2)], DIN_NS),  # Zoe: schema id 0
        ([(DIN_NS, 2, 0, 1, 2), (TESLA, 0, 7, 2, 1)], DIN_NS),  # Tesla Model 3, Y: an unknown protocol first
        ([(DIN_NS, 2, 0, 1, 3), (TESLA, 0, 7, 2, 2)], DIN_NS),  # X Plaid: no priority 1
        ([(ISO2_NS, 2, 1, 255, 20)], ISO2_NS),
        ([(ISO2_NS, 1, 0, 1, 1)], None),
    ],
)
def test_the_offers_of_real_cars(offered: list[tuple[str, int, int, int, int]], agreed: str | None) -> None:
    request = supportedAppProtocolReq(
        AppProtocol=tuple(
            AppProtocol(
                ProtocolNamespace=namespace,
                VersionNumberMajor=major,
                VersionNumberMinor=minor,
                SchemaID=schema,
                Priority=priority,
            )
            for namespace, major, minor, schema, priority in offered
        )
    )
    secc = Secc(secc_settings(), 0.0)
    found = [one for one in secc.receive(app_protocol.encode(request), 0.0) if isinstance(one, events.ProtocolAgreed)]
    assert [one.namespace for one in found] == ([] if agreed is None else [agreed])
    assert secc.ended is (agreed is None)


@GENERATIONS
@pytest.mark.parametrize(
    "session_id",
    [
        b"\x00",  # VW, BMW, Mercedes
        bytes(8),  # Hyundai, Kia, Tesla
        bytes(6),  # Seres 3
        b"",  # Subaru Solterra
        bytes.fromhex("0123456789abcdef"),  # PSA: that of the last session
    ],
)
def test_any_session_id_opens_a_new_session(dialect: Dialect, session_id: bytes) -> None:
    car = RawCar(dialect)
    response = car.send(car.request(Step.SESSION_SETUP), session_id)
    assert response.ResponseCode == "OK_NewSessionEstablished"
    assert len(car.session_id) == 8
    assert any(car.session_id)
    assert car.session_id != session_id


@pytest.mark.parametrize("evccid", [b"", b"\x00\x01\x02\x03\x04\x05", bytes(7), bytes(8)])
def test_an_evccid_of_any_length_in_din(evccid: bytes) -> None:
    car = RawCar(DIN)
    assert car.step(Step.SESSION_SETUP, EVCCID=evccid).ResponseCode == "OK_NewSessionEstablished"
