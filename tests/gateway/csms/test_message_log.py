"""The log of messages: bounded in number and in bytes, newest first."""

from __future__ import annotations

import gc
import json
import sys

import pytest

from gateway.csms.message_log import RECEIVED, SENT, Kind, MessageLog
from protocols.ocpp.enums import v21
from protocols.ocpp.events import ResultReceived

MOST_BYTES = 16 * 2**20  # of each of the three: received calls, sent messages, received responses
REPORTS = 1000


def reports(log: MessageLog, name: str) -> None:
    """Receive so many NotifyReports of about 19,000 characters."""
    one = {"component": {"name": "X"}, "variable": {"name": name}}
    payload = json.dumps({"reportData": [one] * (20_000 // (len(name) + 60))}, ensure_ascii=False)
    for number in range(REPORTS):
        log.received("CP1", "NotifyReport", f'[2,"r{number}","NotifyReport",{payload}]')


@pytest.mark.parametrize("name", ["x" * 60, "é" * 60, "日本" * 30, "🔌" * 60])
def test_large_reports_are_bounded_in_bytes(name: str) -> None:
    log = MessageLog(lambda: 0.0)
    reports(log, name)
    found = [one for one, _, _ in log.newest(None, None, None, None)]
    assert sum(sys.getsizeof(one.text) for one in found) <= MOST_BYTES + 80 * len(found)  # headers of the texts
    assert len(found) >= (MOST_BYTES // 25_000 if name.isascii() else MOST_BYTES // 100_000)
    assert [one.head[1] for one in found] == [f"r{REPORTS - 1 - at}" for at in range(len(found))]


def test_large_reports_displace_neither_sent_messages_nor_responses_and_their_responses_keep_their_action() -> None:
    log = MessageLog(lambda: 0.0)
    log.sent("CP1", ['[2,"g1","GetBaseReport",{}]'])
    log.responded("CP1", ResultReceived("g1", "GetBaseReport", {"status": "Accepted"}))
    reports(log, "x" * 60)
    log.sent("CP1", [f'[3,"r{number}",{{}}]' for number in range(REPORTS)])
    assert [one.text for one, _, _ in log.newest(None, "GetBaseReport", SENT, Kind.CALL)] == [
        '[2,"g1","GetBaseReport",{}]'
    ]
    assert len(list(log.newest(None, "GetBaseReport", None, Kind.RESULT))) == 1
    assert len(list(log.newest("CP1", "NotifyReport", SENT, Kind.RESULT))) == REPORTS


def test_a_message_that_is_longer_than_all_others_together_is_shown() -> None:
    log = MessageLog(lambda: 0.0)
    log.received("CP1", "Heartbeat", '[2,"h","Heartbeat",{}]')
    log.received("CP1", "MeterValues", '[2,"m","MeterValues",{"x":"' + "x" * MOST_BYTES + '"}]')
    assert [action for _, _, action in log.newest("CP1", None, None, Kind.CALL)] == ["MeterValues"]
    log.received("CP1", "Heartbeat", '[2,"i","Heartbeat",{}]')
    assert [action for _, _, action in log.newest("CP1", None, None, Kind.CALL)] == ["Heartbeat"]


def test_small_messages_are_bounded_in_number() -> None:
    log = MessageLog(lambda: 0.0)
    for number in range(10_050):
        log.received("CP1", "Heartbeat", f'[2,"{number}","Heartbeat",{{}}]')
    found = [one for one, _, _ in log.newest(None, None, None, None)]
    assert len(found) == 10_000
    assert (found[0].head[1], found[-1].head[1]) == ("10049", "50")


def test_a_stored_message_is_no_object_for_the_garbage_collector() -> None:
    log = MessageLog(lambda: 0.0)
    log.received("CP1", "Heartbeat", '[2,"r1","Heartbeat",{}]')
    log.sent("CP1", ['[2,"g1","GetBaseReport",{}]', '[3,"r1",{}]'])
    log.responded("CP1", ResultReceived("g1", v21.Action.get_base_report, {"status": "Accepted"}))
    stored = [one for ring in (log._calls, log._sent, log._responses) for one in ring._messages]
    assert [gc.is_tracked(one) for one in stored] == [False] * 4
    found = [(one.direction, one.action) for one, _, _ in log.newest(None, None, None, None)]
    assert found == [(RECEIVED, "GetBaseReport"), (SENT, ""), (SENT, "GetBaseReport"), (RECEIVED, "Heartbeat")]
