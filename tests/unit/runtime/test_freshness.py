"""Replays change nothing: not of this boot, not of an earlier one."""

from __future__ import annotations

from overlay_runtime.beacon.freshness import Freshness, RateLimit, Verdict
from overlay_runtime.recent import Recent
from tests.unit.runtime.samples import beacon

OWN = "0123456789abcdef"


def test_a_boot_is_believed_only_after_it_echoed_ours() -> None:
    judge = Freshness(OWN)
    assert judge.judge(beacon(seq=5)) is Verdict.UNPROVEN
    assert judge.judge(beacon(seq=6, echo="f" * 16)) is Verdict.UNPROVEN
    assert judge.trusted_boot(beacon().host) is None
    assert judge.judge(beacon(seq=7, echo=OWN)) is Verdict.FRESH
    assert judge.judge(beacon(seq=8)) is Verdict.FRESH
    assert judge.trusted_boot(beacon().host) == beacon().boot


def test_each_sequence_number_counts_once() -> None:
    judge = Freshness(OWN)
    judge.judge(beacon(seq=100, echo=OWN))
    assert judge.judge(beacon(seq=100, echo=OWN)) is Verdict.STALE
    assert judge.judge(beacon(seq=103)) is Verdict.FRESH
    assert judge.judge(beacon(seq=102)) is Verdict.LATE
    assert judge.judge(beacon(seq=102)) is Verdict.STALE
    assert judge.judge(beacon(seq=39)) is Verdict.STALE
    assert judge.judge(beacon(seq=10_000)) is Verdict.FRESH
    assert judge.judge(beacon(seq=101)) is Verdict.STALE


def test_a_restarted_peer_proves_itself_again_and_its_past_is_over() -> None:
    judge = Freshness(OWN)
    first, second = "1" * 16, "2" * 16
    judge.judge(beacon(boot=first, seq=5, echo=OWN))
    assert judge.judge(beacon(boot=second, seq=1)) is Verdict.UNPROVEN
    assert judge.judge(beacon(boot=first, seq=6)) is Verdict.FRESH  # still the believed one
    assert judge.judge(beacon(boot=second, seq=2, echo=OWN)) is Verdict.FRESH
    assert judge.judge(beacon(boot=first, seq=99, echo=OWN)) is Verdict.STALE
    assert judge.judge(beacon(boot=second, seq=3)) is Verdict.FRESH


def test_a_recording_of_another_run_of_ours_proves_nothing() -> None:
    assert Freshness("9" * 16).judge(beacon(echo=OWN)) is Verdict.UNPROVEN


def test_the_rate_limit_fills_up_again() -> None:
    limit = RateLimit(rate=2, burst=3)
    assert [limit.allow(0.0) for _ in range(4)] == [True, True, True, False]
    assert [limit.allow(1.0) for _ in range(3)] == [True, True, False]
    assert sum(limit.allow(1000.0) for _ in range(10)) == 3


def test_hosts_without_end_do_not_fill_the_memory() -> None:
    recent: Recent[int, int] = Recent(3)
    for number in (1, 2, 3, 1, 4):
        recent.put(number, number)
    assert list(recent) == [3, 1, 4]
