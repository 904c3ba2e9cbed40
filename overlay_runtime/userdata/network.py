"""What only shows when NICs, the overlay and Kubernetes are looked at together."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from overlay_runtime.address import IPNetwork
from overlay_runtime.config.document import Value
from overlay_runtime.config.keys import OverlayConfig
from overlay_runtime.config.kubernetes import defaults, written
from overlay_runtime.userdata import rules
from overlay_runtime.userdata.finding import Finding
from overlay_runtime.userdata.lookup import child, text
from overlay_runtime.userdata.nics import Address, NicBlock, read_nics

_UDP = {
    4789: "Calico's VXLAN",
    8472: "flannel's and Cilium's VXLAN",
    6081: "Geneve (OVN, Cilium)",
    51820: "WireGuard (flannel, Cilium)",
    51821: "flannel's WireGuard",
    12345: "Palette's discovery",
    67: "DHCP servers",
    68: "the DHCP client",
    53: "DNS servers",
    123: "time servers",
    5353: "multicast DNS",
    5355: "LLMNR",
}
_TCP = {
    22: "SSH",
    2379: "etcd",
    2380: "etcd",
    6443: "Kubernetes' API server",
    9345: "RKE2's supervisor",
    10250: "the kubelet",
    10256: "kube-proxy",
    10257: "kube-controller-manager",
    10259: "kube-scheduler",
    9100: "node_exporter",
}
_LOCAL_UI = 5080


def check_network(top: Value, overlay: OverlayConfig | None) -> Iterator[Finding]:
    """Yield what is wrong about `stylus.site.network`, by itself and with the overlay."""
    network = child(top, "stylus", "site", "network")
    nics = read_nics(network)
    for nic in nics:
        yield from nic.findings
    yield from _twice(nics)
    yield from _gateways(nics)
    yield from _nameservers(network, nics)
    yield from _proxies(network, overlay)
    yield from _ports(top, overlay)
    if overlay is not None:
        yield from _overlaps(nics, overlay)


def _twice(nics: Sequence[NicBlock]) -> Iterator[Finding]:
    seen: list[tuple[NicBlock, Address]] = []
    for nic in nics:
        for one in nic.addresses:
            for other, earlier in seen:
                where = f"`{other.name}` in line {earlier.value.position.line}"
                if one.interface.ip == earlier.interface.ip:
                    yield Finding(rules.ADDRESS_TWICE, one.value.position,
                                  f"{one.interface.ip} is the address of {where} too",
                                  "another address")  # fmt: skip
                elif other is not nic and _overlap(one.interface.network,
                                                   earlier.interface.network):  # fmt: skip
                    yield Finding(rules.SUBNET_TWICE, one.value.position,
                                  f"{one.interface.network} overlaps {earlier.interface.network} "
                                  f"of {where}: the kernel uses one NIC for both",
                                  "a network of its own for each NIC")  # fmt: skip
            seen.append((nic, one))


def _gateways(nics: Sequence[NicBlock]) -> Iterator[Finding]:
    first: dict[int, str] = {}
    for nic in nics:
        for gateway, value in nic.gateways:
            if first.setdefault(gateway.version, nic.name) != nic.name:
                yield Finding(rules.GATEWAY_TWICE, value.position,
                              f"`{first[gateway.version]}` has a default gateway already",
                              "one for IPv4 and one for IPv6 on a host",
                              "use `routes` for the other NIC")  # fmt: skip


def _nameservers(network: Value | None, nics: Sequence[NicBlock]) -> Iterator[Finding]:
    if not nics or not all(nic.static for nic in nics) or text(child(network, "nameserver")):
        return
    if not any(child(nic.block, "nameserver") for nic in nics):
        yield Finding(rules.NO_NAMESERVER, nics[0].entry.key, "static addresses and no name server",
                      "`nameserver` of the network or of a NIC")  # fmt: skip


def _proxies(network: Value | None, overlay: OverlayConfig | None) -> Iterator[Finding]:
    used = None
    for key in ("httpProxy", "httpsProxy"):
        value = child(network, key)
        if value is None or not text(value):
            continue
        used = used or value
        if not is_proxy(text(value)):
            # Not shown: a proxy's URL may hold a password.
            yield Finding(rules.PROXY, value.position, f"`{key}` is no URL of a proxy",
                          "such as http://proxy.example.org:3128")  # fmt: skip
    if used is None or overlay is None:
        return
    excluded = child(network, "noProxy")
    words = [word for word in re.split(r"[,\s]+", text(excluded)) if word]
    if not any(covers(word, overlay.cidr) for word in words):
        at = excluded if excluded is not None else used
        yield Finding(rules.NO_PROXY, at.position, f"a proxy, and `noProxy` does not have the "
                      f"overlay's range {overlay.cidr}: what hosts of the cluster say to each "
                      "other would go through the proxy", "the range among `noProxy`",
                      f"append {overlay.cidr}, and the ranges of pods and services")  # fmt: skip


def is_proxy(url: str) -> bool:
    """Whether this is a URL of a proxy that programs take."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https", "socks5") and bool(parts.hostname) and (
            parts.port is None or parts.port > 0
        )  # fmt: skip
    except ValueError:
        return False


def covers(word: str, cidr: IPNetwork) -> bool:
    """Whether a word of `noProxy` has the whole range."""
    try:
        network = ipaddress.ip_network(word, strict=False)
    except ValueError:
        return word == "*"
    return network.version == cidr.version and cidr.subnet_of(network)  # type: ignore[arg-type] # versions are equal


def _ports(top: Value, overlay: OverlayConfig | None) -> Iterator[Finding]:
    if overlay is None:
        return
    block = child(top, "overlay")
    port = child(block, "port")
    for number, what in ((overlay.port, "VXLAN"), (overlay.port + 1, "beacons")):
        if number in _UDP and port is not None:
            remedy = "leave it out: 4797 is free"
            if "VXLAN" in _UDP[number]:
                remedy += "; or give the CNI another one: `edge-build cni-values --user-data`"
            yield Finding(rules.PORT_OF_OTHERS, port.position, f"`port`: UDP port {number}, for "
                          f"{what}, is that of {_UDP[number]}", "a port of its own, and the next "
                          "one free too", remedy)  # fmt: skip
    listen = child(block, "metrics-listen")
    if overlay.metrics_listen is None or listen is None:
        return
    number = int(overlay.metrics_listen.rpartition(":")[2])
    given = text(child(top, "stylus", "localUI", "port"))
    local_ui = int(given) if re.fullmatch(r"[0-9]{1,5}", given) else _LOCAL_UI
    found = f"`metrics-listen`: TCP port {number} is that of "
    if number == local_ui and child(top, "stylus") is not None:
        yield Finding(rules.PORT_TWICE, listen.position, f"{found}Palette's local UI",
                      "a port of its own", "such as 9797")  # fmt: skip
    elif number in _TCP:
        yield Finding(rules.PORT_OF_OTHERS, listen.position, f"{found}{_TCP[number]}",
                      "a port of its own", "such as 9797")  # fmt: skip


def _overlaps(nics: Sequence[NicBlock], overlay: OverlayConfig) -> Iterator[Finding]:
    given = overlay.kubernetes_ranges
    kubernetes = defaults() if given is None else written(given)
    for nic in nics:
        for one in nic.addresses:
            network = one.interface.network
            if _overlap(network, overlay.cidr):
                yield Finding(rules.OVERLAP, one.value.position, f"{network} of `{nic.name}` "
                              f"overlaps the overlay's range {overlay.cidr}",
                              "an overlay range of its own", "set another `cidr`")  # fmt: skip
            for known in kubernetes:
                if _overlap(network, known.network):
                    yield Finding(rules.PHYSICAL_RANGE, one.value.position, f"{network} of "
                                  f"`{nic.name}` overlaps {known.network}, {known.whose}",
                                  "other ranges for Kubernetes", "hosts of that network can't be "
                                  "reached from pods otherwise")  # fmt: skip


def _overlap(one: IPNetwork, other: IPNetwork) -> bool:
    return one.version == other.version and one.overlaps(other)
