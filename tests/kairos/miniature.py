"""A miniature base of our own: Debian dressed as a Kairos image, made once and cached.

It has what the builder looks at (kernel, an initrd with dmsquash-live and a file named immucore,
kairos-release, shim and GRUB, systemd, Python) and nothing of Kairos.
"""

from __future__ import annotations

import os
from pathlib import Path

from builder import process
from builder.base.debian import KEYRING
from builder.cache import Cache, file_digest

HERE = Path(__file__).parent / "base"
_MIRROR = "http://deb.debian.org/debian"
_EXCLUDED = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*", "/usr/share/info/*")


def miniature_base() -> Path:
    """The base as an uncompressed tar of its root file system (two minutes, the first time)."""
    root = os.environ.get("EDGE_BUILD_CACHE_DIR") or Path.home() / ".cache" / "edge-build"
    inputs = {path.name: file_digest(path) for path in (*sorted(HERE.iterdir()), Path(__file__))}

    def make(directory: Path) -> None:
        lines = (HERE / "packages.txt").read_text().splitlines()
        packages = ",".join(line for line in lines if line and not line.startswith("#"))
        words: list[str | Path] = ["mmdebstrap", "--mode=root", "--variant=minbase", "--format=tar"]
        words += ["--architectures=amd64", f"--include={packages}", f"--keyring={KEYRING}"]
        words += ['--aptopt=Apt::Install-Recommends "false"']
        words += [f"--dpkgopt=path-exclude={pattern}" for pattern in _EXCLUDED]
        words += [f"--essential-hook={HERE / 'essential.sh'}"]
        words += [f"--customize-hook={HERE / 'customize.sh'}"]
        words += ["trixie", directory / "rootfs.tar", f"deb {_MIRROR} trixie main"]
        log = directory.parent / "mmdebstrap.log"
        process.run(words, log, env={"SOURCE_DATE_EPOCH": "1760000000"}, apart=True)

    return Cache(Path(root)).get("kairosmini", inputs, make, keep=1).path / "rootfs.tar"


if __name__ == "__main__":
    print(miniature_base())
