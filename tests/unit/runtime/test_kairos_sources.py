"""Where the overlay block is taken from on a Kairos host: what its own agent left in /oem."""

from __future__ import annotations

from pathlib import Path

import pytest

from overlay_runtime.cli import main
from overlay_runtime.config.load import load
from overlay_runtime.config.sources import gather
from overlay_runtime.errors import ConfigError
from overlay_runtime.notices import problems
from overlay_runtime.notices import told as notices
from overlay_runtime.paths import EMBEDDED, Paths, find_paths

BLOCK = "#cloud-config\noverlay:\n  secret: sixteen characters\n  vni: {vni}\n"


class _Host:
    """A Kairos host's root directory with the files of this test."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.paths: Paths = find_paths(str(path))
        self.write("etc/kairos-release", "KAIROS_FLAVOR=debian\n")

    def write(self, name: str, text: str | bytes) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())

    def gather(self) -> tuple[int | None, str]:
        """The VNI that counts, and the file that it is from."""
        gather(str(self.path), self.paths, "me")
        loaded = load(self.paths)
        return (loaded.config.vni if loaded.config else None), loaded.origin


@pytest.fixture
def host(tmp_path: Path) -> _Host:
    return _Host(tmp_path)


def test_the_last_file_of_oem_goes_before_the_live_iso_and_the_image(host: _Host) -> None:
    host.write(str(EMBEDDED), BLOCK.format(vni=1))
    assert host.gather() == (1, str(host.paths.embedded))
    host.write("run/initramfs/live/config.yaml", BLOCK.format(vni=2))
    assert host.gather() == (2, "/run/initramfs/live/config.yaml")
    host.write("oem/90_custom.yaml", BLOCK.format(vni=3))
    assert host.gather() == (3, "/oem/90_custom.yaml")
    host.write("oem/95_userdata/userdata.yaml", BLOCK.format(vni=4))
    assert host.gather() == (4, "/oem/95_userdata/userdata.yaml")


def test_files_without_the_block_and_of_other_kinds_do_not_count(host: _Host) -> None:
    host.write(str(EMBEDDED), BLOCK.format(vni=1))
    host.write("oem/80_ours.yml", BLOCK.format(vni=2))
    host.write("oem/91_stages.yaml", "name: other\nstages: {boot: []}\n")
    host.write("oem/92_binary.yaml", b"\xff\xfe")
    host.write("oem/93_broken.yaml", "a: [\n")
    host.write("oem/grubenv", BLOCK.format(vni=9))
    host.write("run/initramfs/live/rootfs/deep.yaml", BLOCK.format(vni=9))
    assert host.gather() == (2, "/oem/80_ours.yml")
    assert load(host.paths).problems == ()


def test_a_wrong_block_is_told_by_its_file_and_the_image_counts(host: _Host) -> None:
    host.write(str(EMBEDDED), BLOCK.format(vni=1))
    host.write("oem/90_custom.yaml", BLOCK.format(vni="many"))
    assert host.gather() == (1, str(host.paths.embedded))
    [problem] = load(host.paths).problems
    assert "/oem/90_custom.yaml:4:8" in problem


def test_a_wrong_block_alone_is_an_error_with_its_place(host: _Host) -> None:
    host.write("oem/90_custom.yaml", BLOCK.format(vni="many"))
    with pytest.raises(ConfigError, match=r"/oem/90_custom\.yaml:4:8"):
        host.gather()


def test_no_seed_for_cloud_init_and_no_look_at_volumes(host: _Host) -> None:
    host.write(str(EMBEDDED), BLOCK.format(vni=1))
    host.write("dev/disk/by-label/cidata/user-data", BLOCK.format(vni=2))
    assert host.gather() == (1, str(host.paths.embedded))
    assert not (host.path / "var/lib/cloud").exists()


def test_stages_and_network_are_kairos_business(host: _Host) -> None:
    host.write("oem/90_custom.yaml", BLOCK.format(vni=1))
    assert host.gather() == (1, "/oem/90_custom.yaml")
    assert not host.paths.volume.exists()


_NETWORK = "stylus:\n  site:\n    network: {interfaces: {eth0: {type: dhcp}}}\n"


def test_a_network_block_that_nobody_acts_on_is_told(host: _Host) -> None:
    host.write("oem/90_custom.yaml", BLOCK.format(vni=3) + _NETWORK)
    assert host.gather() == (3, "/oem/90_custom.yaml")
    [told] = problems(notices(host.paths.notices))
    assert told.startswith("/oem/90_custom.yaml:7:14: `stylus.site.network` is not acted on")
    assert load(host.paths).problems == (), "no reason for the overlay not to start"
    host.write("oem/90_custom.yaml", BLOCK.format(vni=3))
    host.gather()
    assert problems(notices(host.paths.notices)) == []


def test_palettes_agent_acts_on_its_network_block(host: _Host) -> None:
    host.write("oem/90_custom.yaml", BLOCK.format(vni=3) + _NETWORK)
    (host.path / "opt/spectrocloud").mkdir(parents=True)
    host.gather()
    assert problems(notices(host.paths.notices)) == []


def test_stages_and_cloud_inits_keys_are_left_to_kairos(
    host: _Host, caplog: pytest.LogCaptureFixture
) -> None:
    """On a real host the attempt failed at every boot: /var/lib/cloud is read-only for the unit."""
    host.write("oem/90_custom.yaml", BLOCK.format(vni=3) + "users: [{name: edge}]\n")
    host.write("oem/91_broken.yaml", "a: [\n")
    words = ["gather", "--root", str(host.path)]
    assert main(words) == 0
    assert not caplog.records
    assert not (host.path / "var/lib/cloud").exists()
    assert not host.paths.stages.exists()
    assert "stages" not in [notice.subject for notice in notices(host.paths.notices)]
    assert load(host.paths).origin == "/oem/90_custom.yaml"
