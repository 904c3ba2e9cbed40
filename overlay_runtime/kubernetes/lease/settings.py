"""What the program is told: a file that the plan writes, and whose end is the program's end."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

import yaml

from overlay_runtime.address import IPAddress, IPNetwork
from overlay_runtime.config.cluster import KubeVip
from overlay_runtime.kubernetes.model import HEADER

NAMESPACE = "kube-system"
LEASES = ("plndr-cp-lock", "plndr-svcs-lock")
"""kube-vip's, of the VIP and of all services: as our manifest names them."""


@dataclass(frozen=True)
class Settings:
    """Where the API server is, and what is known of kube-vip on all hosts. Times in seconds.

    `range` is the overlay's: hosts are asked at addresses in it alone.
    """

    address: str
    port: int
    kubeconfig: Path
    range: IPNetwork
    lease: int
    patience: float
    retry: float


def patience(timings: KubeVip) -> float:
    """Return for how many seconds a lease goes without a renewal before it may be given up.

    After `renew-deadline`, counted from the renewal that it misses, a holder stops to be one
    (client-go, leaderelection.go, `renew`; it then tries to give the lease up, and only after that
    does kube-vip take the VIP off). Not before that is it given up for it.
    """
    return float(timings.retry_period + timings.renew_deadline)


def written(
    timings: KubeVip, address: IPAddress, range_: IPNetwork, port: int, kubeconfig: Path
) -> str:
    """Return the file's text."""
    values = {
        "address": str(address), "port": port, "kubeconfig": str(kubeconfig),
        "range": str(range_), "lease": timings.lease,
        "patience": patience(timings), "retry": float(timings.retry_period),
    }  # fmt: skip
    return f"# {HEADER}\n{yaml.safe_dump(values, sort_keys=False)}"


def read(path: Path) -> Settings | None:
    """Return what the file says, or None if there is none. Raises ValueError if it isn't ours."""
    try:
        found = yaml.safe_load(path.read_text())
        return Settings(
            str(found["address"]), int(found["port"]), Path(found["kubeconfig"]),
            ipaddress.ip_network(found["range"]), int(found["lease"]),
            float(found["patience"]), float(found["retry"]),
        )  # fmt: skip
    except FileNotFoundError:
        return None
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} can't be read: {error!r}") from error
