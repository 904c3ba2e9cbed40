"""Fixtures: the Debian base, the real yip, memory for the cases, a web server."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.site import build_images
from tests.yip.chroot import mount, unmount
from tests.yip.toolchain import go_build

_HERE = Path(__file__).parent
_PAGES = {"/hello": b"hello\n", "/named": b"named\n", "/slow": b"slow\n",
          "/keys": b"ssh-ed25519 K1\nssh-ed25519 K2\n"}  # fmt: skip


@pytest.fixture(scope="session")
def yip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real yip, run over directories."""
    return go_build(_HERE / "run", tmp_path_factory.mktemp("yip") / "yip-run")


@pytest.fixture(scope="session")
def memory() -> Iterator[Path]:
    """A tmpfs: overlayfs can have its upper directory there."""
    with tempfile.TemporaryDirectory(prefix="edge-test-yip-") as directory:
        place = Path(directory)
        mount("-t", "tmpfs", "-o", "size=512m", "tmpfs", place)
        try:
            yield place
        finally:
            unmount(place)


@pytest.fixture(scope="session")
def base(memory: Path) -> Iterator[Path]:
    """The Debian base of the images, from the cache, mounted read-only."""
    layers = _layers()
    if not layers:
        with tempfile.TemporaryDirectory(prefix="edge-test-yip-") as output:
            build_images(None, Path(output), "--format", "iso")
        layers = _layers()
    place = memory / "base"
    place.mkdir()
    mount("-t", "squashfs", "-o", "loop,ro", layers[-1], place)
    try:
        yield place
    finally:
        unmount(place)


def _layers() -> list[Path]:
    cache = Path(os.environ.get("EDGE_BUILD_CACHE_DIR") or Path.home() / ".cache/edge-build")
    found = cache.glob("base-*/10-base.squashfs")
    return sorted(found, key=lambda path: path.stat().st_mtime)


class _Pages(BaseHTTPRequestHandler):
    def _answer(self, *, body: bool) -> None:
        data = _PAGES.get(self.path)
        if self.path == "/slow":
            time.sleep(3)
        self.send_response(200 if data is not None else 404)
        if self.path == "/named":
            self.send_header("Content-Disposition", 'attachment; filename="other.txt"')
        self.send_header("Content-Length", str(len(data or b"")))
        self.end_headers()
        if body:
            with suppress(OSError):  # who did not wait for /slow
                self.wfile.write(data or b"")

    def do_GET(self) -> None:
        """Answer."""
        self._answer(body=True)

    def do_HEAD(self) -> None:
        """Answer."""
        self._answer(body=False)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def web() -> Iterator[int]:
    """A web server's port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Pages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()
