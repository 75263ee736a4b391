"""Work and memory grow in proportion to the input, whatever lengths the input announces. Counted in steps, not in
time."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.exi.codec import LARGEST_STREAM
from protocols.exi.readers import DecodeFault, read_unsigned
from protocols.iso15118.codecs import BY_NAME, DIN, ISO2, ISO20_COMMON, SAP, XMLDSIG_FRAGMENT
from protocols.iso15118.iso20.common import (
    ChargingSchedule,
    PowerSchedule,
    PowerScheduleEntry,
    PowerScheduleEntryList,
    Scheduled_SEResControlMode,
    ScheduleExchangeRes,
    ScheduleTuple,
    SessionSetupReq,
)
from protocols.iso15118.iso20.types import MessageHeader, Processing, RationalNumber, ResponseCode
from protocols.iso15118.xmldsig import X509IssuerSerial

HEADER = MessageHeader(SessionID=bytes(8), TimeStamp=0)
LARGE = 64 << 10  # bytes
MEMORY = 20 << 20  # bytes for a large message


def schedule(entries: int) -> bytes:
    """Return a message with three schedules in which every number differs."""

    def power(start: int) -> ChargingSchedule:
        rows = [
            PowerScheduleEntry(
                Duration=900 + i,
                Power=RationalNumber(Exponent=1, Value=(start + 7 * i) % 32_768),
                Power_L2=RationalNumber(Exponent=2, Value=-((start + 11 * i) % 32_768)),
                Power_L3=RationalNumber(Exponent=3, Value=(start + 13 * i) % 32_768),
            )
            for i in range(entries)
        ]
        entry_list = PowerScheduleEntryList(PowerScheduleEntry=tuple(rows))
        return ChargingSchedule(PowerSchedule=PowerSchedule(TimeAnchor=1, PowerScheduleEntries=entry_list))

    tuples = tuple(
        ScheduleTuple(ScheduleTupleID=i, ChargingSchedule=power(1000 * i), DischargingSchedule=power(5000 * i))
        for i in (1, 2, 3)
    )
    return ISO20_COMMON.encode(
        ScheduleExchangeRes(
            Header=HEADER,
            ResponseCode=ResponseCode.OK,
            EVSEProcessing=Processing.Finished,
            Scheduled_SEResControlMode=Scheduled_SEResControlMode(ScheduleTuple=tuples),
        )
    )


def steps(work: Callable[[], Any]) -> int:
    """Return the number of Python lines and calls of `work`."""
    count = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal count
        count += 1
        return trace

    sys.settrace(trace)
    try:
        work()
    except RemoteProtocolError:
        pass
    finally:
        sys.settrace(None)
    return count


def test_steps_grow_in_proportion_to_the_message() -> None:
    small, large = schedule(60), schedule(600)
    assert len(large) > LARGE * 0.8
    ISO20_COMMON.decode(small)
    ratio = steps(lambda: ISO20_COMMON.decode(large)) / steps(lambda: ISO20_COMMON.decode(small))
    assert ratio < 2.5 * len(large) / len(small)  # caches help the small one; quadratic would be ten times as much
    message, little = ISO20_COMMON.decode(large), ISO20_COMMON.decode(small)
    ratio = steps(lambda: ISO20_COMMON.encode(message)) / steps(lambda: ISO20_COMMON.encode(little))
    assert ratio < 2.5 * len(large) / len(small)  # caches help the small one; quadratic would be ten times as much


def test_memory_of_a_large_message_is_bounded() -> None:
    large = schedule(600)
    message = ISO20_COMMON.decode(large)
    for work in (lambda: ISO20_COMMON.decode(large), lambda: ISO20_COMMON.encode(message)):
        tracemalloc.start()
        work()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MEMORY


def test_a_cut_large_message_costs_no_more_than_a_whole_one() -> None:
    large = schedule(600)
    ISO20_COMMON.decode(large)
    whole = steps(lambda: ISO20_COMMON.decode(large))
    assert steps(lambda: ISO20_COMMON.decode(large[:-40])) < 1.2 * whole


@pytest.mark.parametrize("name", sorted(BY_NAME))
@pytest.mark.parametrize("filler", [0x00, 0xFF, 0x55, 0x80])
def test_large_noise_is_refused_at_once(name: str, filler: int) -> None:
    codec = BY_NAME[name]
    width = codec.root_width
    noise = int.from_bytes(bytes([filler]) * (LARGE - 3), "big")
    for root in range(0, 1 << width, 5):
        data = ((1 << 7 + width | root) << 8 * (LARGE - 1) - width | noise << 16 - width).to_bytes(LARGE, "big")
        with_steps = steps(lambda codec=codec, data=data: codec.decode(data))  # type: ignore[misc]
        assert with_steps < 3_000_000


def test_an_endless_number_is_refused_early() -> None:
    endless = "1" * (8 * LARGE)

    def refused() -> None:
        with pytest.raises(DecodeFault, match="an integer of more than"):
            read_unsigned(endless, 0)

    assert steps(refused) < 5_000


def test_a_forged_length_allocates_nothing() -> None:
    # a string of 2**31 characters announced in a message of 20 bytes
    data = bytes.fromhex("8000" + "ff" * 4 + "0f" + "00" * 13)
    tracemalloc.start()
    with pytest.raises(RemoteProtocolError):
        SAP.decode(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_an_excessive_stream_is_rejected_unread() -> None:
    with pytest.raises(RemoteProtocolError, match="bytes exceed"):
        ISO2.decode(b"\x80" + bytes(LARGEST_STREAM))


def test_unbounded_lists_end_with_the_message() -> None:
    for codec in (DIN, ISO2):
        with pytest.raises(RemoteProtocolError):
            codec.decode(b"\x80\x98" + bytes(LARGE))


def test_caches_are_bounded() -> None:
    for start in range(0, 30_000, 500):
        for i in range(start, start + 500):
            ISO20_COMMON.encode(SessionSetupReq(Header=MessageHeader(SessionID=bytes(8), TimeStamp=i), EVCCID=str(i)))
    encoder = ISO20_COMMON._encoder(None)
    assert all(len(value) <= 2_100 for value in encoder.scope.values() if isinstance(value, dict))
    decoder = ISO20_COMMON._decoder(None, False)
    ISO20_COMMON.decode(schedule(1000))
    assert all(len(value) <= 2_100 for value in decoder.scope.values() if isinstance(value, dict))


def test_an_integer_without_bounds_has_one_here() -> None:
    serial = X509IssuerSerial(X509IssuerName="CN=CA", X509SerialNumber=-(2**160))
    assert XMLDSIG_FRAGMENT.decode(XMLDSIG_FRAGMENT.encode(serial)) == serial
    with pytest.raises(LocalProtocolError, match="X509SerialNumber: an integer of 5001 bits"):
        XMLDSIG_FRAGMENT.encode(X509IssuerSerial(X509IssuerName="", X509SerialNumber=2**5000))
