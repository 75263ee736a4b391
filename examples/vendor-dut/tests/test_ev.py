"""Our car: `pytest --v2x-dut-ev [ADDR]:PORT`; it connects again after each session."""

import pytest


def test_it_discharges_and_stops_on_request(v2x_dut_ev):
    session = v2x_dut_ev.serve(power_w=-3000, terminate_after_loops=20, within_s=120)
    assert session.ok
    assert min(session.powers_w) < -2000


@pytest.mark.parametrize("case", ["EV-20-NOT-01", "EV-20-ERR-02", "EV-20-LOOP-04"])
def test_rules_that_matter_most_to_us(v2x_dut_ev, case):
    v2x_dut_ev.check(case)
