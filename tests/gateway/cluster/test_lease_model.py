"""Search of all states of the lease protocol, and that a mutant of each of its rules makes the search fail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.cluster import fence, lease
from gateway.cluster.lease import Held, Purpose, SiteLease, Stamp, Stamps, Timing, Write
from tests.gateway.cluster import lease_model
from tests.gateway.cluster.lease_model import Bounds, Violated, acting, fair_end, search

NO_FAULT = Bounds(horizon=5, pauses=0, crashes=0, losses=0, releases=0)
ONE_FAULT = {
    "none": NO_FAULT,
    "pause": replace(NO_FAULT, pauses=1),
    "loss": replace(NO_FAULT, losses=1),
    "release": replace(NO_FAULT, releases=1),
    "crash": replace(NO_FAULT, crashes=1),
    "late answer": replace(NO_FAULT, late_answers=1),
}
LONG = Timing(lease_s=5, valid_s=4, renew_every_s=1)  # the margin is small beside it
TAKEN_OVER_WITHIN = 12  # ticks: twice the lease, and the rounds of a candidate that was refused


@pytest.mark.parametrize("fault", ONE_FAULT)
def test_no_effect_outlives_its_lease_and_a_live_instance_takes_over(fault: str) -> None:
    bounds = ONE_FAULT[fault]
    states = search(bounds)
    assert len(states) > 100
    ordered = sorted(states, key=hash)
    for world in ordered[:: max(1, len(ordered) // 30)]:
        end = fair_end(world, TAKEN_OVER_WITHIN, bounds)
        assert len(acting(end)) == 1, world


@pytest.mark.soak
@pytest.mark.parametrize(
    "bounds",
    [
        replace(NO_FAULT, horizon=6, pauses=1),
        replace(NO_FAULT, horizon=4, pauses=1, losses=1),
        replace(NO_FAULT, horizon=4, pauses=1, releases=1),
        replace(NO_FAULT, horizon=5, losses=1, releases=1),
        replace(NO_FAULT, horizon=5, losses=2),
        replace(NO_FAULT, horizon=5, late_answers=2),
        replace(NO_FAULT, instances=3, horizon=4, losses=1),
        replace(NO_FAULT, instances=3, horizon=4, crashes=1),
        replace(NO_FAULT, instances=3, horizon=3, pauses=1),
    ],
    ids=repr,
)
def test_no_effect_outlives_its_lease_with_more_faults(bounds: Bounds) -> None:
    states = search(bounds)
    for world in sorted(states, key=hash)[:: max(1, len(states) // 1000)]:
        assert len(acting(fair_end(world, TAKEN_OVER_WITHIN, bounds))) == 1, world


def _finds(bounds: Bounds, expected: str) -> None:
    with pytest.raises(Violated, match=expected):
        search(bounds)


def test_an_effect_without_a_proof_of_the_lease_would_outlive_it(monkeypatch: pytest.MonkeyPatch) -> None:
    admit = fence.Fence.admit
    monkeypatch.setattr(fence.Fence, "admit", lambda self, term, proof, now: admit(self, term, now, now))
    _finds(ONE_FAULT["pause"], "is admitted")


def test_a_candidate_that_does_not_wait_would_act_beside_the_holder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_model, "TIMING", Timing(lease_s=1, valid_s=2, renew_every_s=1))
    _finds(ONE_FAULT["loss"], "may act in term")


def test_a_holder_that_acts_after_its_lease_would_act_beside_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SiteLease, "may_act", lambda self, now: self.held is not None)
    _finds(ONE_FAULT["loss"], "may act in term")


def test_a_lease_counted_from_the_answer_would_be_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    written = SiteLease.written

    def counted_from_answer(self: SiteLease, revision: int, now: float) -> SiteLease:
        after = written(self, revision, now)
        return after if after.held is None else replace(after, held=replace(after.held, renewed_at=now))

    monkeypatch.setattr(SiteLease, "written", counted_from_answer)
    monkeypatch.setattr(lease_model, "TIMING", LONG)
    _finds(replace(NO_FAULT, horizon=6, late_answers=1), "may act in term|is admitted")


def test_a_proof_without_a_renewal_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def newest(self: SiteLease, receiver: str, now: float) -> float | None:
        return next((one.at for one in self.stamps if one.receiver == receiver), None)

    monkeypatch.setattr(SiteLease, "proof", newest)
    monkeypatch.setattr(lease_model, "TIMING", LONG)
    _finds(NO_FAULT, "is admitted")


def test_a_proof_that_is_used_until_the_lease_ends_would_be_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time stamp of an instance that was paused, or is slow, is older than the renewal."""

    def any_age(self: SiteLease, receiver: str, now: float) -> float | None:
        proofs = () if self.held is None else self.held.proofs
        return next((one.at for one in proofs if one.receiver == receiver), None)

    monkeypatch.setattr(SiteLease, "proof", any_age)
    _finds(ONE_FAULT["pause"], "is refused though the lease is held")


def test_a_renewal_without_an_answer_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def assumed(self: SiteLease) -> SiteLease:
        write = self.pending
        if self.held is None or write is None:
            return replace(self, pending=None)
        held = Held(self.held.term, self.held.revision, write.sent_at, write.stamps)
        return replace(self, pending=None, held=held)

    monkeypatch.setattr(SiteLease, "unanswered", assumed)
    _finds(replace(NO_FAULT, losses=2), "is admitted|may act in term")


def test_a_release_before_the_effects_have_arrived_would_let_them_act_later() -> None:
    _finds(replace(ONE_FAULT["release"], barrier=False), "is admitted")


def test_a_holder_that_acts_while_it_releases_would_act_beside_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    def keeps(self: SiteLease, write: Write) -> SiteLease:
        return replace(self, pending=write, urgent=False)

    monkeypatch.setattr(SiteLease, "sent", keeps)
    _finds(ONE_FAULT["release"], "may act in term|is admitted")


def test_writes_that_do_not_compare_revisions_would_make_two_holders() -> None:
    _finds(replace(ONE_FAULT["loss"], compare=False), "may act in term|is admitted")


def test_the_margin_between_validity_and_lease_is_positive() -> None:
    timing = Timing.of(10)
    assert timing.renew_every_s < timing.valid_s < timing.lease_s


def test_an_acquired_lease_is_proved_by_what_had_arrived_before() -> None:
    stamps: Stamps = (Stamp("gw2", 5.0, 1.0),)
    state = SiteLease("gw1", Timing.of(10)).observed(None, 0, 1).stamped("gw2", 5.0, 1.0)
    write = state.next_write(1)
    assert write == Write(Purpose.ACQUIRE, lease.LeaseRecord("gw1"), 0, 1, stamps)
    held: Any = state.sent(write).stamped("gw2", 9.0, 1.5).written(7, 2).held
    assert (held.term, held.renewed_at, held.proofs) == (7, 1, stamps)
