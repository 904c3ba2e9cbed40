"""`reset`: start over with another address."""

from __future__ import annotations

import argparse
import sys

from overlay_runtime.kubernetes import record as records
from overlay_runtime.paths import Paths
from overlay_runtime.state import StateStore


def reset(options: argparse.Namespace, paths: Paths) -> int:
    """Forget the stored address, after asking. Raises StateError."""
    store = StateStore(paths.state_dir)
    if not options.yes:
        if not sys.stdin.isatty():
            print("edge-overlay: say --yes to forget this host's address", file=sys.stderr)
            return 64  # EX_USAGE
        answer = input("Forget this host's overlay address and claim one anew? [y/N] ")
        if answer.strip().lower() not in ("y", "yes"):
            return 1
    print("The stored address is forgotten." if store.clear() else "No address was stored.")
    if records.load(paths).adopted:
        print("Kubernetes was set up with that address: an etcd does not start on another.")
    print("It is used until the service starts again: systemctl restart edge-overlay")
    return 0
