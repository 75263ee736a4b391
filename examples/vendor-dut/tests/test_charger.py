"""Your charger against the tester's CSMS, in real time: `pytest --v2x-dut-charger 0.0.0.0:9000`."""

import pytest


def test_it_boots_with_vendor_and_model(v2x_dut_charger):
    (boot, *_) = v2x_dut_charger.requests("BootNotification")
    about = boot.get("chargingStation", boot)
    assert about.get("vendorName", about.get("chargePointVendor"))
    assert about.get("model", about.get("chargePointModel"))


def test_a_remote_start_charges_until_it_is_stopped(v2x_dut_charger):
    v2x_dut_charger.start()
    v2x_dut_charger.until(lambda: has_power(v2x_dut_charger), 30, "power at the meter")
    v2x_dut_charger.stop()
    if v2x_dut_charger.version == "1.6":
        assert v2x_dut_charger.expect("StopTransaction")["reason"] == "Remote"
    else:
        ended = v2x_dut_charger.expect("TransactionEvent", {"eventType": "Ended"})
        assert ended["transactionInfo"]["stoppedReason"] == "Remote"


def has_power(charger):
    try:
        return charger.power_w() > 1000
    except ValueError:  # no meter values yet
        return False


def test_an_unknown_transaction_is_not_stopped(v2x_dut_charger):
    if v2x_dut_charger.version == "1.6":
        answer = v2x_dut_charger.call("RemoteStopTransaction", {"transactionId": 987654})
    else:
        answer = v2x_dut_charger.call("RequestStopTransaction", {"transactionId": "unknown"})
    assert answer["status"] == "Rejected"


def test_a_message_can_be_triggered(v2x_dut_charger):
    answer = v2x_dut_charger.call("TriggerMessage", {"requestedMessage": "Heartbeat"})
    if answer["status"] == "NotImplemented":
        pytest.skip("no triggered Heartbeat")
    v2x_dut_charger.expect("Heartbeat", within_s=10)
