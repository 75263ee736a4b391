"""Our charger and our vehicle with CHAdeMO: `pytest --v2x-dut-can CHANNEL`; the bench passes on the plug's lines."""


def test_our_charger_discharges_a_leaf(v2x_dut_chademo_charger):
    session = v2x_dut_chademo_charger.charge(profile="leaf-40", soc_pct=60, loops=50)
    assert session.ok
    assert min(session.powers_w) < -2000


def test_our_vehicle_discharges(v2x_dut_chademo_ev):
    session = v2x_dut_chademo_ev.serve(power_w=-3000, loops=50)
    assert session.ok
    assert min(session.powers_w) < -2000
