"""A thousand peers in one kernel: every entry is set, and set again. Peers are made up, all else is
real; how long it takes is measured by `benchmarks`."""

from __future__ import annotations

import ipaddress
import time

from overlay_runtime.config.schema import OverlayConfig
from overlay_runtime.identity import Identity
from overlay_runtime.kernel.actual import read_addresses, read_forwarding, read_links
from overlay_runtime.kernel.apply import Applier
from overlay_runtime.kernel.desired import Desired, desired
from overlay_runtime.kernel.netlink import Netlink
from overlay_runtime.peer import Peer, Transport
from tests.netns.lab import Lab
from tests.netns.namespaces import inside, run
from tests.unit.runtime.samples import beacon

COUNT = 1000


def _desired(count: int) -> Desired:
    cidr = ipaddress.ip_network("100.64.192.0/20")
    peers = [
        Peer(
            beacon(
                n, cidr=cidr, address=cidr[n + 10], mac=f"02:00:00:00:{n >> 8:02x}:{n & 255:02x}"
            ),
            0.0,
            0.0,
            transport=Transport(ipaddress.ip_address(f"10.9.{n >> 8}.{n & 255}")),
        )
        for n in range(1, count + 1)
    ]
    return desired(
        OverlayConfig(cidr=cidr), Identity("me", "given"), cidr[5], 20, peers, 1430, True
    )


def test_a_thousand_peers_are_set_and_set_again(lab: Lab) -> None:
    one = lab.bystander("one", "10.9.0.250/16")
    with inside(one.namespace):
        netlink = Netlink()
        try:
            applier = Applier(netlink)
            want = _desired(COUNT)

            def corrected() -> int:
                return applier.apply(want, read_links(netlink), read_addresses(netlink), None)

            def entries() -> int:
                have = read_forwarding(
                    netlink, {link.name: link.index for link in read_links(netlink)}
                )
                return sum(map(len, (have.flood, have.unicast, have.ports, have.neighbours)))

            corrected()
            assert entries() == 4 * COUNT
            assert corrected() == 0
            for device in ("edge-vx4", "edge-vx6"):
                run("ip", "-n", one.namespace, "link", "del", device)
            run("ip", "-n", one.namespace, "neighbour", "flush", "dev", "scbr-100", "nud", "all")
            assert entries() < COUNT
            began = time.monotonic()
            corrected()
            print(f"{COUNT} peers' entries set again in {time.monotonic() - began:.3f} s")
            assert entries() == 4 * COUNT
            want = _desired(3)
            corrected()
            assert entries() == 12
            assert applier.problems == []
        finally:
            netlink.close()
