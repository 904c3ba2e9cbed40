"""Candidates: deterministic, never reserved, complete, and spread."""

from __future__ import annotations

import ipaddress
import itertools
from collections import Counter

import pytest

from overlay_runtime.address import candidates, reserved, usable, vip
from tests.unit.runtime.samples import CIDR


@pytest.mark.parametrize("text", ["10.0.0.0/29", "10.0.0.0/24", "100.64.192.0/23", "fd00::/125"])
def test_every_usable_address_comes_exactly_once(text: str) -> None:
    cidr = ipaddress.ip_network(text)
    found = list(candidates("host", cidr))
    assert len(found) == len(set(found)) == cidr.num_addresses - 3
    assert not set(found) & reserved(cidr)
    assert all(usable(address, cidr) for address in found)
    assert found == list(candidates("host", cidr))


def test_hosts_spread_over_the_range() -> None:
    firsts = Counter(next(candidates(f"host {n}", CIDR)) for n in range(5000))
    assert len(firsts) > 500  # of 509
    assert max(firsts.values()) < 30  # 10 on average
    # Two that collide part at the next step.
    walks = [tuple(itertools.islice(candidates(f"host {n}", CIDR), 2)) for n in range(500)]
    collided = [walk for walk in walks if sum(walk[0] == other[0] for other in walks) > 1]
    assert len(set(collided)) > 0.9 * len(collided)


def test_a_huge_range_is_walked_lazily() -> None:
    cidr = ipaddress.ip_network("fd00::/8")
    assert len(set(itertools.islice(candidates("host", cidr), 100))) == 100


def test_what_is_reserved() -> None:
    assert vip(CIDR) == ipaddress.ip_address("100.64.192.1")
    assert not usable(ipaddress.ip_address("fd00::5"), CIDR)
    assert not usable(CIDR[-1], CIDR)
    assert usable(CIDR[2], CIDR)
