"""The ranges of Kubernetes' pods and services, which the overlay's range must not meet.

What the user wrote (`kubernetes-ranges`) counts, and what the configuration of a distribution says
that lies on this host. For what neither says: the distribution's default; of all distributions on a
host that has none yet, as it will get one.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import re
import stat
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overlay_runtime.address import IPNetwork

log = logging.getLogger(__name__)

PODS, SERVICES = "pods", "services"
REMEDY = (
    "set another `cidr`, or `kubernetes-ranges` if Kubernetes uses other ranges than its defaults"
)

_LOOK_AGAIN = 5.0
_LARGEST = 1 << 20
_RANCHER = ("k3s", "rke2")
_RANCHER_KEYS = {"cluster-cidr": PODS, "service-cidr": SERVICES}
_RANCHER_FILES = ("config.d/*.yaml", "config.yaml", "config.yaml.d/*.y*ml")
"""The later wins. `config.d` is Kairos' own: its parts are merged into `config.yaml` at boot."""

_KUBEADM = "kubeadm"
_KUBEADM_KEYS = {"podSubnet": PODS, "serviceSubnet": SERVICES}
_KUBEADM_FILES = (
    "opt/kubeadm/*.yaml",  # Kairos' provider-kubeadm
    "persistent/spectro/opt/kubeadm/*.yaml",  # the same under Palette's agent mode
    "etc/kubernetes/*.yaml",
)
_MANIFESTS = "etc/kubernetes/manifests/kube-*.yaml"
_FLAG = re.compile(r"--(cluster-cidr|service-cluster-ip-range)[= ]([0-9a-fA-F.:/,]+)")
_FLAGS = {"cluster-cidr": PODS, "service-cluster-ip-range": SERVICES}

_RANCHER_DEFAULTS = {
    PODS: "10.42.0.0/16,fd00:42::/56",
    SERVICES: "10.43.0.0/16,fd00:43::/112",
}
_DEFAULTS = {
    "k3s": _RANCHER_DEFAULTS,
    "rke2": _RANCHER_DEFAULTS,
    _KUBEADM: {SERVICES: "10.96.0.0/12"},  # pods: none, whoever installs a CNI chooses
}


@dataclass(frozen=True)
class Range:
    """A range of Kubernetes', and in words whose it is."""

    network: IPNetwork
    whose: str


def defaults(without: Mapping[str, Container[str]] | None = None) -> list[Range]:
    """Return the ranges that distributions use unless they are told otherwise.

    `without`: the distributions to look at, each with the kinds of ranges that it was told.
    """
    known = dict.fromkeys(_DEFAULTS, "") if without is None else without
    users: dict[tuple[str, str], list[str]] = {}
    for name, told in known.items():
        for kind, text in _DEFAULTS[name].items():
            if kind not in told:
                users.setdefault((kind, text), []).append(name)
    return [
        Range(network, f"the default range of {' and '.join(names)} for {kind}")
        for (kind, text), names in users.items()
        for network in _networks(text)
    ]


def written(networks: Sequence[IPNetwork]) -> list[Range]:
    """Return the ranges of the key `kubernetes-ranges`."""
    return [Range(network, "listed in `kubernetes-ranges`") for network in networks]


def meets(cidr: IPNetwork, ranges: Iterable[Range]) -> str | None:
    """Name a range that shares addresses with `cidr`, or return None."""
    for known in ranges:
        if known.network.version == cidr.version and known.network.overlaps(cidr):
            return f"{known.network}, {known.whose}"
    return None


class Kubernetes:
    """The ranges on one host, read again when the files are others. Nothing here raises."""

    def __init__(
        self,
        root: Path,
        given: Sequence[IPNetwork] | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`root` is the host's, `given` the value of `kubernetes-ranges` (None: not written)."""
        self._root = root
        self._given = given
        self._clock = clock
        self._looked = float("-inf")
        self._signature: object = None
        self._ranges: list[Range] = []
        self.notes: list[str] = []
        """What could not be read, and is left out."""

    def overlap(self, cidr: IPNetwork) -> str | None:
        """Name a range that shares addresses with `cidr`, or return None. Cheap to call often."""
        if self._clock() - self._looked >= _LOOK_AGAIN:
            self._looked = self._clock()
            signature = [_fingerprint(path) for path in self._files()]
            if signature != self._signature:
                self._signature = signature
                self._read()
        return meets(cidr, self._ranges)

    def _files(self) -> list[Path]:
        patterns = [f"etc/rancher/{name}/{part}" for name in _RANCHER for part in _RANCHER_FILES]
        patterns += [*_KUBEADM_FILES, _MANIFESTS]
        return [path for pattern in patterns for path in self._glob(pattern)]

    def _glob(self, pattern: str) -> list[Path]:
        try:
            return sorted(self._root.glob(pattern))
        except OSError:
            return []

    def _read(self) -> None:
        self.notes = []
        found = {name: self._rancher(name) for name in _RANCHER} | {_KUBEADM: self._kubeadm()}
        present = {name: said for name, said in found.items() if said is not None}
        self._ranges = written(self._given or ())
        for name, said in present.items():
            for kind, (text, path) in said.items():
                whose = f"the range of {name} for {kind} in {path}"
                self._ranges += [Range(n, whose) for n in _networks(text, self._odd(path))]
        if self._given is None:
            self._ranges += defaults(present or None)

    def _rancher(self, name: str) -> dict[str, tuple[str, Path]] | None:
        """Return kind → (comma list, file) of k3s or RKE2, or None if it is not on this host."""
        paths = [p for part in _RANCHER_FILES for p in self._glob(f"etc/rancher/{name}/{part}")]
        if not paths:
            return None
        said: dict[str, tuple[str, Path]] = {}
        for path in paths:
            for document in self._documents(path):
                for key, kind in _RANCHER_KEYS.items():
                    if key in document:
                        said[kind] = (_comma_list(document[key]), path)
                    if f"{key}+" in document:  # adds to what earlier files say
                        before = said[kind][0] + "," if kind in said else ""
                        said[kind] = (before + _comma_list(document[f"{key}+"]), path)
        return said

    def _kubeadm(self) -> dict[str, tuple[str, Path]] | None:
        present = False
        said: dict[str, tuple[str, Path]] = {}
        for path in (p for pattern in _KUBEADM_FILES for p in self._glob(pattern)):
            for document in self._documents(path):
                present |= str(document.get("apiVersion", "")).startswith("kubeadm.k8s.io/")
                networking = document.get("networking")
                for key, kind in _KUBEADM_KEYS.items():
                    if isinstance(networking, dict) and networking.get(key):
                        said[kind] = (_comma_list(networking[key]), path)
        for path in self._glob(_MANIFESTS):  # what runs; kubeadm keeps no file of its own
            for flag, text in _FLAG.findall(self._text(path)):
                said[_FLAGS[flag]] = (text, path)
        return said if present or said else None

    def _documents(self, path: Path) -> Iterator[dict[str, Any]]:
        import yaml

        try:
            # The base loader makes text, lists and mappings of everything: no tag does anything.
            for document in list(yaml.load_all(self._text(path), Loader=yaml.BaseLoader)):
                if isinstance(document, dict):
                    yield document
        except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
            self._note(f"{path} is not YAML: its ranges of pods and services are not known")

    def _text(self, path: Path) -> str:
        try:
            # Not to wait for a FIFO that somebody put there.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise OSError(None, "it is no regular file")
                data = file.read(_LARGEST + 1)
        except OSError as error:
            self._note(f"{path} can't be read ({error.strerror}): its ranges of pods and services "
                       "are not known")  # fmt: skip
            return ""
        if len(data) > _LARGEST:
            self._note(f"{path} is longer than {_LARGEST} bytes: it is not read")
            return ""
        return data.decode("utf-8", errors="replace")

    def _odd(self, path: Path) -> Callable[[str], None]:
        return lambda text: self._note(f"{path}: {text[:60]!r} is no network: it is left out")

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)
            log.warning("%s", text)


def _fingerprint(path: Path) -> tuple[str, int, int, int]:
    try:
        info = path.stat()
    except OSError:
        return (str(path), 0, 0, 0)
    return (str(path), info.st_ino, info.st_mtime_ns, info.st_size)


def _comma_list(value: object) -> str:
    items = value if isinstance(value, list) else [value]
    return ",".join(item if isinstance(item, str) else f"a {type(item).__name__}" for item in items)


def _networks(text: str, odd: Callable[[str], None] = lambda _text: None) -> Iterator[IPNetwork]:
    for part in text.split(","):
        try:
            if part.strip():
                yield ipaddress.ip_network(part.strip(), strict=False)
        except ValueError:
            odd(part.strip())
