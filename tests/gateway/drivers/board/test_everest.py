"""EVerest's hardware API: messages, liveness, faults, payloads that do not follow it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.drivers.board.everest.engine import EverestEngine
from gateway.drivers.board.faults import FaultName, Part
from gateway.drivers.board.ports import (
    OFF,
    BoardEvent,
    ContactorsChanged,
    DutyCycle,
    FaultCleared,
    FaultRaised,
    IsolationMeasured,
    IsolationTested,
    LockChanged,
    Output,
    PilotChanged,
    PilotLevel,
    PilotState,
    PowerReason,
    Range,
    Setpoint,
    StageMode,
    StopRequested,
)
from protocols.everest_api import Address, Kind, parse
from tests.rounds import rounds

IDS = {Kind.BOARD: "bsp", Kind.POWER: "ps", Kind.ISOLATION: "imd", Kind.METER: "pm"}
CAPABILITIES = (
    '{"bidirectional":true,"max_export_voltage_V":1000,"min_export_voltage_V":200,"max_export_current_A":73.3,'
    '"min_export_current_A":1,"max_export_power_W":22000,"max_import_voltage_V":1000,"min_import_voltage_V":200,'
    '"max_import_current_A":73.3,"min_import_current_A":0,"max_import_power_W":22000,'
    '"current_regulation_tolerance_A":1,"peak_current_ripple_A":0.2}'
)


@pytest.fixture
def engine() -> EverestEngine:
    return EverestEngine(IDS, 0.0, 5.0)


def receive(engine: EverestEngine, path: str, payload: str, now: float = 1.0) -> list[BoardEvent]:
    kind, _, name = path.partition("/")
    address = parse(f"everest_api/1/{kind}/{IDS[Kind(kind)]}/m2e/{name}")
    assert address is not None
    return engine.receive(address, payload.encode(), now)


def test_commands_are_those_of_the_api(engine: EverestEngine) -> None:
    engine.start()
    engine.set_pilot(DutyCycle(5.0))
    engine.set_pilot(DutyCycle(5.0))  # unchanged: not sent again
    engine.set_pilot(PilotLevel.X1)
    engine.allow(True, PowerReason.PRECHARGE)
    engine.set(Setpoint(StageMode.CHARGE, 400.0, 2.0), 0.0)
    engine.allow(True, PowerReason.FULL_POWER)
    engine.set(Setpoint(StageMode.DISCHARGE, 330.0, -15.0), 0.0)
    engine.set(OFF, 0.0)
    engine.set_lock(True, 0.0)
    engine.self_test(500.0)
    engine.measure(True)
    bsp, ps, imd = (f"everest_api/1/{kind}/{one}/e2m/" for kind, one in list(IDS.items())[:3])
    assert engine.messages_to_send() == [
        (bsp + "enable", b"true"),
        ("everest_api/ready_beacon", b"{}"),
        (bsp + "pwm_on", b"5.0"),
        (bsp + "cp_state_X1", b""),
        (bsp + "allow_power_on", b'{"allow_power_on":true,"reason":"DCPreCharge"}'),
        (ps + "export_voltage_current", b'{"voltage_V":400.0,"current_A":2.0}'),
        (ps + "mode", b'{"mode":"Export","charging_phase":"PreCharge"}'),
        (bsp + "allow_power_on", b'{"allow_power_on":true,"reason":"FullPowerCharging"}'),
        (ps + "import_voltage_current", b'{"voltage_V":330.0,"current_A":15.0}'),
        (ps + "mode", b'{"mode":"Import","charging_phase":"Charging"}'),
        (ps + "mode", b'{"mode":"Off","charging_phase":"Charging"}'),
        (bsp + "lock", b""),
        (imd + "start_self_test", b"500.0"),
        (imd + "start", b"{}"),
    ]


def test_reports_are_those_of_the_api(engine: EverestEngine) -> None:
    assert receive(engine, "evse_board_support/event", '{"event":"C"}') == [PilotChanged(PilotState.READY, 1.0)]
    assert receive(engine, "evse_board_support/event", '{"event":"PowerOn"}') == [ContactorsChanged(True, 1.0)]
    assert receive(engine, "evse_board_support/request_stop_transaction", '{"reason":"Local"}') == [
        StopRequested("Local", 1.0)
    ]
    receive(engine, "power_supply_DC/capabilities", CAPABILITIES)
    assert engine.capability is not None
    assert engine.capability.charge == Range(200.0, 1000.0, 73.3, 22_000.0, 1.0)
    receive(engine, "power_supply_DC/mode", '"Import"')
    receive(engine, "power_supply_DC/voltage_current", '{"voltage_V":376.5,"current_A":-14.8}')
    assert engine.output == Output(1.0, StageMode.DISCHARGE, 376.5, -14.8)
    engine.measure(True)
    assert receive(engine, "isolation_monitor/isolation_measurement", '{"resistance_F_Ohm":1200000}') == [
        IsolationMeasured(1_200_000.0, 1.0)
    ]
    assert receive(engine, "isolation_monitor/self_test_result", "true") == [IsolationTested(True, 1.0)]
    receive(
        engine,
        "powermeter/powermeter_values",
        '{"timestamp":"2026-11-28T18:00:00.000Z","energy_Wh_import":{"total":1234.5},"energy_Wh_export":{"total":87.0},'
        '"power_W":{"total":-5400.0},"voltage_V":{"DC":376.0},"current_A":{"DC":-14.4}}',
    )
    reading = engine.reading
    assert reading is not None
    assert (reading.charged_wh, reading.discharged_wh, reading.power_w) == (1234.5, 87.0, -5400.0)
    assert (reading.voltage_v, reading.current_a) == (376.0, -14.4)


def test_errors_have_their_names_and_parts(engine: EverestEngine) -> None:
    raised = receive(engine, "power_supply_DC/raise_error", '{"type":"OverTemperature","sub_type":"","message":"hot"}')
    assert raised == [FaultRaised(Part.POWER, FaultName.OVER_TEMPERATURE, "OverTemperature hot", 1.0)]
    cleared = receive(engine, "power_supply_DC/clear_error", '{"type":"OverTemperature"}')
    assert cleared == [FaultCleared(Part.POWER, FaultName.OVER_TEMPERATURE, 1.0)]
    lock = receive(engine, "evse_board_support/raise_error", '{"type":"ConnectorLockFailedLock"}')
    assert [event.part for event in lock if isinstance(event, FaultRaised)] == [Part.LOCK]
    unknown = receive(engine, "evse_board_support/raise_error", '{"type":"SomethingNew"}')
    assert [event.name for event in unknown if isinstance(event, FaultRaised)] == [FaultName.VENDOR_ERROR]


def test_a_missing_communication_check_is_a_fault_and_commands_are_sent_again(engine: EverestEngine) -> None:
    engine.allow(True, PowerReason.FULL_POWER)
    engine.set_pilot(DutyCycle(5.0))
    for kind in IDS:
        receive(engine, f"{kind}/communication_check", "true", 0.0)
    engine.messages_to_send()
    found = engine.expire(5.0)
    assert {event.part for event in found if isinstance(event, FaultRaised)} == {
        Part.PILOT, Part.POWER, Part.ISOLATION, Part.METER,
    }  # fmt: skip
    engine.messages_to_send()
    cleared = receive(engine, "evse_board_support/communication_check", "true", 6.0)
    assert cleared == [FaultCleared(Part.PILOT, FaultName.COMMUNICATION, 6.0)]
    names = [topic.rpartition("/")[2] for topic, _ in engine.messages_to_send()]
    assert names == ["allow_power_on", "pwm_on"]


def test_a_set_point_ends_and_the_lock_is_confirmed(engine: EverestEngine) -> None:
    engine.set(Setpoint(StageMode.CHARGE, 400.0, 5.0), 0.0)
    engine.set_lock(True, 0.0)
    assert LockChanged(True, 0.5) in engine.expire(0.5)
    engine.messages_to_send()
    engine.expire(2.0)
    assert any(b'"mode":"Off"' in payload for _, payload in engine.messages_to_send())


payloads = st.one_of(
    st.binary(max_size=20),
    st.sampled_from([b'{"voltage_V":1e999,"current_A":1}', b'{"event":7}', b'{"type":[]}', b"NaN", b"[" * 2000, b"{}"]),
    st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5), lambda s: st.lists(s, max_size=3)).map(
        lambda value: repr(value).encode()
    ),
)
NAMES = ["event", "mode", "voltage_current", "capabilities", "isolation_measurement", "self_test_result", "raise_error",
         "clear_error", "powermeter_values", "communication_check", "request_stop_transaction", "other"]  # fmt: skip


@settings(deadline=None, max_examples=rounds(50, 200))
@given(kind=st.sampled_from(list(Kind)), name=st.sampled_from(NAMES), payload=payloads)
def test_any_payload_is_processed_or_counted(kind: Kind, name: str, payload: bytes) -> None:
    engine = EverestEngine(IDS, 0.0, 5.0)
    engine.receive(Address(kind, IDS[kind], False, name), payload, 1.0)
    assert engine.output is None or engine.output.voltage_v == engine.output.voltage_v


@given(st.text(max_size=60))
def test_topics_of_others_are_ignored(topic: str) -> None:
    assert parse(topic) is None
