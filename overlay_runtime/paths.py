"""Where things lie on the host. The environment can move them: several agents on one machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

EMBEDDED = Path("usr/lib/edge-overlay/user-data")
"""Below the root: the user-data that was baked into the image."""


LOCAL = Path("etc/edge-overlay/user-data")
"""Below the root: the operator's own file, on a host that already ran before the agent came. It
takes the place of the embedded one."""


@dataclass(frozen=True)
class Paths:
    """The directories and files of one agent."""

    run_dir: Path
    """Status, and the user-data that `gather` chose. Emptied at every boot."""
    state_dir: Path
    """The stored address. Outlives everything."""
    embedded: Path
    """User-data of the image, or the operator's own file; in tests the file to read."""
    library: Path
    """Where files of the image lie beside the runtime."""
    root: Path
    """The host's root: below it lies the configuration of others, such as Kubernetes'."""

    @property
    def firewall(self) -> Path:
        """The rules for nft(8)."""
        return self.library / "firewall.nft"

    @property
    def user_data(self) -> Path:
        """The copy of the user-data that the agent reads (0600: it holds the secret)."""
        return self.run_dir / "user-data"

    @property
    def sources(self) -> Path:
        """Says where `user_data` was copied from, and what was found elsewhere."""
        return self.run_dir / "sources.json"

    @property
    def volume(self) -> Path:
        """Copies of the files of the `cidata` volume (0600), by their names; not there without one.

        `user_data` is the file whose `overlay:` block counts; here is what stood on the volume,
        for those who act on other keys."""
        return self.run_dir / "volume"

    @property
    def stages(self) -> Path:
        """Holds an empty file for each stage that has steps, by its name: units look there."""
        return self.run_dir / "stages"

    @property
    def network_mark(self) -> Path:
        """There if somebody may describe the network: a unit's condition."""
        return self.run_dir / "network-described"

    @property
    def notices(self) -> Path:
        """What programs that run once have to tell (`notices.py`)."""
        return self.run_dir / "notices"

    @property
    def trigger(self) -> Path:
        """Changes when the overlay's address or its state does: a unit's path to watch."""
        return self.run_dir / "kubernetes" / "overlay.json"

    @property
    def metrics(self) -> Path:
        """The metrics (0644) in Prometheus' text format."""
        return self.run_dir / "metrics.prom"

    @property
    def status(self) -> Path:
        """The status file (0644), written by the agent and read by everybody."""
        return self.run_dir / "status.json"


def find_paths(root: str = "/", run_dir: str | None = None, state_dir: str | None = None) -> Paths:
    """Return the paths: as given, else as in the environment, else the usual ones below `root`."""
    base = Path(root)
    env = os.environ.get
    return Paths(
        run_dir=Path(run_dir or env("EDGE_OVERLAY_RUN_DIR") or base / "run/edge-overlay"),
        state_dir=Path(state_dir or env("EDGE_OVERLAY_STATE_DIR") or base / "var/lib/edge-overlay"),
        embedded=Path(env("EDGE_OVERLAY_USER_DATA") or _own_or_embedded(base)),
        library=Path(env("EDGE_OVERLAY_LIBRARY") or base / EMBEDDED.parent),
        root=Path(env("EDGE_OVERLAY_ROOT") or base),
    )


def _own_or_embedded(base: Path) -> Path:
    return next((base / one for one in (LOCAL, EMBEDDED) if os.path.exists(base / one)),  # noqa: PTH110 # who may not look is no error
                base / EMBEDDED)  # fmt: skip
