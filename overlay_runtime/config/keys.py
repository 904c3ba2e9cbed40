"""The keys of the `overlay:` block of user-data: types, defaults and help, in one table.

The table is the dataclass `OverlayConfig` itself; `schema.py` reads a file by it.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from overlay_runtime.address import IPAddress, IPNetwork
from overlay_runtime.config import checks
from overlay_runtime.config.cluster import Cluster
from overlay_runtime.config.table import TEXTS, Setting, about, block, settings_of


@dataclass(frozen=True)
class OverlayConfig:
    """What the `overlay:` block says, checked and typed. Its repr does not show the secret."""

    cidr: IPNetwork = field(
        default=ipaddress.ip_network("100.64.192.0/23"),
        metadata=about(
            checks.cidr,
            "a network in private or shared space, such as 100.64.192.0/23",
            "The overlay's range. Every host gets one address of it and keeps that for ever; the "
            "first address is the cluster's VIP. It can't be changed on a host that already has an "
            "address.",
        ),
    )
    secret: str | None = field(
        default=None,
        repr=False,
        metadata=about(
            checks.secret,
            "text of at least 16 characters, the same on every host of the cluster",
            "Hosts believe only beacons signed with it. Required unless `insecure` is true.",
            type="string",
            minLength=16,
        ),
    )
    previous_secret: str | None = field(
        default=None,
        repr=False,
        metadata=about(
            checks.secret,
            "text of at least 16 characters, another one than `secret`",
            "The secret of before, while it is being changed: hosts that still sign with it are "
            "believed too. Remove it when `edge-overlay peers` shows no host with the previous "
            "secret.",
            type="string",
            minLength=16,
        ),
    )
    address: IPAddress | None = field(
        default=None,
        metadata=about(
            checks.address,
            "an address inside `cidr` that is not reserved (the first two and the last are)",
            "This host's overlay address. Without it the host claims one by itself and keeps it.",
        ),
    )
    vni: int = field(
        default=100,
        metadata=about(
            checks.number(1, 2**24 - 1),
            "a whole number from 1 to 16777215",
            "VXLAN network identifier (RFC 7348), the same on every host of the cluster.",
            type="integer",
            minimum=1,
            maximum=2**24 - 1,
        ),
    )
    port: int = field(
        default=4797,
        metadata=about(
            checks.number(1, 65534),
            "a whole number from 1 to 65534",
            "UDP port of the VXLAN packets; the port after it carries the beacons. Not 4789 by "
            "default, which Calico uses, nor 8472, which flannel and Cilium use: two VXLANs of one "
            "host can't share a port.",
            type="integer",
            minimum=1,
            maximum=65534,
        ),
    )
    mtu: int | None = field(
        default=None,
        metadata=about(
            checks.number(1280, 9000),
            "a whole number from 1280 to 9000",
            "MTU of scbr-100. Without it: the smallest of the physical NICs in use, less what "
            "VXLAN adds to a packet (70 bytes over IPv6, 50 over IPv4).",
            type="integer",
            minimum=1280,
            maximum=9000,
        ),
    )
    peers: tuple[str, ...] = field(
        default=(),
        metadata=about(
            checks.peers,
            "a list of IP addresses or host names",
            "Physical addresses, or names that lead to such, of hosts in other network segments, "
            "which broadcasts don't reach. One per segment is enough: hosts tell each other of "
            "further ones.",
            **TEXTS,
        ),
    )
    interface: tuple[str, ...] = field(
        default=(),
        metadata=about(
            checks.interfaces,
            "the name of a physical NIC, a pattern such as 'en*', or a list of them",
            "NICs that carry the overlay. Without it: every physical NIC.",
            anyOf=[{"type": "string"}, {**TEXTS, "minItems": 1}],
        ),
    )
    kubernetes_ranges: tuple[IPNetwork, ...] | None = field(
        default=None,
        metadata=about(
            checks.networks,
            "a list of networks, such as [10.42.0.0/16, 10.43.0.0/16]",
            "The ranges of Kubernetes' pods and services, where they are not the distribution's "
            "defaults: `cidr` must not overlap them. Without it the defaults of k3s, RKE2 and "
            "kubeadm count, and what their configuration on the host says. `[]`: no defaults.",
            **TEXTS,
        ),
    )
    kubernetes: Cluster = field(
        default=Cluster(),
        metadata=block(Cluster, "The Kubernetes cluster whose hosts talk through the overlay."),
    )
    firewall: bool = field(
        default=True,
        metadata=about(
            checks.boolean,
            "true or false",
            "Accept VXLAN packets from current peers alone, and let nobody reach overlay addresses "
            "through a host from outside: an nftables table of its own, `inet edge_overlay`.",
            type="boolean",
        ),
    )
    metrics_file: str | None = field(
        default=None,
        metadata=about(
            checks.absolute_path,
            "an absolute path that ends with .prom",
            "Where to write metrics for node_exporter's textfile collector, instead of "
            "/run/edge-overlay/metrics.prom. The service must be allowed to write there.",
        ),
    )
    metrics_listen: str | None = field(
        default=None,
        metadata=about(
            checks.listen_address,
            "an IP address and a port, such as '127.0.0.1:9797' or '[::1]:9797'",
            "Where to serve metrics by HTTP as well, at `/metrics`. Whoever reaches it can read "
            "the hosts' names and addresses.",
        ),
    )
    insecure: bool = field(
        default=False,
        metadata=about(
            checks.boolean,
            "true or false",
            "Go without a secret: whoever can send packets to the physical network can then join.",
            type="boolean",
        ),
    )


def settings() -> tuple[Setting, ...]:
    """Return every key of the `overlay:` block, in the order of the documents."""
    return tuple(settings_of(OverlayConfig))
