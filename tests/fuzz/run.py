"""Fuzz one target with atheris (coverage-guided): `python -m tests.fuzz.run TARGET RUNS`."""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["overlay_runtime", "ipaddress", "json"]):
    from tests.fuzz.targets import TARGETS
    from tests.unit.runtime.samples import beacon

from overlay_runtime.beacon.wire import encode


def _memory() -> int:
    """Return RSS in KiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024


def main(name: str, runs: int, corpus: Path) -> None:
    """Run; libFuzzer ends the process by itself, with an error if something was found."""
    corpus.mkdir(parents=True, exist_ok=True)
    for number in range(3):
        whole = encode(beacon(number, echo="1" * 16), bytes(32))
        (corpus / f"seed{number}").write_bytes(whole if name == "raw" else b"\0" + whole[72:])
    began, target, count = time.monotonic(), TARGETS[name], 0

    def one(data: bytes) -> None:
        nonlocal count
        target(data)
        count += 1
        if count % (runs // 5) == 0:
            print(f"{name}: {count} inputs in {time.monotonic() - began:.0f} s, "
                  f"RSS {_memory()} KiB", flush=True)  # fmt: skip

    words = [sys.argv[0], f"-atheris_runs={runs}", "-max_len=1100", "-rss_limit_mb=1024"]
    atheris.Setup([*words, "-verbosity=0", str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
