"""`stylus`, the block of Palette's agent (Palette's installer reference).

Of `stylus` the network block, the host's name, time servers, certificates and users mean the same
to us; the rest is for Palette's own agent.
"""

from __future__ import annotations

from overlay_runtime.userdata.cloud import NAMESERVERS
from overlay_runtime.userdata.kinds import (
    ANY_BLOCK,
    ANY_LIST,
    ANYTHING,
    FLAG,
    NUMBER,
    PAIRS,
    SECRET,
    TEXT,
    TEXTS,
    block,
    either,
)
from overlay_runtime.userdata.model import Block, By, Choice, Key, ListOf, MapOf, Number

ROUTE = block(
    By.EDGE, "a route",
    ("to", TEXT, "The destination, such as 10.8.0.0/16, or `default`."),
    ("via", TEXT, "The gateway. Without it: on the link."),
    ("metric", NUMBER, "The lower wins."),
)  # fmt: skip

BOND = block(
    By.EDGE, "the key `bond`",
    ("interfaces", TEXTS, "The NICs that make it."),
    ("mode", Choice(("balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad",
                     "balance-tlb", "balance-alb")), "How they share the work.", "active-backup"),
    ("monitorInterval", NUMBER, "How often links are looked at, milliseconds.", 100),
)  # fmt: skip

VLAN = block(
    By.EDGE, "the key `vlan`",
    ("id", Number(1, 4094), "The VLAN's number (802.1Q)."),
    ("link", TEXT, "The NIC that it runs on."),
)  # fmt: skip

MATCH = block(
    By.EDGE, "the key `match`",
    ("macAddress", TEXT, "The NIC with this address, such as 52:54:00:12:34:56."),
    ("driver", TEXT, "NICs with this driver, such as vmxnet3, or a pattern."),
    ("name", TEXT, "NICs whose name matches, such as `en*`."),
)  # fmt: skip

INTERFACE = block(
    By.EDGE, "a NIC",
    ("type", Choice(("dhcp", "static")), "Where its IPv4 address comes from.", "dhcp"),
    ("ipAddress", TEXT, "The static address; a prefix length may follow: 10.0.10.25/24."),
    ("mask", TEXT, "The network mask: 255.255.255.0, /24 or 24."),
    ("gateway", TEXT, "The default gateway."),
    ("nameserver", NAMESERVERS, "Name servers of this NIC, comma between them."),
    ("match", MATCH, "Which NIC is meant, if its name is not known; the key is a name of your own "
     "then."),
    ("mtu", Number(576, 65535), "The NIC's MTU."),
    ("addresses", TEXTS, "Further addresses, IPv4 or IPv6, with prefix length."),
    ("gateway6", TEXT, "The IPv6 default gateway; without it routers tell."),
    ("dhcp6", FLAG, "Whether to ask for IPv6 addresses by DHCP without a router saying so.", False),
    ("acceptRA", FLAG, "Whether to heed IPv6 router advertisements.", True),
    ("routes", ListOf(ROUTE), "Static routes."),
    ("searchDomains", TEXTS, "Search domains."),
    ("vlan", VLAN, "Makes a VLAN of the key's name."),
    ("bond", BOND, "Makes a bond of the key's name."),
    ("optional", FLAG, "Not to wait for it at boot.", False),
)  # fmt: skip

NETWORK = block(
    By.EDGE, "the key `network`",
    ("httpProxy", TEXT, "HTTP_PROXY of services."),
    ("httpsProxy", TEXT, "HTTPS_PROXY of services."),
    ("noProxy", TEXT, "NO_PROXY: what is reached without a proxy, commas between."),
    ("nameserver", NAMESERVERS, "Name servers for the whole host, comma between them."),
    ("searchDomains", TEXTS, "Search domains for the whole host."),
    ("interfaces", MapOf(INTERFACE, "a NIC's name"), "The NICs; those that are not named here "
     "use DHCP."),
)  # fmt: skip

_USER = block(
    By.PALETTE, "a user",
    ("name", TEXT, "Login name."),
    ("passwd", SECRET, "Password."),
    ("groups", TEXTS, "Groups."),
    ("sshKeys", TEXTS, "SSH keys."),
)  # fmt: skip

SITE = Block(
    (
        *block(
            By.PALETTE, "",
            ("paletteEndpoint", TEXT, "Where Palette is.", "api.spectrocloud.com"),
            ("edgeHostToken", SECRET, "The token that registers the host."),
            ("projectName", TEXT, "The project."),
            ("projectUid", TEXT, "The project's ID."),
            ("name", TEXT, "The host's ID; else made from its hardware."),
            ("hostName", TEXT, "The host's name."),
            ("prefix", TEXT, "What a made ID begins with.", "edge"),
            ("deviceUIDPaths", either(TEXTS, ANY_LIST), "Files in which the hardware's ID stands."),
            ("caCerts", TEXTS, "Further certificate authorities, PEM."),
            ("ntpServers", TEXTS, "Time servers."),
            ("insecureSkipVerify", FLAG, "Not to check Palette's certificate.", False),
            ("tags", either(PAIRS, TEXT), "Labels of the host."),
            ("tagsFromFile", ANY_BLOCK, "Labels from a file."),
            ("tagsFromScript", ANY_BLOCK, "Labels that a script prints."),
            ("users", ListOf(_USER), "Users that the agent makes."),
            ("clusterId", TEXT, "The cluster's ID."),
            ("clusterName", TEXT, "The cluster's name."),
            ("twoNode", ANYTHING, "A cluster of two nodes."),
            ("registrationURL", TEXT, "Where the QR code leads."),
            ("autoRegister", ANYTHING, "To register without being asked."),
            ("remoteShell", block(By.PALETTE, "the key `remoteShell`",
                                  ("disable", FLAG, "No remote shell.", False)),
             "Palette's remote shell."),
        ).keys,
        Key("network", NETWORK, "NICs, name servers, proxies."),
    ),
    what="the key `site`",
    open=True,
)  # fmt: skip

STYLUS = Block(
    (
        Key("site", SITE, "The site of the host."),
        *block(
            By.PALETTE, "",
            ("managementMode", Choice(("central", "local")), "Who manages the cluster.", "central"),
            ("enableMultiNode", FLAG, "Several hosts make a cluster.", False),
            ("includeTui", FLAG, "The terminal user interface.", False),
            ("disableTui", FLAG, "No terminal user interface.", False),
            ("vip", block(By.PALETTE, "the key `vip`",
                          ("skip", FLAG, "No VIP of kube-vip.", False)), "The cluster's VIP."),
            ("debug", FLAG, "More to the log.", False),
            ("trace", FLAG, "Still more to the log.", False),
            ("path", TEXT, "Where the agent lives in agent mode.", "/"),
            ("localUI", block(By.PALETTE, "the key `localUI`",
                              ("port", Number(1, 65535), "TCP port.", 5080),
                              ("login", ANYTHING, "How logins are limited.")), "The local UI."),
            ("featureGate", TEXT, "Features to switch on."),
            ("externalRegistries", ANYTHING, "Registries to pull from."),
            ("registryCredentials", ANYTHING, "How to log in to a registry."),
            ("imageRedirectWebhook", block(By.PALETTE, "the key `imageRedirectWebhook`",
                                           ("enable", FLAG, "Whether it runs.", False)),
             "Pulls through another registry."),
            ("installationMode", TEXT, "`airgap` or `connected`."),
        ).keys,
    ),
    what="the key `stylus`",
    open=True,
)  # fmt: skip
