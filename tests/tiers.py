"""All tiers, as `make test` runs them.

A tier is a folder of tests and a pytest process of its own. Those of a group run side by side, as
they leave processors free: namespaces and containers wait most of their time, for leases, time
limits and services, and half of a build has one thread. A cluster of whole nodes, and guests in
software emulation, take all processors, so nothing runs beside them. A tier that fails keeps no
other from being run: one run says all that is wrong.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.oci.daemon import docker_daemon
from tests.site import EVIDENCE, REPOSITORY

GROUPS: tuple[tuple[str, ...], ...] = (
    ("unit", "yip"),
    ("netns", "oci", "host"),
    ("kubernetes",),
    ("image", "kairos"),
    ("vm",),
)
"""Groups in turn; within a group each tier is a process."""

_WITH_DOCKER = frozenset(("oci", "host", "kubernetes", "kairos"))


def main() -> int:
    """Run all; return 0 if all passed."""
    EVIDENCE.mkdir(parents=True, exist_ok=True)
    failed: list[str] = []
    with _programs_of_kubernetes():
        for group in GROUPS:
            with ExitStack() as stack:
                if _WITH_DOCKER & set(group):
                    stack.enter_context(docker_daemon())  # one for all of them
                codes = list(_run(group))
            failed += [tier for tier, code in zip(group, codes, strict=True) if code]
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return 1 if failed else 0


@contextmanager
def _programs_of_kubernetes() -> Iterator[None]:
    """Build them from now on, with what the tests leave of the processors; the tier that needs
    them waits for that, and says why if it failed."""
    with (EVIDENCE / "kubernetes-programs.log").open("wb") as log:
        build = subprocess.Popen(
            [sys.executable, "-m", "tests.kubernetes.programs"],
            cwd=REPOSITORY, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(build.pid, signal.SIGTERM)  # Go's compilers, too
        build.wait()


def _run(group: Sequence[str]) -> Iterator[int]:
    """Run the tiers of a group at once; yield their exit codes. One alone is seen as it goes, of
    several each when it has ended."""
    if len(group) == 1:
        yield subprocess.run(_words(group[0]), cwd=REPOSITORY).returncode
        return
    print(f"\nside by side: {', '.join(group)}; each is shown when it ends", flush=True)
    began = time.monotonic()
    with ExitStack() as stack:
        running: list[tuple[str, subprocess.Popen[bytes], Path]] = []
        for tier in group:
            log = EVIDENCE / f"{tier}.log"
            output = stack.enter_context(log.open("wb"))
            process = subprocess.Popen(
                _words(tier), cwd=REPOSITORY, stdout=output, stderr=subprocess.STDOUT
            )
            stack.callback(process.kill)
            running.append((tier, process, log))
        left = list(running)
        while left:
            time.sleep(1)
            for one in [each for each in left if each[1].poll() is not None]:
                left.remove(one)
                minutes = (time.monotonic() - began) / 60
                print(f"\n===== {one[0]}, after {minutes:.1f} min", flush=True)
                print(one[2].read_text(errors="replace"), flush=True)
    for _, process, _ in running:
        yield process.returncode


def _words(tier: str) -> list[str]:
    slowest = ["--durations", "8", "--durations-min", "20"]
    return [sys.executable, "-m", "pytest", *slowest, f"tests/{tier}"]


if __name__ == "__main__":
    sys.exit(main())
