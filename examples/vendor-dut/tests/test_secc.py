"""Our charger: `pytest --v2x-dut-secc [ADDR]:PORT`."""

import pytest


def test_a_car_discharges_through_it(v2x_dut_secc):
    session = v2x_dut_secc.charge(service="dc_bpt", loops=40)
    assert session.ok
    assert min(session.currents_a) < -5


def test_a_car_of_iso_15118_2_charges(v2x_dut_secc):
    session = v2x_dut_secc.charge(protocols="iso2", service="dc", loops=40)
    assert session.ok
    assert session.messages[-1] == "SessionStopRes"


@pytest.mark.parametrize("case", ["SECC-20-PWR-03", "SECC-20-PWR-04", "SECC-20-SEQ-20", "SECC-2-SRV-05"])
def test_rules_that_matter_most_to_us(v2x_dut_secc, case):
    v2x_dut_secc.check(case)
