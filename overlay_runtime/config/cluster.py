"""The keys of `overlay.kubernetes`: what the runtime is to know of the cluster on the overlay.

Every key is optional, and the block too: without it the distribution is detected.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from overlay_runtime.config import checks
from overlay_runtime.config.document import Entry
from overlay_runtime.config.table import TEXTS, about, block
from overlay_runtime.errors import Position, Problem

AUTO, K3S, RKE2, KUBEADM, NONE = "auto", "k3s", "rke2", "kubeadm", "none"
DISTRIBUTIONS = (AUTO, K3S, RKE2, KUBEADM, NONE)

INIT, SERVER, AGENT = "init", "server", "agent"
ROLES = (INIT, SERVER, AGENT)

CNIS = ("calico", "flannel", "cilium")

STATIC_POD, DAEMONSET = "static-pod", "daemonset"
MODES = (STATIC_POD, DAEMONSET)

LONGEST_LEASE = 3600
_LEASE, _SLOW_LEASE = 6, 15
"""Seconds; the second one where etcd takes longer for another leader."""

JITTER = 1.2
"""Of client-go's leader election: `renew-deadline` must be more than so many `retry-period`s."""


@dataclass(frozen=True)
class KubeVip:
    """The block `kube-vip`: who holds the cluster's VIP, and how fast it moves."""

    enabled: bool | None = field(
        default=None,
        metadata=about(
            checks.boolean,
            "true or false",
            "Write a manifest for kube-vip, which holds the VIP on scbr-100. Without it: on "
            "control planes, unless a manifest of the user's own or Palette does it.",
            type="boolean",
        ),
    )
    mode: str = field(
        default=STATIC_POD,
        metadata=about(
            checks.one_of(*MODES),
            " or ".join(MODES),
            "How it runs. A static pod needs no API server to come up.",
            enum=list(MODES),
        ),
    )
    services_interface: str | None = field(
        default=None,
        metadata=about(
            checks.interface,
            "the name of a physical NIC",
            "Where addresses of LoadBalancer services are announced. Without it: the NIC in whose "
            "network the address lies.",
        ),
    )
    lease_duration: int | None = field(
        default=None,
        metadata=about(
            checks.number(2, LONGEST_LEASE),
            "a whole number of seconds, more than `renew-deadline`",
            "Within so long, and a second, after the VIP's host has lost its power another one has "
            "the VIP, if it is at least `renew-deadline` and three times `retry-period`; mostly "
            "sooner, see `fast-failover`. Without it 6, and 15 for K3s and RKE2, whose etcd may "
            "take 10 s for another leader.",
            type="integer",
            minimum=2,
            maximum=LONGEST_LEASE,
        ),
    )
    renew_deadline: int = field(
        default=3,
        metadata=about(
            checks.number(2, LONGEST_LEASE),
            "a whole number of seconds, between `retry-period` and `lease-duration`",
            "A holder that could not renew its lease for so long gives the VIP up.",
            type="integer",
            minimum=2,
            maximum=LONGEST_LEASE,
        ),
    )
    retry_period: int = field(
        default=1,
        metadata=about(
            checks.number(1, LONGEST_LEASE),
            "a whole number of seconds, less than `renew-deadline`",
            "Seconds between two attempts to get or to renew the lease.",
            type="integer",
            minimum=1,
            maximum=LONGEST_LEASE,
        ),
    )
    fast_failover: bool = field(
        default=True,
        metadata=about(
            checks.boolean,
            "true or false",
            "Give the lease up for a host that is gone: one that does not renew it and does not "
            "answer. Without this kube-vip alone decides, up to 4.4 `retry-period`s later.",
            type="boolean",
        ),
    )
    image: str = field(
        default="ghcr.io/kube-vip/kube-vip:v1.0.0",
        metadata=about(
            checks.image,
            "a container image's name, with a tag or digest",
            "The image of kube-vip, for hosts that pull from a registry of their own.",
        ),
    )

    @property
    def lease(self) -> int:
        """`lease_duration`, or the shortest that fits the other defaults."""
        return self.lease_duration or _LEASE

    def on(self, distribution: str) -> KubeVip:
        """Return this with the lease that a distribution needs, if the user names none.

        K3s and RKE2 start etcd with an election timeout of 5 s (k3s, pkg/etcd/etcd.go): within
        twice that nobody can take a lease, and nobody should be able to take one from a host that
        could not renew it.
        """
        if self.lease_duration is None and distribution in (K3S, RKE2):
            return replace(self, lease_duration=_SLOW_LEASE)
        return self


@dataclass(frozen=True)
class Cluster:
    """The block `kubernetes`, checked and typed."""

    distribution: str = field(
        default=AUTO,
        metadata=about(
            checks.one_of(*DISTRIBUTIONS),
            "one of " + ", ".join(DISTRIBUTIONS),
            "Whose configuration is written. `auto`: of the one that is found on the host. `none`: "
            "nothing is written, and nothing of Kubernetes waits for the overlay.",
            enum=list(DISTRIBUTIONS),
        ),
    )
    role: str | None = field(
        default=None,
        metadata=about(
            checks.one_of(*ROLES),
            "one of " + ", ".join(ROLES),
            "This host's part: `init`, the first control plane; `server`, a further one; `agent`, "
            "a worker. Those that join get the VIP as the server's address. Without it nothing is "
            "written that differs by it.",
            enum=list(ROLES),
        ),
    )
    external_names: tuple[str, ...] = field(
        default=(),
        metadata=about(
            checks.names,
            "a list of host names or IP addresses",
            "Names and addresses by which the API server is reached from outside: its certificate "
            "gets them, beside the VIP.",
            **TEXTS,
        ),
    )
    cni: str | None = field(
        default=None,
        metadata=about(
            checks.one_of(*CNIS),
            "one of " + ", ".join(CNIS),
            "The CNI, where it is not the distribution's own.",
            enum=list(CNIS),
        ),
    )
    kube_vip: KubeVip = field(
        default=KubeVip(),
        metadata=block(KubeVip, "kube-vip, which holds the cluster's VIP."),
    )


def together(block: object, key: Position, present: dict[str, Entry]) -> list[Problem]:
    """What can only be judged by looking at several keys of one of these blocks at once."""
    if isinstance(block, KubeVip):
        return _timings(block, key, present)
    if isinstance(block, Cluster) and block.role == AGENT and block.kube_vip.enabled:
        return [Problem(present["kube-vip"].key, "`kube-vip.enabled` on a host with `role: agent`",
                        "kube-vip on control planes", "remove one of the two")]  # fmt: skip
    return []


def _timings(block: KubeVip, key: Position, present: dict[str, Entry]) -> list[Problem]:
    """client-go ends a program whose timings are not in this order (leaderelection.go)."""
    lease, renew, retry = block.lease, block.renew_deadline, block.retry_period
    if lease > renew > JITTER * retry:
        return []
    names = ("lease-duration", "renew-deadline", "retry-period")
    at = next((present[name].value.position for name in names if name in present), key)
    return [
        Problem(at, f"`lease-duration` {lease}, `renew-deadline` {renew} and `retry-period` "
                f"{retry} don't go together", "lease-duration > renew-deadline > 1.2 * "
                "retry-period", "such as 6, 3, 1, or 32, 20, 4")
    ]  # fmt: skip
