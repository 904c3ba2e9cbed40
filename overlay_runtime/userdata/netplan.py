"""network-config, version 2: cloud-init's format, which is netplan's.

The table has what cloud-init documents and what netplan's reference has for the same sections. By
it go `edge-build validate`, the check at boot and the reference page.
"""

from __future__ import annotations

from overlay_runtime.userdata.kinds import FLAG, NUMBER, TEXT, TEXTS, block, either
from overlay_runtime.userdata.model import Block, By, Choice, Key, ListOf, MapOf, Number, Text

_TIME = either(NUMBER, TEXT)
_ADDRESS = Text("an address with prefix length, such as 10.0.10.25/24")
_ADDRESS_BLOCK = block(
    By.EDGE, "an address's options",
    ("lifetime", either(NUMBER, Choice(("forever",))), "0: not preferred as a source.", "forever"),
    ("label", TEXT, "An IPv4 address's label."),
)  # fmt: skip

ROUTE = block(
    By.EDGE, "a route",
    ("to", TEXT, "The destination, or `default`."),
    ("via", TEXT, "The gateway."),
    ("from", TEXT, "The source address."),
    ("on-link", FLAG, "The gateway is on the link, whatever the addresses say.", False),
    ("metric", NUMBER, "The lower wins."),
    ("type", TEXT, "unicast, blackhole, unreachable and so on.", "unicast"),
    ("scope", TEXT, "global, link, host."),
    ("table", NUMBER, "The routing table."),
    ("mtu", NUMBER, "The path's MTU."),
    ("congestion-window", NUMBER, "See ip-route(8)."),
    ("advertised-receive-window", NUMBER, "See ip-route(8)."),
    ("advertised-mss", NUMBER, "See ip-route(8)."),
)  # fmt: skip

_POLICY = block(
    By.EDGE, "a routing rule",
    ("from", TEXT, "Packets from there."),
    ("to", TEXT, "Packets to there."),
    ("table", NUMBER, "The table for them."),
    ("priority", NUMBER, "The lower is looked at first."),
    ("mark", NUMBER, "Packets with this mark."),
    ("type-of-service", NUMBER, "Packets with this type of service."),
)  # fmt: skip

_OVERRIDES = block(
    By.EDGE, "DHCP's overrides",
    ("hostname", TEXT, "The name that is sent."),
    ("route-metric", NUMBER, "Metric of its routes.", 100),
    ("send-hostname", FLAG, "Whether a name is sent.", True),
    ("use-dns", FLAG, "Whether its name servers are used.", True),
    ("use-domains", TEXT, "Whether its domains are used: true, false, `route`."),
    ("use-hostname", FLAG, "Whether its name becomes the host's. Here: false.", False),
    ("use-mtu", FLAG, "Whether its MTU is used.", True),
    ("use-ntp", FLAG, "Whether its time servers are used.", True),
    ("use-routes", FLAG, "Whether its routes are used.", True),
)  # fmt: skip

_NAMESERVERS = block(
    By.EDGE, "the key `nameservers`",
    ("addresses", TEXTS, "Addresses of name servers."),
    ("search", TEXTS, "Search domains."),
)  # fmt: skip

_MATCH = block(
    By.EDGE, "the key `match`",
    ("name", TEXT, "NICs whose name matches, such as `en*`."),
    ("macaddress", TEXT, "The NIC with this address."),
    ("driver", either(TEXT, TEXTS), "NICs with this driver, or a pattern."),
)  # fmt: skip

COMMON = block(
    By.EDGE, "",
    ("renderer", Choice(("networkd",)), "networkd: there is no other.", "networkd"),
    ("dhcp4", FLAG, "Whether to ask for an IPv4 address by DHCP.", False),
    ("dhcp6", FLAG, "Whether to ask for IPv6 addresses by DHCP.", False),
    ("dhcp4-overrides", _OVERRIDES, "What of DHCP's answer counts."),
    ("dhcp6-overrides", _OVERRIDES, "What of DHCP's answer counts."),
    ("dhcp-identifier", Choice(("mac", "duid")), "By what servers know the client. Here: mac.",
     "mac"),
    ("accept-ra", FLAG, "Whether to heed IPv6 router advertisements."),
    ("ipv6-privacy", FLAG, "Whether to use temporary addresses.", False),
    ("ipv6-address-generation", Choice(("eui64", "stable-privacy")), "How addresses are made."),
    ("ipv6-address-token", TEXT, "The lower half of addresses."),
    ("ipv6-mtu", NUMBER, "MTU of IPv6 alone."),
    ("link-local", ListOf(Choice(("ipv4", "ipv6"))), "Link-local addresses: the overlay's fast "
     "transport needs `ipv6`.", "[ipv6]"),
    ("ignore-carrier", FLAG, "To configure without a carrier.", False),
    ("critical", FLAG, "To keep addresses when networkd stops.", False),
    ("addresses", ListOf(either(_ADDRESS, MapOf(_ADDRESS_BLOCK))), "Static addresses."),
    ("gateway4", TEXT, "The IPv4 default gateway; `routes` is the newer way."),
    ("gateway6", TEXT, "The IPv6 default gateway; `routes` is the newer way."),
    ("nameservers", _NAMESERVERS, "Name servers."),
    ("macaddress", TEXT, "The address to set."),
    ("mtu", Number(68, 65535), "The MTU."),
    ("optional", FLAG, "Not to wait for it at boot.", False),
    ("optional-addresses", TEXTS, "Kinds of addresses not to wait for."),
    ("activation-mode", Choice(("manual", "off")), "Not to bring it up."),
    ("routes", ListOf(ROUTE), "Static routes."),
    ("routing-policy", ListOf(_POLICY), "Routing rules."),
    ("neigh-suppress", FLAG, "Of a bridge's port."),
).keys  # fmt: skip

_ETHERNET = Block(
    (
        *block(
            By.EDGE, "",
            ("match", _MATCH, "Which NIC is meant, if its name is not known."),
            ("set-name", TEXT, "The name that the matching NIC gets."),
            ("wakeonlan", FLAG, "Wake on LAN.", False),
            ("emit-lldp", FLAG, "Whether to send LLDP.", False),
            ("receive-checksum-offload", FLAG, "An offload."),
            ("transmit-checksum-offload", FLAG, "An offload."),
            ("tcp-segmentation-offload", FLAG, "An offload."),
            ("tcp6-segmentation-offload", FLAG, "An offload."),
            ("generic-segmentation-offload", FLAG, "An offload."),
            ("generic-receive-offload", FLAG, "An offload."),
            ("large-receive-offload", FLAG, "An offload."),
        ).keys,
        *COMMON,
    ),
    what="a NIC",
)  # fmt: skip

_BOND_PARAMETERS = block(
    By.EDGE, "a bond's parameters",
    ("mode", Choice(("balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad",
                     "balance-tlb", "balance-alb")), "How the NICs share the work.", "balance-rr"),
    ("lacp-rate", Choice(("slow", "fast")), "How often LACP speaks.", "slow"),
    ("mii-monitor-interval", _TIME, "How often links are looked at, ms.", 0),
    ("min-links", NUMBER, "Links that must be up.", 1),
    ("transmit-hash-policy", Choice(("layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4",
                                     "vlan+srcmac")), "What chooses a NIC.", "layer2"),
    ("ad-select", Choice(("stable", "bandwidth", "count")), "How aggregates are chosen.", "stable"),
    ("all-members-active", FLAG, "Whether all take packets.", False),
    ("all-slaves-active", FLAG, "The older word for `all-members-active`.", False),
    ("arp-interval", _TIME, "How often ARP is sent, ms.", 0),
    ("arp-ip-targets", TEXTS, "Whom ARP asks."),
    ("arp-validate", Choice(("none", "active", "backup", "all")), "What is validated.", "none"),
    ("arp-all-targets", Choice(("any", "all")), "Who must answer.", "any"),
    ("up-delay", _TIME, "ms until a link counts as up.", 0),
    ("down-delay", _TIME, "ms until a link counts as down.", 0),
    ("fail-over-mac-policy", Choice(("none", "active", "follow")), "The MAC address.", "none"),
    ("gratuitous-arp", Number(0, 255), "Announcements after a change.", 1),
    ("packets-per-member", NUMBER, "Of balance-rr.", 1),
    ("packets-per-slave", NUMBER, "The older word for `packets-per-member`.", 1),
    ("primary-reselect-policy", Choice(("always", "better", "failure")), "When to go back.",
     "always"),
    ("resend-igmp", NUMBER, "Reports after a change.", 1),
    ("learn-packet-interval", _TIME, "Seconds.", 1),
    ("primary", TEXT, "The NIC that is preferred."),
)  # fmt: skip

_BRIDGE_PARAMETERS = block(
    By.EDGE, "a bridge's parameters",
    ("ageing-time", _TIME, "Seconds.", 300),
    ("priority", Number(0, 65535), "Of the spanning tree."),
    ("port-priority", MapOf(NUMBER), "By port."),
    ("forward-delay", _TIME, "Seconds.", 15),
    ("hello-time", _TIME, "Seconds.", 2),
    ("max-age", _TIME, "Seconds.", 20),
    ("path-cost", MapOf(NUMBER), "By port."),
    ("stp", FLAG, "Whether there is a spanning tree.", True),
)  # fmt: skip

_INTERFACES = Key("interfaces", TEXTS, "The devices that it is made of.")
_BOND = Block((_INTERFACES, Key("parameters", _BOND_PARAMETERS, "Its parameters."), *COMMON),
              what="a bond")  # fmt: skip
_BRIDGE = Block((_INTERFACES, Key("parameters", _BRIDGE_PARAMETERS, "Its parameters."), *COMMON),
                what="a bridge")  # fmt: skip
_VLAN = Block(
    (
        Key("id", Number(0, 4094), "The VLAN's number."),
        Key("link", TEXT, "The device that it runs on."),
        *COMMON,
    ),
    what="a VLAN",
)  # fmt: skip

V2 = block(
    By.EDGE, "network-config",
    ("version", Number(2, 2), "2."),
    ("renderer", Choice(("networkd",)), "networkd: there is no other.", "networkd"),
    ("ethernets", MapOf(_ETHERNET, "a NIC's name"), "NICs."),
    ("bonds", MapOf(_BOND, "a bond's name"), "Bonds."),
    ("bridges", MapOf(_BRIDGE, "a bridge's name"), "Bridges."),
    ("vlans", MapOf(_VLAN, "a VLAN's name"), "VLANs."),
)  # fmt: skip

TOP = Block((Key("network", V2, "The network; what stands below may also be the whole file."),),
            what="network-config")  # fmt: skip

KINDS = ("ethernets", "bonds", "bridges", "vlans")
"""The sections that hold devices."""
