"""Our own figures over time (`make bench`); beside the peers is `v2x bench exi` and `v2x bench iso15118`."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from gateway.bench.exi_loop import loop_request, loop_response
from gateway.bench.iso15118 import in_memory
from protocols.iso15118.codecs import ISO20_DC

pytestmark = pytest.mark.benchmark
MESSAGES = {"request": loop_request(), "response": loop_response()}


@pytest.mark.parametrize("name", MESSAGES)
def test_encode_the_charge_loop(benchmark: BenchmarkFixture, name: str) -> None:
    message = MESSAGES[name]
    assert ISO20_DC.decode(benchmark(ISO20_DC.encode, message)) == message


@pytest.mark.parametrize("name", MESSAGES)
def test_decode_the_charge_loop(benchmark: BenchmarkFixture, name: str) -> None:
    message = MESSAGES[name]
    assert benchmark(ISO20_DC.decode, ISO20_DC.encode(message)) == message


def test_a_session_of_a_thousand_loops(benchmark: BenchmarkFixture) -> None:
    benchmark.pedantic(  # type: ignore[no-untyped-call]
        in_memory, rounds=3, warmup_rounds=1
    )
