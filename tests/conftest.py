"""Fixtures of the tiers that test images: everything is built once a run, from one cached base.

The cache is the tool's own (`EDGE_BUILD_CACHE_DIR` or ~/.cache/edge-build), so the base that
`make image` made is used, and the other way round.
"""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.site import Site, build_images, make_site

# A shell has what it starts in the background ignore SIGINT, and so would all that the tests start:
# those of Ctrl-C need it as it is on a terminal.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """User-data, SSH key and secret that all guests and containers of this run share."""
    return make_site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="session")
def iso_image(site: Site) -> Iterator[Path]:
    """The ISO, built now; gone after the run, it is big."""
    with tempfile.TemporaryDirectory(prefix="edge-test-iso-") as directory:
        [made] = build_images(site, Path(directory), "--format", "iso")
        yield Path(made["where"])
