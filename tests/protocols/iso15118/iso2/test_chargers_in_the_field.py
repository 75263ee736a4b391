"""An EVCC of ISO 15118-2 and DIN 70121 at chargers that deviate, faulty chargers and wrong responses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from protocols.iso15118.iso2.dialect import ISO2, Dialect
from protocols.iso15118.iso2.states import Step
from protocols.iso15118.iso2.tolerances import EV_INTEROP, ChargerTolerance
from protocols.iso15118.iso20 import events, orders
from protocols.iso15118.iso20.schedules import flat_offer
from protocols.iso15118.iso20.secc_session import Fault
from protocols.v2gtp import Framer
from tests.protocols.iso15118.iso2.iso2_pair import DIALECTS, OldPair, after_loops, in_loop, in_step, old_pair, stop

GENERATIONS = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=list(DIALECTS))
AC = "AC_three_phase_core"
Change = Callable[[Any], Any]


def alter(pair: OldPair, name: str, change: Change, *, times: int = 10_000) -> None:
    """Change the responses of a type on their way to the car; a change to None drops them."""
    dialect, left = pair.ev.dialect, [times]

    def on_the_way(data: bytes) -> bytes:
        if not data or pair.ev.step is Step.APP_PROTOCOL:
            return data
        found = b""
        for one in Framer().feed(data):
            session_id, response = dialect.decode(one.payload)
            if type(response).__name__ == name and left[0] > 0:
                left[0] -= 1
                response = change(response)
            found += b"" if response is None else dialect.encode(session_id, response)
        return found

    pair.to_ev = on_the_way


def status(dialect: Dialect, code: str, isolation: str = "Valid") -> Any:
    return dialect.dc_status(code, isolation)


def ev_end(pair: OldPair) -> events.SessionEnded:
    (ended,) = pair.ev_seen(events.SessionEnded)
    assert isinstance(ended, events.SessionEnded)
    return ended


@GENERATIONS
@pytest.mark.parametrize("session_id", [b"\x01\x02\x03\x04", bytes(7) + b"\x09", b"\x05"])
def test_a_session_id_is_echoed_as_it_was_received(dialect: Dialect, session_id: bytes) -> None:
    """Supercharger V3: 4 bytes; Alpitronic: leading zeros."""
    pair = old_pair(dialect, secc_arguments={"draw": lambda size: session_id})
    pair.run(after_loops(3))
    assert pair.ev.session.session_id == session_id
    stop(pair)
    assert ev_end(pair).ok


@GENERATIONS
def test_a_zero_session_id_of_the_charger_is_refused(dialect: Dialect) -> None:
    pair = old_pair(dialect)
    pair.run(in_step(Step.SESSION_SETUP))
    pair.to_ev = lambda data: dialect.encode(bytes(8), dialect.decode(data[8:])[1]) if data else data
    pair.run()
    assert not ev_end(pair).ok


@GENERATIONS
def test_no_response_to_welding_detection_is_the_end(dialect: Dialect) -> None:
    """ABB Terra, ABB HPC."""
    for tolerances, ok in ((EV_INTEROP, True), (EV_INTEROP - {ChargerTolerance.WELDING_UNANSWERED}, False)):
        pair = old_pair(dialect, ev={"tolerances": tolerances})
        pair.run(after_loops(3))
        alter(pair, "WeldingDetectionRes", lambda response: None)
        stop(pair)
        assert ev_end(pair).ok is ok
        assert pair.ev_seen(events.PowerStopped)


@GENERATIONS
def test_a_failed_welding_detection_is_the_end(dialect: Dialect) -> None:
    """Alpitronic."""
    for tolerances, ok in ((EV_INTEROP, True), (EV_INTEROP - {ChargerTolerance.WELDING_FAILED}, False)):
        pair = old_pair(dialect, ev={"tolerances": tolerances})
        pair.run(after_loops(3))
        alter(pair, "WeldingDetectionRes", lambda response: replace(response, ResponseCode=dialect.code("FAILED")))
        stop(pair)
        assert ev_end(pair).ok is ok


@GENERATIONS
def test_finished_but_not_ready(dialect: Dialect) -> None:
    """Compleo: Finished with EVSE_NotReady and 0 A while it is not ready."""

    finished = dialect.types.EVSEProcessing("Finished")

    def not_ready(response: Any) -> Any:
        if response.EVSEProcessing == "Finished":
            return response
        parameters = replace(
            response.EVSEChargeParameter,
            DC_EVSEStatus=status(dialect, "EVSE_NotReady", "Invalid"),
            EVSEMaximumCurrentLimit=dialect.quantity(0, "A"),
        )
        schedules = dialect.schedules((flat_offer(0, 0.0, None),), 0.0)
        return replace(response, EVSEChargeParameter=parameters, EVSEProcessing=finished, SASchedules=schedules)

    for tolerances, waits in ((EV_INTEROP, True), (EV_INTEROP - {ChargerTolerance.FINISHED_NOT_READY}, False)):
        pair = old_pair(dialect, ev={"tolerances": tolerances})
        pair.run(in_step(Step.SERVICE_DISCOVERY))
        alter(pair, "ChargeParameterDiscoveryRes", not_ready)
        pair.run(after_loops(2))
        assert in_loop(pair) is waits


@GENERATIONS
@pytest.mark.parametrize("code", ["EVSE_NotReady", "EVSE_Ready", "EVSE_IsolationMonitoringActive", "Reserved_9"])
def test_codes_that_are_no_stop(dialect: Dialect, code: str) -> None:
    """ABB, Compleo: EVSE_NotReady in the cable check; reserved codes are ignored."""
    for name in ("CableCheckRes", "PreChargeRes", "CurrentDemandRes"):
        pair = old_pair(dialect)
        pair.run(in_step(Step.SERVICE_DISCOVERY))
        alter(pair, name, lambda response: replace(response, DC_EVSEStatus=status(dialect, code)))
        pair.run(after_loops(5))
        assert in_loop(pair)


@GENERATIONS
@pytest.mark.parametrize(("isolation", "goes_on"), [("Warning", True), ("Fault", False), ("No_IMD", False)])
def test_the_result_of_the_insulation_test(dialect: Dialect, isolation: str, goes_on: bool) -> None:
    if isolation == "No_IMD" and dialect.is_din:
        return  # no value of DIN
    pair = old_pair(dialect)
    pair.run(in_step(Step.SERVICE_DISCOVERY))
    alter(
        pair,
        "CableCheckRes",
        lambda response: replace(response, DC_EVSEStatus=status(dialect, "EVSE_Ready", isolation)),
    )
    pair.run(lambda pair: pair.ev.session.loops > 2)
    assert in_loop(pair) is goes_on
    if not goes_on:
        assert not ev_end(pair).ok
        assert not pair.ev_seen(events.VoltageMatched)


@GENERATIONS
@pytest.mark.parametrize(
    ("code", "ok"),
    [
        ("EVSE_Shutdown", True),
        ("EVSE_UtilityInterruptEvent", True),
        ("EVSE_EmergencyShutdown", False),
        ("EVSE_Malfunction", False),
    ],
)
@pytest.mark.parametrize("name", ["PreChargeRes", "CurrentDemandRes", "PowerDeliveryRes"])
def test_codes_that_stop_the_car(dialect: Dialect, code: str, ok: bool, name: str) -> None:
    """The current is 0 A at once; a fault is not a regular end."""
    pair = old_pair(dialect)
    pair.run(in_step(Step.SERVICE_DISCOVERY))
    field = "EVSEStatus" if name == "PowerDeliveryRes" else "DC_EVSEStatus"
    alter(pair, name, lambda response: replace(response, **{field: status(dialect, code)}), times=1)
    pair.run()
    assert ev_end(pair).ok is (ok or name == "PreChargeRes")
    assert pair.ev.session.loops <= 1
    assert pair.current_a == 0.0


def test_a_tripped_residual_current_device() -> None:
    pair = old_pair(ISO2, ac=AC)
    pair.run(after_loops(3))
    pair.secc.command(orders.ReportFault(Fault.RESIDUAL_CURRENT), pair.now)
    pair.run()
    assert not ev_end(pair).ok
    assert ev_end(pair).termination_code == "residual current"
    assert pair.target_w == 0.0


@GENERATIONS
@pytest.mark.parametrize(
    ("fault", "code"), [(Fault.OUTPUT, "EVSE_Malfunction"), (Fault.GRID, "EVSE_UtilityInterruptEvent")]
)
def test_a_fault_of_the_charger_leaves_no_power(dialect: Dialect, fault: Fault, code: str) -> None:
    pair = old_pair(dialect, ev={"trace": True})
    pair.run(after_loops(3))
    pair.secc.command(orders.ReportFault(fault), pair.now)
    pair.run()
    received = [one.message for one in pair.ev_seen(events.MessageReceived)]
    looped = [one for one in received if type(one).__name__ == "CurrentDemandRes"]
    assert looped[-1].DC_EVSEStatus.EVSEStatusCode == code
    assert looped[-1].EVSEMaximumPowerLimit.Value == 0
    assert pair.seen(events.ChargeLoopRequested)[-1].target.power_w == 0.0
    assert ev_end(pair).ok is (fault is Fault.GRID)


@pytest.mark.parametrize("power_w", [-5_000.0, 20_000_000.0])
def test_a_wrong_power_in_a_schedule_of_dc(power_w: float) -> None:
    """A public charger states a negative one, Alpitronic 20 000 kW: with DC the limits in the loop count."""

    def changed(response: Any) -> Any:
        if response.SASchedules is None:
            return response
        (one,) = response.SASchedules.SAScheduleTuple
        (entry,) = one.PMaxSchedule.PMaxScheduleEntry
        entry = replace(entry, PMax=ISO2.quantity(power_w, "W"))
        one = replace(one, PMaxSchedule=replace(one.PMaxSchedule, PMaxScheduleEntry=(entry,)))
        return replace(response, SASchedules=replace(response.SASchedules, SAScheduleTuple=(one,)))

    pair = old_pair(ISO2)
    pair.run(in_step(Step.SERVICE_DISCOVERY))
    alter(pair, "ChargeParameterDiscoveryRes", changed)
    pair.run(after_loops(5))
    assert pair.target_w == pytest.approx(20_000, rel=0.01)


@GENERATIONS
def test_a_charger_that_states_no_power_limit(dialect: Dialect) -> None:
    """Optional in DIN; in the loop the three limits are optional in both."""
    pair = old_pair(dialect)
    pair.run(in_step(Step.SERVICE_DISCOVERY))
    nothing = {f"EVSEMaximum{kind}Limit": None for kind in ("Voltage", "Current", "Power")}
    alter(pair, "CurrentDemandRes", lambda response: replace(response, **nothing))
    pair.run(after_loops(5))
    assert in_loop(pair)


@GENERATIONS
def test_the_car_states_what_chargers_require(dialect: Dialect) -> None:
    """Plugit needs the limits in CurrentDemandReq; others need the optional fields of charge parameter discovery."""
    pair = old_pair(dialect, secc={"trace": True})
    pair.run(after_loops(2))
    received = {type(one.message).__name__: one.message for one in pair.seen(events.MessageReceived)}
    parameters = received["ChargeParameterDiscoveryReq"].EVChargeParameter
    for name in ("EVMaximumPowerLimit", "EVEnergyCapacity", "EVEnergyRequest", "FullSOC", "BulkSOC"):
        assert getattr(parameters, name) is not None
    for name in ("EVMaximumVoltageLimit", "EVMaximumCurrentLimit", "EVMaximumPowerLimit"):
        assert getattr(received["CurrentDemandReq"], name) is not None


@GENERATIONS
@pytest.mark.parametrize(("current_a", "refused"), [(-1.5, False), (-2.5, True), (-10.0, True)])
def test_reverse_current_ends_the_session_with_the_first_response(
    dialect: Dialect, current_a: float, refused: bool
) -> None:
    """A measuring error of 2 A is tolerated, also for longer."""
    pair = old_pair(dialect)
    pair.run(after_loops(3))
    loops, wrong = pair.ev.session.loops, dialect.quantity(current_a, "A")
    alter(pair, "CurrentDemandRes", lambda response: replace(response, EVSEPresentCurrent=wrong))
    pair.run(lambda pair: pair.ev.session.loops > loops + 100)
    assert in_loop(pair) is not refused
    if refused:
        reason = f"the charger discharges with {-current_a:.1f} A, which was not negotiated"
        assert (ev_end(pair).reason, ev_end(pair).ok) == (reason, False)
        assert pair.ev.session.loops <= loops + 2
