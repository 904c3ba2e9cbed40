"""The `overlay:` block of user-data: its keys, their types, defaults and help, in one table.

The table is the dataclass `OverlayConfig` itself. `edge-build` checks user-data with it when an
image is built, and every host again at boot.
"""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
import re
from dataclasses import dataclass, field
from typing import Any

from overlay_runtime import address as addresses
from overlay_runtime.address import IPAddress, IPNetwork
from overlay_runtime.config import checks
from overlay_runtime.config.checks import Check, Wrong
from overlay_runtime.config.document import Entry, Value, read_document, shown_key
from overlay_runtime.errors import ConfigError, Position, Problem

HEADER = "#cloud-config"
BLOCK = "overlay"
_HEADER_OF_OTHERS = re.compile(r"#[#!a-z/: -]{1,39}")
_SAME_MEANING = {"overlays", "overlaynetwork", "overlayconfig", "edgeoverlay", "overlaynet"}


def _about(check: Check, expected: str, help: str) -> dict[str, Any]:
    return {"check": check, "expected": expected, "help": help}


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
        ),
    )
    mtu: int | None = field(
        default=None,
        metadata=_about(
            checks.number(1280, 9000),
            "a whole number from 1280 to 9000",
            "MTU of scbr-100. Without it: the smallest of the physical NICs in use, less what "
            "VXLAN adds to a packet (70 bytes over IPv6, 50 over IPv4).",
        ),
    )
    peers: tuple[str, ...] = field(
        default=(),
        metadata=_about(
            checks.peers,
            "a list of IP addresses or host names",
            "Physical addresses, or names that lead to such, of hosts in other network segments, "
            "which broadcasts don't reach.",
        ),
    )
    interface: tuple[str, ...] = field(
        default=(),
        metadata=_about(
            checks.interfaces,
            "the name of a physical NIC, a pattern such as 'en*', or a list of them",
            "NICs that carry the overlay. Without it: every physical NIC.",
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
        ),
    )
    firewall: bool = field(
        default=True,
        metadata=_about(
            checks.boolean,
            "true or false",
            "Accept VXLAN packets from current peers alone, and let nobody reach overlay addresses "
            "through a host from outside: an nftables table of its own, `inet edge_overlay`.",
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
    insecure: bool = field(
        default=False,
        metadata=_about(
            checks.boolean,
            "true or false",
            "Go without a secret: whoever can send packets to the physical network can then join.",
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
        Setting(_key(item.name), item.default, item.metadata["expected"], item.metadata["help"])
        for item in dataclasses.fields(OverlayConfig)
    )


def _key(name: str) -> str:
    return name.replace("_", "-")


@dataclass(frozen=True)
class UserData:
    """A user-data file whose overlay block is right (or absent).

    `top` has every top-level key with its place, for those who check the other keys.
    """

    file: str
    overlay: OverlayConfig | None
    top: dict[str, Entry] = field(repr=False)


def parse_user_data(text: str, file: str) -> UserData:
    """Read a user-data file. Raises ConfigError with all that is wrong about its overlay block."""
    if not text.startswith(HEADER) or text.split("\n", 1)[0].rstrip() != HEADER:
        first = text.split("\n", 1)[0].strip()
        what = "the first line is something else" if first else "the first line is empty"
        if _HEADER_OF_OTHERS.fullmatch(first):  # any other line may hold a secret
            what = f"the first line is {first!r}"
        if text.startswith("\ufeff"):
            what = "the file starts with a byte-order mark"
        problem = Problem(
            Position(file, 1, 1), what, f"{HEADER!r}", "cloud-init ignores the file otherwise"
        )
        raise ConfigError([problem])
    root = read_document(text, file)
    if not isinstance(root.data, dict):
        problem = Problem(root.position, f"found {root.kind()}", "keys and values", "")
        raise ConfigError([problem])
    found = _misspelt_blocks(root.data)
    overlay = None
    if BLOCK in root.data:
        overlay, more = _read_block(root.data[BLOCK])
        found += more
    if found:
        raise ConfigError(found)
    return UserData(file, overlay, root.data)


def problems(text: str, file: str) -> list[Problem]:
    """Return all that is wrong about a user-data file as far as the overlay goes.

    Also that the range is one of Kubernetes'. That does not make user-data unreadable on a host,
    whose overlay may run already: there the first claim is refused.
    """
    try:
        data = parse_user_data(text, file)
    except ConfigError as error:
        return list(error.problems)
    return _kubernetes_problems(data)


def _kubernetes_problems(data: UserData) -> list[Problem]:
    from overlay_runtime.config import kubernetes

    config = data.overlay
    if config is None:
        return []
    given = config.kubernetes_ranges
    ranges = kubernetes.defaults() if given is None else kubernetes.written(given)
    met = kubernetes.meets(config.cidr, ranges)
    if met is None:
        return []
    block = data.top[BLOCK]
    keys = block.value.data if isinstance(block.value.data, dict) else {}
    at = keys["cidr"].value.position if "cidr" in keys else block.key
    return [
        Problem(at, f"`cidr`: {config.cidr} overlaps {met}",
                "a range that Kubernetes does not use", kubernetes.REMEDY)
    ]  # fmt: skip


def _misspelt_blocks(top: dict[str, Entry]) -> list[Problem]:
    """A misspelt block would be silence instead of a network: so near misses are errors."""
    found: list[Problem] = []
    for name, entry in top.items():
        plain = name.lower().replace("_", "").replace("-", "").replace(" ", "")
        near = difflib.SequenceMatcher(None, plain, BLOCK).ratio() >= 0.85
        if name != BLOCK and (near or plain in _SAME_MEANING):
            found.append(
                Problem(entry.key, f"unknown key {name!r}", f"{BLOCK!r}", f"rename it to {BLOCK}")
            )
    return found


def _read_block(entry: Entry) -> tuple[OverlayConfig | None, list[Problem]]:
    block = entry.value
    if not isinstance(block.data, dict):
        what = f"`{BLOCK}` is {block.kind()}" if block.data is not None else f"`{BLOCK}` is empty"
        remedy = "write at least `secret: …` below it, indented"
        return None, [Problem(entry.key, what, "keys and values", remedy)]
    fields = {_key(item.name): item for item in dataclasses.fields(OverlayConfig)}
    found: list[Problem] = []
    values: dict[str, Any] = {}
    for name, item in block.data.items():
        if name not in fields:
            found.append(_unknown(name, item, list(fields)))
            continue
        try:
            values[fields[name].name] = fields[name].metadata["check"](item.value)
        except Wrong as wrong:
            at = (wrong.at or item.value).position
            found.append(
                Problem(at, f"`{name}`: {wrong.found}", fields[name].metadata["expected"],
                        wrong.remedy)
            )  # fmt: skip
    found += _together(entry.key, block.data, values)
    return (None if found else OverlayConfig(**values)), found


def _unknown(name: str, item: Entry, known: list[str]) -> Problem:
    close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    remedy = f"did you mean `{close[0]}`?" if close else "remove it"
    return Problem(item.key, f"unknown {shown_key(name)}", "one of " + ", ".join(known), remedy)


def _together(block: Position, written: dict[str, Entry], values: dict[str, Any]) -> list[Problem]:
    """What can only be judged by looking at several keys at once."""
    found: list[Problem] = []
    insecure = values.get("insecure", False)
    if "secret" not in written and not insecure:
        found.append(
            Problem(block, "`secret` is missing", "text of at least 16 characters",
                    "add one, the same on every host; or write `insecure: true`")
        )  # fmt: skip
    if "secret" in written and insecure:
        found.append(
            Problem(written["insecure"].key, "`insecure: true` together with `secret`",
                    "one of the two", "remove `insecure`, or the secret if you mean it")
        )  # fmt: skip
    if "previous_secret" in values and insecure:
        found.append(
            Problem(written["previous-secret"].key, "`previous-secret` together with `insecure: "
                    "true`", "one of the two", "remove it")
        )  # fmt: skip
    if values.get("previous_secret", "") == values.get("secret"):
        found.append(
            Problem(written["previous-secret"].value.position,
                    "`previous-secret` is the same as `secret`", "the secret of before",
                    "remove it if nothing changes")
        )  # fmt: skip
    if "cidr" in written and "cidr" not in values:
        return found  # nothing can be said about addresses in a range that isn't known
    cidr: IPNetwork = values.get("cidr", OverlayConfig.cidr)
    if "address" in values and not addresses.usable(values["address"], cidr):
        why = "reserved" if values["address"] in addresses.reserved(cidr) else f"outside {cidr}"
        found.append(
            Problem(written["address"].value.position, f"`address`: {values['address']} is {why}",
                    f"an address from {cidr[2]} to {cidr[-2]}", "")
        )  # fmt: skip
    for text in values.get("peers", ()):
        if _inside(text, cidr):
            found.append(
                Problem(_item_position(written["peers"].value, text),
                        f"`peers`: {text} lies inside the overlay's own range {cidr}",
                        "an address of the physical network", "")
            )  # fmt: skip
    return found


def _inside(text: str, cidr: IPNetwork) -> bool:
    try:
        return ipaddress.ip_address(text) in cidr
    except ValueError:
        return False


def _item_position(value: Value, text: str) -> Position:
    items = value.data if isinstance(value.data, tuple) else ()
    return next((item.position for item in items if item.data == text), value.position)
