"""Fence in front of effects, and the epochs of stations' connections in any order of their messages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.cluster.fence import Connections, Fence, Refusal


def test_an_effect_of_an_earlier_term_is_refused_whatever_it_proves() -> None:
    after, refusal = Fence(valid_s=9).admit(5, 100.0, 101.0)
    assert refusal is None
    assert after.admit(4, 101.0, 101.0) == (after, Refusal.EARLIER_TERM)
    assert Fence(valid_s=9).raised(7).admit(6, 101.0, 101.0)[1] is Refusal.EARLIER_TERM


def test_a_proof_is_valid_for_the_time_of_a_lease() -> None:
    assert Fence(valid_s=9).admit(5, 100.0, 108.9)[1] is None
    assert Fence(valid_s=9).admit(5, 100.0, 109.0)[1] is Refusal.LEASE_NOT_PROVED
    assert Fence(valid_s=9).admit(5, None, 0.0)[1] is Refusal.LEASE_NOT_PROVED


@given(st.lists(st.tuples(st.sampled_from("ofc"), st.integers(1, 5)), max_size=30))
def test_no_message_of_a_connection_is_admitted_after_one_of_a_later_connection(
    arrivals: list[tuple[str, int]],
) -> None:
    """Openings, frames and ends of five connections of one station, in any order, repeated and lost."""
    connections, latest = Connections(), 0
    for kind, epoch in arrivals:
        if kind == "o" and connections.opened("CP1", epoch) is None:
            assert epoch >= latest or connections.epoch("CP1") == epoch
            latest = epoch
        elif kind == "f" and connections.admit("CP1", epoch) is None:
            assert epoch == latest
        elif kind == "c":
            connections.closed("CP1", epoch)


def test_an_ended_connection_does_not_return() -> None:
    connections = Connections()
    assert connections.opened("CP1", 4) is None
    connections.closed("CP1", 4)
    assert connections.admit("CP1", 4) is Refusal.EARLIER_CONNECTION
    assert connections.opened("CP1", 3) is Refusal.EARLIER_CONNECTION
