"""The overlay runtime: the program `edge-overlay`, which makes and keeps scbr-100 on an Edge host.

The way of a value, say the CIDR, from user-data to the kernel:
`config/sources.py` (which file) → `config/schema.py` (typed value) → `agent.py` → `claim.py` (an
address out of it) → `kernel/desired.py` (what the kernel should hold) → `kernel/apply.py`.
"""

__version__ = "0.1.0"

BRIDGE = "scbr-100"
"""Name of the overlay's bridge: Kubernetes settings, CNI settings and documents refer to it."""

VXLAN6 = "edge-vx6"
"""VXLAN device whose packets travel between IPv6 link-local addresses."""

VXLAN4 = "edge-vx4"
"""VXLAN device whose packets travel between IPv4 addresses."""

OUR_LINKS = frozenset({BRIDGE, VXLAN6, VXLAN4})
"""Links that belong to this program: it makes, corrects and never mistakes them for physical."""
