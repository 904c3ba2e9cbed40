"""Other overlays between the same two hosts, set up as their manuals say."""

from benchmarks.renumber import Overlay
from benchmarks.rivals.frr import Evpn
from benchmarks.rivals.nebula import Nebula
from benchmarks.rivals.tinc import Tinc
from benchmarks.rivals.vxlan import MulticastVxlan, StaticVxlan

RIVALS: tuple[Overlay, ...] = (
    MulticastVxlan(ipv6=True), MulticastVxlan(ipv6=False), StaticVxlan(), Evpn(fast=True),
    Evpn(fast=False), Tinc(), Nebula(),
)  # fmt: skip
"""What is measured besides ours."""
