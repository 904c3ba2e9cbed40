"""Where user-data is from: the volume, the image, and what cloud-init gets."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from overlay_runtime.config import sources
from overlay_runtime.config.load import load
from overlay_runtime.config.sources import gather
from overlay_runtime.config.volumes import CIDATA
from overlay_runtime.errors import ConfigError
from overlay_runtime.files import write_atomic
from overlay_runtime.paths import EMBEDDED, LOCAL, Paths, find_paths

BLOCK = "#cloud-config\noverlay:\n  secret: sixteen characters\n  vni: {vni}\n"


class _Root:
    """A host's root directory with what this test puts there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.paths: Paths = find_paths(str(path))

    def embedded(self, text: str) -> None:
        path = self.path / EMBEDDED
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def volume(self, label: str = "cidata", **files: str | bytes) -> None:
        directory = self.path / "dev/disk/by-label" / label
        directory.mkdir(parents=True)
        for name, text in files.items():
            data = text if isinstance(text, bytes) else text.encode()
            (directory / name.replace("_", "-")).write_bytes(data)

    def gather(self) -> None:
        gather(str(self.path), self.paths, "me")

    def seed(self, name: str) -> str:
        return (self.path / "var/lib/cloud/seed/nocloud" / name).read_text()

    def vni(self) -> int:
        config = load(self.paths).config
        assert config is not None
        return config.vni


@pytest.fixture
def root(tmp_path: Path) -> _Root:
    return _Root(tmp_path)


def test_the_volume_goes_before_the_image(root: _Root) -> None:
    root.embedded(BLOCK.format(vni=1))
    root.volume(user_data=BLOCK.format(vni=2), meta_data="instance-id: shop-7\n")
    root.gather()
    assert root.vni() == 2
    assert load(root.paths).origin == CIDATA
    assert root.seed("meta-data") == "instance-id: shop-7\n"
    assert stat.S_IMODE(root.paths.user_data.stat().st_mode) == 0o600


def test_the_image_alone(root: _Root) -> None:
    root.embedded(BLOCK.format(vni=1))
    root.gather()
    assert root.vni() == 1
    assert load(root.paths).origin == str(root.paths.embedded)
    meta = json.loads(root.seed("meta-data"))
    assert meta["local-hostname"].startswith("edge-")
    first = meta["instance-id"]
    root.gather()
    assert json.loads(root.seed("meta-data"))["instance-id"] == first
    root.paths.embedded.write_text(BLOCK.format(vni=3))
    root.gather()
    assert json.loads(root.seed("meta-data"))["instance-id"] != first


def test_a_volume_without_the_block_leaves_it_to_the_image(root: _Root) -> None:
    root.embedded(BLOCK.format(vni=1))
    root.volume(user_data="#cloud-config\nhostname: shop-7\n")
    root.gather()
    assert root.vni() == 1
    assert "has no `overlay:` block" in load(root.paths).sources["notes"][0]
    assert "shop-7" in root.seed("user-data")  # the other keys are the volume's


def test_a_wrong_volume_is_told_and_the_image_counts(root: _Root) -> None:
    root.embedded(BLOCK.format(vni=1))
    root.volume("CIDATA", user_data=BLOCK.format(vni="many"))
    root.gather()
    assert root.vni() == 1
    [problem] = load(root.paths).problems
    assert f"{CIDATA}:4:8" in problem


def test_a_wrong_volume_alone_is_an_error_with_its_place(root: _Root) -> None:
    root.volume(user_data=b"#cloud-config\nname: \xff\n")
    root.gather()
    with pytest.raises(ConfigError, match=f"{CIDATA}:2:7: bytes that are not UTF-8"):
        load(root.paths)


def test_nothing_at_all(root: _Root) -> None:
    root.gather()
    loaded = load(root.paths)
    assert loaded.config is None
    assert "there is no user-data" in loaded.sources["notes"][0]


def test_a_volume_that_can_not_be_read_is_told_though_nothing_is_embedded(root: _Root) -> None:
    root.volume(user_data=BLOCK.format(vni=2))
    device = root.path / "dev/disk/by-label/cidata"
    (device / "user-data").unlink()
    device.rmdir()
    device.touch()  # nothing that could be mounted
    root.gather()
    loaded = load(root.paths)
    assert loaded.config is None
    [problem] = loaded.problems
    assert "can't be read" in problem
    assert loaded.sources["problems"] == [problem]


def test_an_image_file_that_can_not_be_read_is_told(root: _Root) -> None:
    root.paths.embedded.mkdir(parents=True)
    root.volume(user_data=BLOCK.format(vni=2))
    root.gather()
    assert root.vni() == 2
    assert "can't be read: Is a directory" in load(root.paths).problems[0]


def test_what_is_no_yaml_goes_to_nobody(root: _Root) -> None:
    root.embedded(BLOCK.format(vni=1))
    root.volume(user_data="#cloud-config\na: [\n", meta_data="instance-id: shop-7\n")
    root.gather()
    assert root.vni() == 1
    assert root.seed("user-data") == BLOCK.format(vni=1)
    assert "shop-7" not in root.seed("meta-data")
    assert "cloud-init gets" in load(root.paths).sources["notes"][0]


@pytest.mark.parametrize("text", ["#cloud-config\noverlay: {vni: x}\n", "#!/bin/sh\nexit\n"])
def test_a_wrong_block_does_not_keep_the_file_from_cloud_init(root: _Root, text: str) -> None:
    root.embedded(BLOCK.format(vni=1))
    root.volume(user_data=text)
    root.gather()
    assert root.vni() == 1
    assert root.seed("user-data") == text


def test_the_image_is_in_place_before_any_disc_is_looked_at(
    root: _Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    root.embedded(BLOCK.format(vni=1))

    def look(_: Path) -> None:
        assert root.vni() == 1
        assert root.seed("user-data") == BLOCK.format(vni=1)
        assert "did not come to its end" in load(root.paths).problems[0]

    monkeypatch.setattr(sources, "find_volume", look)
    root.gather()
    assert load(root.paths).problems == ()


def test_a_fault_of_our_own_costs_neither_network_nor_secret(
    root: _Root, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    root.embedded(BLOCK.format(vni=1))
    root.volume(user_data=BLOCK.format(vni=2))

    def fail(text: str, _: str) -> None:
        raise KeyError(text)

    with monkeypatch.context() as patch:
        patch.setattr(sources, "parse_user_data", fail)
        root.gather()
    assert root.vni() == 1
    assert "KeyError at test_sources.py" in load(root.paths).problems[0]
    assert "sixteen" not in caplog.text + root.paths.sources.read_text()


def test_without_a_seed_there_is_still_a_network(
    root: _Root, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    root.volume(user_data=BLOCK.format(vni=2))

    def fail(*_: object) -> None:
        raise KeyError(BLOCK)

    monkeypatch.setattr(sources, "_seed", fail)
    root.gather()
    assert root.vni() == 2
    assert "KeyError at" in caplog.text and "sixteen" not in caplog.text


@pytest.mark.parametrize("text", ["7", "{", '{"notes": 1, "problems": "odd"}'])
def test_an_odd_note_of_sources_stops_nothing(root: _Root, text: str) -> None:
    root.embedded(BLOCK.format(vni=1))
    root.paths.run_dir.mkdir(parents=True)
    root.paths.sources.write_text(text)
    assert root.vni() == 1
    assert load(root.paths).problems == ()


def test_a_volume_that_is_gone_leaves_nothing_behind(root: _Root) -> None:
    root.embedded(BLOCK.format(vni=1))
    root.volume(user_data=BLOCK.format(vni=2), network_config="version: 2\n")
    root.gather()
    (root.path / "dev/disk/by-label/cidata").rename(root.path / "gone")
    root.gather()
    assert root.vni() == 1
    assert not (root.path / "var/lib/cloud/seed/nocloud/network-config").exists()


def test_the_volumes_files_are_kept_for_stages_and_network(root: _Root) -> None:
    root.embedded(BLOCK.format(vni=1))
    root.volume(user_data="#cloud-config\nstages: {}\n", network_config="version: 2\n")
    root.gather()
    kept = {path.name: path.read_text() for path in root.paths.volume.iterdir()}
    assert kept == {"user-data": "#cloud-config\nstages: {}\n", "network-config": "version: 2\n"}
    modes = {stat.S_IMODE(path.stat().st_mode) for path in root.paths.volume.iterdir()}
    assert modes == {0o600}
    for path in sorted((root.path / "dev/disk/by-label").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    root.gather()
    assert not root.paths.volume.exists(), "the volume is gone"


def test_a_host_of_its_own(root: _Root) -> None:
    """The operator's file goes before the embedded one, and cloud-init is left alone."""
    root.embedded(BLOCK.format(vni=1))
    own = root.path / LOCAL
    own.parent.mkdir(parents=True)
    own.write_text(BLOCK.format(vni=2))
    (root.path / "usr/lib/edge-overlay/agent.json").write_text("{}")
    root.paths = find_paths(str(root.path))
    root.gather()
    assert root.vni() == 2
    assert load(root.paths).origin == str(own)
    assert not (root.path / "var/lib/cloud").exists()


def test_a_full_run_leaves_the_mark_and_cloud_inits_seed(
    root: _Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty file has room where nothing else has; the seed lies on another file system."""
    root.embedded(BLOCK.format(vni=1) + "stylus: {site: {network: {}}}\n")
    write = write_atomic

    def full(path: Path, data: bytes, mode: int, *, sync: bool = True) -> None:
        if path.is_relative_to(root.paths.run_dir):
            raise OSError(28, "No space left on device")
        write(path, data, mode, sync=sync)

    monkeypatch.setattr(sources, "write_atomic", full)
    root.gather()
    assert root.paths.network_mark.exists()
    assert "stylus" in root.seed("user-data")
    assert root.vni() == 1
