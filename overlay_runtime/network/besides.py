"""A configuration with DHCP besides its static addresses: of use while its gateway is silent."""

from __future__ import annotations

import re
from collections.abc import Collection

from overlay_runtime.network.bundle import NETWORK_DIR, Bundle

_DEAD_METRIC = 8192
"""Of the static default route: after those of DHCP (100 or 1024) and of routers (1024)."""

_ROUTE = re.compile(r"^\[Route\]\n(?:(?!\[).*\n?)*", re.MULTILINE)
_DEFAULT = re.compile(r"^Destination=(0\.0\.0\.0/0|::/0)$", re.MULTILINE)
_METRIC = re.compile(r"^Metric=.*\n?", re.MULTILINE)
_GATEWAY = re.compile(r"^Gateway=.*\n?", re.MULTILINE)


def with_dhcp(bundle: Bundle, names: Collection[str]) -> Bundle:
    """Return the configuration with DHCP besides on these devices; their addresses stay."""
    files = dict(bundle.files)
    for device in bundle.devices:
        if device.name not in names or device.member:
            continue
        for name in device.files:
            path = f"{NETWORK_DIR}/{name}"
            if path in files:
                files[path] = demoted(files[path])
                files[f"{path}.d/60-edge-dhcp-besides.conf"] = (
                    "# The gateway does not answer: see `edge-overlay status`.\n"
                    "[Network]\nDHCP=yes\n[DHCPv4]\nRouteMetric=1024\n"
                )
    return Bundle(bundle.origin, bundle.devices, files, bundle.environment)


def demoted(text: str) -> str:
    """Return a .network file whose default routes lose against every other."""
    text = _ROUTE.sub(lambda found: _demoted_route(found[0]), text)
    head, network, rest = text.partition("[Network]\n")
    section, bracket, tail = rest.partition("\n[")
    gateways = _GATEWAY.findall(section)  # older netplan writes gateway4 there
    section = _GATEWAY.sub("", section)
    text = head + network + section + bracket + tail
    for line in gateways:
        text = f"{text.rstrip()}\n\n[Route]\n{line.strip()}\nMetric={_DEAD_METRIC}\n"
    return text


def _demoted_route(section: str) -> str:
    if not _DEFAULT.search(section):
        return section
    return _METRIC.sub("", section).rstrip() + f"\nMetric={_DEAD_METRIC}\n\n"
