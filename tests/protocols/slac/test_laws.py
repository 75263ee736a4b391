"""Both engines under any sequence of messages: bounded, one owner of a key, no frame to itself, no error."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.errors import LocalProtocolError
from protocols.iec61851 import PilotState
from protocols.slac import messages as m
from protocols.slac import vendor as v
from protocols.slac.codec import decode
from protocols.slac.engine import MOST_WAITING
from protocols.slac.ev import MOST_REPORTS, EvSlac
from protocols.slac.events import Leave, PilotChanged, StartMatching
from protocols.slac.evse import EvseSlac
from protocols.slac.frames import BROADCAST, LONGEST_FRAME, Frame, Message
from protocols.slac.settings import EvseSettings, EvSettings, EvValidation
from tests.protocols.slac.bench import EV, EVSE, MODEM, OTHER_EV, OTHER_EVSE, OTHER_MODEM
from tests.rounds import rounds

MACS = st.sampled_from([EV, OTHER_EV, EVSE, OTHER_EVSE, MODEM, OTHER_MODEM])
RUNS = st.sampled_from([b"run id 1", b"run id 2", bytes(8)])
BYTE = st.integers(0, 255)
SMALL = st.sampled_from([0, 1, 2, 10, 255])
GROUPS = st.sampled_from([b"", bytes(58), b"\x09" * 58, b"\xff" * 58, b"\x01"])
MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.builds(m.SlacParmReq, RUNS, SMALL, SMALL),
    st.builds(m.SlacParmCnf, RUNS, MACS, SMALL, SMALL),
    st.builds(m.StartAttenCharInd, RUNS, MACS, SMALL, SMALL),
    st.builds(m.MnbcSoundInd, RUNS, BYTE, st.just(bytes(16))),
    st.builds(m.AttenProfileInd, MACS, GROUPS),
    st.builds(v.AttenuationInd, MACS, GROUPS),
    st.builds(m.AttenCharInd, MACS, RUNS, SMALL, GROUPS),
    st.builds(m.AttenCharRsp, MACS, RUNS, SMALL),
    st.builds(m.SlacMatchReq, MACS, MACS, RUNS),
    st.builds(m.SlacMatchCnf, MACS, MACS, RUNS, st.just(bytes(7)), st.just(bytes(16))),
    st.builds(m.ValidateReq, SMALL, SMALL),
    st.builds(m.ValidateCnf, SMALL, SMALL),
    st.builds(m.AmpMapReq, st.lists(st.integers(0, 15), max_size=4).map(tuple)),
    st.builds(m.AmpMapCnf, SMALL),
    st.builds(m.SetKeyCnf, SMALL),
    st.builds(v.LinkStatusCnf, st.booleans()),
)
STEP = st.one_of(
    st.tuples(MACS, MACS | st.just(BROADCAST), MESSAGES),
    st.binary(max_size=64),
    st.floats(0.0, 15.0),
    st.sampled_from([PilotState.A, PilotState.B, PilotState.C, PilotState.F]),
)
Step = tuple[bytes, bytes, Message] | bytes | float | PilotState


def drive(engine: EvseSlac | EvSlac, steps: list[Step], order: Callable[[PilotState, float], None]) -> list[Frame]:
    """Run an engine through any steps; return the frames that it sent."""
    sent: list[Frame] = []
    now = 0.0

    def collect() -> None:
        frames = engine.data_to_send()
        assert len(frames) <= MOST_WAITING
        assert all(len(data) <= LONGEST_FRAME and data[6:12] == engine.host != data[:6] for data in frames)
        sent.extend(decode(data) for data in frames)

    for step in steps:
        if isinstance(step, PilotState):
            order(step, now)
        elif isinstance(step, float):
            until, count = now + step, 0
            while (due := engine.deadline()) is not None and due <= until:
                now, count = max(now, due), count + 1
                engine.expire(now)
                collect()
                assert count < 5000, "the deadline does not move on"
            now = until
        else:
            data = step if isinstance(step, bytes) else Frame(step[1], step[0], step[2]).encode()
            assert len(engine.receive(data, now)) < 16
        collect()
    return sent


@settings(max_examples=rounds(60, 5000), deadline=None)
@given(st.lists(STEP, max_size=60))
def test_an_evse_is_bounded_and_gives_each_key_to_one_vehicle(steps: list[Step]) -> None:
    engine = EvseSlac(EvseSettings(EVSE, max_sessions=2), 0.0, entropy=random.Random(1).randbytes)
    engine.receive(Frame(EVSE, MODEM, m.SetKeyCnf(1)).encode(), 0.0)
    sent = drive(engine, steps, lambda state, now: engine.command(PilotChanged(state), now))
    assert len(engine.sessions) <= 2
    holders: dict[bytes, set[bytes]] = {}
    for frame in sent:
        if isinstance(frame.message, m.SlacMatchCnf):
            holders.setdefault(frame.message.nmk, set()).add(frame.destination)
    assert all(len(vehicles) == 1 for vehicles in holders.values())


@settings(max_examples=rounds(60, 5000), deadline=None)
@given(st.lists(STEP, max_size=60), st.sampled_from(EvValidation))
def test_a_vehicle_is_bounded(steps: list[Step], validation: EvValidation) -> None:
    engine = EvSlac(EvSettings(EV, validation=validation), 0.0, entropy=lambda size: b"run id 1"[:size].ljust(size))

    def order(state: PilotState, now: float) -> None:
        try:
            engine.command(Leave() if state is PilotState.A else StartMatching(), now)
        except LocalProtocolError:
            assert state is not PilotState.A

    order(PilotState.B, 0.0)
    drive(engine, steps, order)
    assert len(engine.reports) <= MOST_REPORTS


def test_a_flood_of_vehicles_is_bounded() -> None:
    engine = EvseSlac(EvseSettings(EVSE), 0.0)
    engine.receive(Frame(EVSE, MODEM, m.SetKeyCnf(1)).encode(), 0.0)
    engine.command(PilotChanged(PilotState.B), 0.0)
    for number in range(10_000):
        source = b"\x02\x00" + number.to_bytes(4, "big")
        engine.receive(Frame(BROADCAST, source, m.SlacParmReq(b"run id 1")).encode(), 0.0)
    assert len(engine.sessions) == engine.settings.max_sessions
    assert len(engine.data_to_send()) <= MOST_WAITING


@pytest.mark.parametrize("role", ["evse", "ev"])
def test_a_flood_of_reports_and_requests_fills_no_queue(role: str) -> None:
    engine: EvseSlac | EvSlac = EvSlac(EvSettings(EV), 0.0) if role == "ev" else EvseSlac(EvseSettings(EVSE), 0.0)
    for number in range(2000):
        source = b"\x02\x01" + number.to_bytes(4, "big")
        engine.receive(Frame(engine.host, source, m.AttenCharInd(EV, bytes(8), 10, b"\1" * 58)).encode(), 0.0)
        engine.receive(Frame(engine.host, source, m.ValidateReq(0)).encode(), 0.0)
    assert len(engine.data_to_send()) <= MOST_WAITING
