"""The runtime's pinned dependencies, fetched by pip and kept in the cache.

They lie in the image beside the runtime, so that it works whatever python3-* packages the base
has; as plain Python, so that it works with any Python from 3.11 on.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import overlay_runtime
from builder import process
from builder.cache import Cache, Entry, file_digest
from builder.errors import ToolFailedError, UnavailableError

LOCK = Path(overlay_runtime.__file__).with_name("requirements.lock")
_RECIPE = 1


def vendored_dependencies(cache: Cache, log: Path) -> Entry:
    """A directory with the packages of `overlay_runtime/requirements.lock`, hashes checked.

    Raises UnavailableError if they aren't in the cache and can't be fetched.
    """

    def make(directory: Path) -> None:
        words: list[str | Path] = [sys.executable, "-m", "pip", "install", "--quiet"]
        words += ["--disable-pip-version-check", "--no-input", "--no-deps", "--no-compile"]
        words += ["--require-hashes", "--only-binary=:all:", "--implementation=cp"]
        words += ["--python-version=3.13", "--platform=manylinux2014_x86_64"]
        words += ["--target", directory / "vendor", "--requirement", LOCK]
        try:
            process.run(words, log)
        except ToolFailedError as error:
            raise UnavailableError(
                "the runtime's Python dependencies could not be fetched",
                "check the network and pip's settings (PIP_INDEX_URL, proxy), then build again",
                tail=error.tail,
                log=error.log,
            ) from error
        _keep_pure_python(directory / "vendor")

    return cache.get("vendor", {"recipe": _RECIPE, "lock": file_digest(LOCK)}, make)


def _keep_pure_python(vendor: Path) -> None:
    """Drop compiled modules (PyYAML has an equal in Python) and scripts."""
    for compiled in vendor.rglob("*.so"):
        compiled.unlink()
    shutil.rmtree(vendor / "bin", ignore_errors=True)
