"""Rates of the nodes that send requests."""

from __future__ import annotations

from protocols.echonet.senders import ALL, BURST_S, MOST_SENDERS, Senders

HEMS = "192.0.2.20"
RATE = 5.0
BURST = round(RATE * BURST_S)


def test_the_rate_of_a_node_and_its_burst() -> None:
    senders = Senders(RATE)
    assert [senders.permit(HEMS, 0.0) for _ in range(BURST + 2)] == [True] * BURST + [False] * 2
    assert senders.permit(HEMS, 0.2)
    assert not senders.permit(HEMS, 0.2)
    assert not senders.permit(HEMS, 0.1)  # time that runs backwards adds nothing
    assert sum(senders.permit(HEMS, 100.0) for _ in range(100)) == BURST


def test_without_a_rate_everything_is_permitted_and_nothing_kept() -> None:
    senders = Senders(None)
    assert all(senders.permit(HEMS, 0.0) for _ in range(1000))
    senders.requested(HEMS, 0.0)
    assert senders.last_request(HEMS) is None


def test_forged_addresses_share_a_rate_and_do_not_displace_a_known_node() -> None:
    senders = Senders(RATE, {HEMS})
    assert senders.permit(HEMS, 0.0)
    senders.requested(HEMS, 0.0)
    forged = sum(senders.permit(f"10.0.{number >> 8}.{number & 255}", 0.0) for number in range(4 * MOST_SENDERS))
    assert forged == BURST * ALL
    assert len(senders._senders) == MOST_SENDERS
    assert senders.last_request(HEMS) == 0.0
    assert senders.permit(HEMS, 0.0)


def test_a_link_local_address_is_known_without_its_zone() -> None:
    senders = Senders(RATE, {"fe80::1"})
    assert senders._is_known("fe80::1%eth0")


def test_the_oldest_node_gives_way() -> None:
    senders = Senders(RATE * 100)
    for number in range(MOST_SENDERS + 1):
        senders.permit(f"10.0.{number >> 8}.{number & 255}", 0.0)
        senders.requested(f"10.0.{number >> 8}.{number & 255}", 0.0)
    assert senders.last_request("10.0.0.0") is None
    assert senders.last_request("10.0.0.1") == 0.0
