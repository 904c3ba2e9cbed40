"""Replays change nothing: not of this boot, not of an earlier one."""

from __future__ import annotations

from dataclasses import replace

from overlay_runtime.beacon.freshness import Freshness, RateLimit, Verdict
from overlay_runtime.beacon.model import BeaconNic
from overlay_runtime.recent import Recent
from tests.unit.runtime.samples import V4, V6, beacon

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
    assert judge.judge(beacon(seq=39)) is Verdict.REVERTED  # changes nothing, but is answered
    assert judge.judge(beacon(seq=10_000)) is Verdict.FRESH
    assert judge.judge(beacon(seq=9_999)) is Verdict.LATE
    assert judge.judge(beacon(seq=9_999)) is Verdict.STALE


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


ELSEWHERE = (BeaconNic("eth0", 1500, (V4("10.9.0.77"),), (V6("fe80::77"),)),)


def test_a_copy_of_a_living_host_is_refused_and_named() -> None:
    judge = Freshness(OWN)
    judge.judge(beacon(seq=5, echo=OWN), 0.0)
    copy = beacon(seq=1, boot="c" * 16, echo=OWN, nics=ELSEWHERE, name="copy")
    assert judge.judge(copy, 1.0) is Verdict.CONTESTED
    assert judge.judge(beacon(seq=6), 1.1) is Verdict.FRESH  # it was asked, and speaks
    for second in (2, 10, 30):
        assert judge.judge(replace(copy, seq=second), float(second)) is Verdict.STALE
        assert judge.judge(beacon(seq=10 + second), second + 0.5) is Verdict.FRESH
    assert judge.duplicates(31.0) == {beacon().host: "copy"}
    assert judge.duplicates(100.0) == {}  # the copy was switched off


def test_a_host_that_comes_back_on_other_hardware_is_believed_after_a_second() -> None:
    judge = Freshness(OWN)
    judge.judge(beacon(seq=5, echo=OWN), 0.0)
    moved = beacon(seq=1, boot="c" * 16, echo=OWN, nics=ELSEWHERE)
    assert judge.judge(moved, 10.0) is Verdict.CONTESTED
    assert judge.judge(replace(moved, seq=2), 10.2) is Verdict.CONTESTED
    assert judge.judge(replace(moved, seq=3), 11.1) is Verdict.FRESH
    assert judge.judge(beacon(seq=6, echo=OWN), 12.0) is Verdict.STALE
    late = Freshness(OWN)
    late.judge(beacon(seq=5, echo=OWN), 0.0)
    assert late.judge(moved, 36.0) is Verdict.FRESH  # the other has been silent for long


def test_two_machines_with_the_same_macs_are_named() -> None:
    judge = Freshness(OWN)
    judge.judge(beacon(seq=5, echo=OWN), 0.0)
    assert judge.judge(beacon(seq=1, boot="c" * 16, echo=OWN), 1.0) is Verdict.FRESH  # a restart
    assert judge.judge(beacon(seq=5), 2.0) is Verdict.STALE  # a recording
    assert judge.duplicates(2.0) == {}
    for number in (6, 7, 8):
        assert judge.judge(beacon(seq=number), float(number)) is Verdict.STALE
    assert list(judge.duplicates(9.0)) == [beacon().host]


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
