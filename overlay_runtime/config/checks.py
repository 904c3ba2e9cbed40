"""Checks of single values in the `overlay:` block: from what was written to a typed value.

Each check gets the value and returns what the runtime works with, or raises `Wrong` with what is
wrong about it in words. Where the value stands is the caller's business.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any

from overlay_runtime import OUR_LINKS
from overlay_runtime.address import IPAddress, IPNetwork
from overlay_runtime.config.document import Value

_SHARED_AND_PRIVATE = [
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
]
_LONGEST_PREFIX = {4: 29, 6: 125}
_SECRET_MIN = 16
_LINK_NAME = re.compile(r"[^\s/:]{1,15}")
_LINK_GLOB = re.compile(r"[^\s/:]{1,64}")
_RFC1123 = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
_HOST_NAME = re.compile(
    r"(?=.{1,253}\.?$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?"
    r"(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?)*\.?",
    re.IGNORECASE,
)
# distribution/reference: https://github.com/distribution/reference/blob/v0.6.0/regexp.go
_IMAGE = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9.-]*(:\d{1,5})?/)?"
    r"[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*(/[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*)*"
    r"(:\w[\w.-]{0,127}(@sha256:[0-9a-f]{64})?|@sha256:[0-9a-f]{64})",
    re.ASCII,
)


class Wrong(Exception):
    """A value that can't be used: what was found, how to mend it, and what part of it."""

    def __init__(self, found: str, remedy: str = "", at: Value | None = None) -> None:
        super().__init__(found)
        self.found = found
        self.remedy = remedy
        self.at = at


def shown(value: Value) -> str:
    """Return the value as a message may show it: short, and its type if it is no text.

    Of text with several words the first: YAML takes a deeper indented next line for more of the
    same value, and that line may be a secret that has lost its key.
    """
    if isinstance(value.data, str):
        word, *more = value.data.split(maxsplit=1) or [""]
        text = f"{word} ..." if more else value.data
        return repr(text if len(text) <= 60 else text[:57] + "...")
    if isinstance(value.data, bool):
        return "true" if value.data else "false"
    if isinstance(value.data, int | float):
        # The limit: of 0xfff… with thousands of digits Python makes no decimal text.
        return f"the number {value.data}" if abs(value.data) < 10**18 else "a huge number"
    return value.kind()


def text(value: Value) -> str:
    """Check for text."""
    if not isinstance(value.data, str):
        raise Wrong(f"found {shown(value)}", "put it in quotes" if value.data is not None else "")
    return value.data


def absolute_path(value: Value) -> str:
    """Check for a path that node_exporter would read."""
    path = text(value)
    if not path.startswith("/") or not path.endswith(".prom") or "\0" in path or "/../" in path:
        raise Wrong(f"found {shown(value)}")
    return path


def listen_address(value: Value) -> str:
    """Check for an IP address and a port."""
    host, colon, port = text(value).rpartition(":")
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise Wrong(f"found {shown(value)}") from None
    right = colon and port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= 65535
    if not right or (address.version == 6) != host.startswith("["):
        raise Wrong(f"found {shown(value)}")
    return f"{host}:{int(port)}"


def boolean(value: Value) -> bool:
    """Check for true or false; not for text that looks like it."""
    if not isinstance(value.data, bool):
        raise Wrong(f"found {shown(value)}", "write true or false, without quotes")
    return value.data


def one_of(*words: str) -> Callable[[Value], str]:
    """Return a check for one of a few words."""

    def check(value: Value) -> str:
        if value.data not in words or not isinstance(value.data, str):
            raise Wrong(f"found {shown(value)}")
        return value.data

    return check


def number(low: int, high: int) -> Callable[[Value], int]:
    """Return a check for a whole number between `low` and `high`, both allowed."""

    def check(value: Value) -> int:
        if isinstance(value.data, bool) or not isinstance(value.data, int):
            raise Wrong(f"found {shown(value)}", "write a whole number without quotes")
        if not low <= value.data <= high:
            raise Wrong(f"found {shown(value)}")
        return value.data

    return check


def secret(value: Value) -> str:
    """Check the cluster's secret. No message shows any of it."""
    if not isinstance(value.data, str):
        remedy = "put the secret in quotes" if value.data is not None else "write a secret"
        raise Wrong(f"found {value.kind()}", remedy)
    if len(value.data) < _SECRET_MIN:
        raise Wrong(
            f"found a secret of only {len(value.data)} characters",
            "make one with: head -c 24 /dev/urandom | base64",
        )
    return value.data


def cidr(value: Value) -> IPNetwork:
    """Check the overlay's range: a network in private or shared space with room for hosts."""
    written = text(value)
    if "/" not in written:
        raise Wrong(f"found {shown(value)}, which has no prefix length", "append one, such as /23")
    try:
        interface = ipaddress.ip_interface(written)
    except ValueError:
        raise Wrong(f"found {shown(value)}, which is no network", "") from None
    network = interface.network
    if interface.ip != network.network_address:
        raise Wrong(
            f"found {shown(value)}, whose host bits are not zero", f"probably {network} was meant"
        )
    if not any(network.version == r.version and network.subnet_of(r) for r in _SHARED_AND_PRIVATE):  # type: ignore[arg-type] # the versions are equal
        raise Wrong(
            f"found {shown(value)}, which is neither private nor shared space",
            "choose a part of 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 (RFC 1918), "
            "100.64.0.0/10 (RFC 6598) or fd00::/8 (RFC 4193)",
        )
    longest = _LONGEST_PREFIX[network.version]
    if network.prefixlen > longest:
        raise Wrong(f"found {shown(value)}, which is too small", f"use /{longest} or shorter")
    return network


def networks(value: Value) -> tuple[IPNetwork, ...]:
    """Check a list of networks of any kind; it may be empty."""
    if not isinstance(value.data, tuple):
        raise Wrong(f"found {shown(value)}", "write a list, one '- ' line for each network")
    return tuple(dict.fromkeys(_network(item) for item in value.data))


def _network(value: Value) -> IPNetwork:
    try:
        return ipaddress.ip_network(text(value))
    except Wrong as wrong:
        raise Wrong(f"{wrong.found} in the list", wrong.remedy, value) from None
    except ValueError as error:
        raise Wrong(f"found {shown(value)}, which is no network ({error})"[:200], "",
                    value) from None  # fmt: skip


def address(value: Value) -> IPAddress:
    """Check a single IP address; whether it lies in the range is checked with the range."""
    written = text(value)
    try:
        found = ipaddress.ip_address(written)
    except ValueError:
        remedy = "leave the prefix length out: the CIDR has it" if "/" in written else ""
        raise Wrong(f"found {shown(value)}, which is no IP address", remedy) from None
    if found.version == 6 and found.scope_id:
        raise Wrong(f"found {shown(value)}, an address with a zone", "remove the zone")
    return found


def host_name(value: Value) -> str:
    """Check a host's name (RFC 1123), with or without a domain. A Go template is left alone:
    Kairos makes names of such."""
    name = value.data
    if isinstance(name, str) and "{{" in name:
        return name
    if not isinstance(name, str) or not _RFC1123.fullmatch(name):
        raise Wrong(f"found {shown(value)}", "as in shop-17")
    return name


def nameservers(value: Value) -> tuple[str, ...]:
    """Check IP addresses in one text, with commas or spaces between them, or in a list."""
    if isinstance(value.data, tuple):
        return tuple(name for item in value.data for name in nameservers(item))
    if value.data is None:
        return ()
    found = text(value).replace(",", " ").split()
    for name in found:
        try:
            ipaddress.ip_address(name)
        except ValueError:
            raise Wrong(f"{name[:60]!r} is no IP address", "", value) from None
    return tuple(found)


def peers(value: Value) -> tuple[str, ...]:
    """Check the static peers: IP addresses or host names of the physical network."""
    if not isinstance(value.data, tuple):
        raise Wrong(f"found {shown(value)}", "write a list, one '- ' line for each peer")
    return tuple(dict.fromkeys(_peer(item) for item in value.data))


def _peer(value: Value) -> str:
    if not isinstance(value.data, str):
        raise Wrong(f"found {shown(value)} in the list", "put each peer in quotes", value)
    try:
        found = ipaddress.ip_address(value.data)
    except ValueError:
        looks_numeric = re.fullmatch(r"[\d.]+", value.data)
        if looks_numeric or not _HOST_NAME.fullmatch(value.data):
            raise Wrong(
                f"found {shown(value)}, neither an IP address nor a host name", "", value
            ) from None
        return value.data
    if found.is_multicast or found.is_unspecified or found.is_loopback:
        raise Wrong(f"found {shown(value)}, which is no host's address", "", value)
    if found.version == 6 and found.is_link_local:
        raise Wrong(
            f"found {shown(value)}, a link-local address",
            "leave it out: hosts on the same segment find each other",
            value,
        )
    if found.version == 6 and (found.scope_id or found.ipv4_mapped):
        raise Wrong(f"found {shown(value)}, which is no host's address", "", value)
    return str(found)


def names(value: Value) -> tuple[str, ...]:
    """Check a list of host names or IP addresses, as a certificate has them."""
    if not isinstance(value.data, tuple):
        raise Wrong(f"found {shown(value)}", "write a list, one '- ' line for each name")
    return tuple(dict.fromkeys(_name(item) for item in value.data))


def _name(value: Value) -> str:
    if not isinstance(value.data, str):
        raise Wrong(f"found {shown(value)} in the list", "put each name in quotes", value)
    try:
        found = ipaddress.ip_address(value.data)
    except ValueError:
        if re.fullmatch(r"[\d.]+", value.data) or not _RFC1123.fullmatch(value.data):
            raise Wrong(f"found {shown(value)}, neither an IP address nor a host name",
                        "no scheme and no port", value) from None  # fmt: skip
        return value.data.lower()
    if found.is_unspecified or found.is_multicast or (found.version == 6 and found.scope_id):
        raise Wrong(f"found {shown(value)}, by which nothing is reached", "", value)
    return str(found)


def image(value: Value) -> str:
    """Check a container image's name: one that says which of its versions is meant."""
    name = text(value)
    if len(name) > 500 or not _IMAGE.fullmatch(name):
        raise Wrong(f"found {shown(value)}", "as in ghcr.io/kube-vip/kube-vip:v1.0.0")
    return name


def interface(value: Value) -> str:
    """Check the name of one physical NIC."""
    if isinstance(value.data, str) and any(c in value.data for c in "*?["):
        raise Wrong(f"found {shown(value)}", "a pattern can't be used here: name one NIC")
    name = _interface(value)
    if not name.isprintable():  # the kernel has no objection, but YAML
        raise Wrong(f"found {shown(value)}, which can't be shown", "name the NIC by `ip link`")
    return name


def interfaces(value: Value) -> tuple[str, ...]:
    """Check names or globs of physical NICs: one, or a list."""
    items = value.data if isinstance(value.data, tuple) else (value,)
    if not items:
        raise Wrong("found an empty list", "name a NIC, or leave the key out", value)
    return tuple(_interface(item) for item in items)


def _interface(value: Value) -> str:
    if not isinstance(value.data, str):
        raise Wrong(f"found {shown(value)}", "put the name in quotes", value)
    pattern = _LINK_GLOB if any(c in value.data for c in "*?[") else _LINK_NAME
    if not pattern.fullmatch(value.data):
        raise Wrong(
            f"found {shown(value)}, which can't be a NIC's name",
            "names have at most 15 characters, without spaces, '/' and ':'",
            value,
        )
    if value.data in OUR_LINKS:
        raise Wrong(
            f"found {shown(value)}, a link of the overlay itself", "name a physical NIC", value
        )
    return value.data


Check = Callable[[Value], Any]
