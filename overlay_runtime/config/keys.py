"""The keys of the `overlay:` block of user-data: types, defaults and help, in one table.

The table is the dataclass `OverlayConfig` itself; `schema.py` reads a file by it.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from dataclasses import dataclass, field
from typing import Any

from overlay_runtime.address import IPAddress, IPNetwork
from overlay_runtime.config import checks
from overlay_runtime.config.checks import Check

_TEXTS = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}


def _about(check: Check, expected: str, help: str, **shape: Any) -> dict[str, Any]:
    """`shape` is what JSON Schema can say of it; text without one."""
    shape = shape or {"type": "string"}
    return {"check": check, "expected": expected, "help": help, "shape": shape}


@dataclass(frozen=True)
class OverlayConfig:
    """What the `overlay:` block says, checked and typed. Its repr does not show the secret."""

    cidr: IPNetwork = field(
        default=ipaddress.ip_network("100.64.192.0/23"),
        metadata=_about(
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
        metadata=_about(
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
        metadata=_about(
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
        metadata=_about(
            checks.address,
            "an address inside `cidr` that is not reserved (the first two and the last are)",
            "This host's overlay address. Without it the host claims one by itself and keeps it.",
        ),
    )
    vni: int = field(
        default=100,
        metadata=_about(
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
        metadata=_about(
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
        metadata=_about(
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
        metadata=_about(
            checks.peers,
            "a list of IP addresses or host names",
            "Physical addresses, or names that lead to such, of hosts in other network segments, "
            "which broadcasts don't reach. One per segment is enough: hosts tell each other of "
            "further ones.",
            **_TEXTS,
        ),
    )
    interface: tuple[str, ...] = field(
        default=(),
        metadata=_about(
            checks.interfaces,
            "the name of a physical NIC, a pattern such as 'en*', or a list of them",
            "NICs that carry the overlay. Without it: every physical NIC.",
            anyOf=[{"type": "string"}, {**_TEXTS, "minItems": 1}],
        ),
    )
    kubernetes_ranges: tuple[IPNetwork, ...] | None = field(
        default=None,
        metadata=_about(
            checks.networks,
            "a list of networks, such as [10.42.0.0/16, 10.43.0.0/16]",
            "The ranges of Kubernetes' pods and services, where they are not the distribution's "
            "defaults: `cidr` must not overlap them. Without it the defaults of k3s, RKE2 and "
            "kubeadm count, and what their configuration on the host says. `[]`: no defaults.",
            **_TEXTS,
        ),
    )
    firewall: bool = field(
        default=True,
        metadata=_about(
            checks.boolean,
            "true or false",
            "Accept VXLAN packets from current peers alone, and let nobody reach overlay addresses "
            "through a host from outside: an nftables table of its own, `inet edge_overlay`.",
            type="boolean",
        ),
    )
    metrics_file: str | None = field(
        default=None,
        metadata=_about(
            checks.absolute_path,
            "an absolute path that ends with .prom",
            "Where to write metrics for node_exporter's textfile collector, instead of "
            "/run/edge-overlay/metrics.prom. The service must be allowed to write there.",
        ),
    )
    metrics_listen: str | None = field(
        default=None,
        metadata=_about(
            checks.listen_address,
            "an IP address and a port, such as '127.0.0.1:9797' or '[::1]:9797'",
            "Where to serve metrics by HTTP as well, at `/metrics`. Whoever reaches it can read "
            "the hosts' names and addresses.",
        ),
    )
    live: bool = field(
        default=False,
        metadata=_about(
            checks.boolean,
            "true or false",
            "On a Kairos image: run the overlay in the installer's live system too; the installed "
            "system keeps the address that it claims there. The Debian base has one system only, "
            "and runs the overlay wherever that boots, with or without this.",
            type="boolean",
        ),
    )
    insecure: bool = field(
        default=False,
        metadata=_about(
            checks.boolean,
            "true or false",
            "Go without a secret: whoever can send packets to the physical network can then join.",
            type="boolean",
        ),
    )


@dataclass(frozen=True)
class Setting:
    """A key of the block, for documents and for `edge-build --help`."""

    name: str
    default: object
    expected: str
    help: str


def settings() -> tuple[Setting, ...]:
    """Return every key of the `overlay:` block, in the order of the documents."""
    return tuple(
        Setting(written(item.name), item.default, item.metadata["expected"], item.metadata["help"])
        for item in dataclasses.fields(OverlayConfig)
    )


def written(name: str) -> str:
    """Return a field's name as users write it."""
    return name.replace("_", "-")
