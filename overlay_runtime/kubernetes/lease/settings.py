"""What the program is told: a file that the plan writes, and whose end is the program's end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from overlay_runtime.address import IPAddress
from overlay_runtime.config.cluster import JITTER, KubeVip
from overlay_runtime.kubernetes.model import HEADER

NAMESPACE = "kube-system"
LEASES = ("plndr-cp-lock", "plndr-svcs-lock")
"""kube-vip's, of the VIP and of all services: as our manifest names them."""

_LOOKS = 1 + JITTER
"""client-go waits at most so many `retry-period`s between two looks (wait.JitterUntil)."""

_ANNOUNCED_S = 0.5
"""How often our manifest has kube-vip announce what it holds."""

_LEAST = 1.5
"""So many `retry-period`s without a renewal are no sign yet: there is to be one in each."""


@dataclass(frozen=True)
class Settings:
    """Where the API server is, and how long to wait. `patience` and `retry` in seconds."""

    address: str
    port: int
    kubeconfig: Path
    patience: float
    retry: float


def patience(timings: KubeVip) -> float:
    """Return for how many seconds a lease may go without a renewal before it is given up.

    A candidate takes it at its next look, and announces it, all within the lease's duration. Where
    that is less than four `retry-period`s, it takes a little more.
    """
    retry = timings.retry_period
    return max(timings.lease_duration - _LOOKS * retry - _ANNOUNCED_S, _LEAST * retry)


def written(timings: KubeVip, address: IPAddress, port: int, kubeconfig: Path) -> str:
    """Return the file's text."""
    values = {
        "address": str(address), "port": port, "kubeconfig": str(kubeconfig),
        "patience": round(patience(timings), 3), "retry": float(timings.retry_period),
    }  # fmt: skip
    return f"# {HEADER}\n{yaml.safe_dump(values, sort_keys=False)}"


def read(path: Path) -> Settings | None:
    """Return what the file says, or None if there is none. Raises ValueError if it isn't ours."""
    try:
        found = yaml.safe_load(path.read_text())
        return Settings(str(found["address"]), int(found["port"]), Path(found["kubeconfig"]),
                        float(found["patience"]), float(found["retry"]))  # fmt: skip
    except FileNotFoundError:
        return None
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} can't be read: {error!r}") from error
