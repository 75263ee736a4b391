"""Your CSMS, with the tester as its station: `pytest --v2x-dut-csms ws://127.0.0.1:9000/ocpp`."""

from datetime import UTC, datetime


def test_a_boot_is_accepted_with_the_present_time(v2x_dut_csms):
    answer = v2x_dut_csms.boot()
    assert answer["status"] == "Accepted"
    late = datetime.now(UTC) - datetime.fromisoformat(answer["currentTime"])
    assert abs(late.total_seconds()) < 60


def test_a_blocked_token_is_not_authorised(v2x_dut_csms):
    v2x_dut_csms.boot()
    token = {"idToken": "DEC0DEB0", "type": "ISO14443"}
    assert v2x_dut_csms.call("Authorize", {"idToken": token})["idTokenInfo"]["status"] != "Accepted"
