"""The real builder with its real tools: what it makes, and what it makes again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.image.conftest import REPOSITORY, USER_DATA, edge_build

pytestmark = pytest.mark.image


def sh(*words: str | Path) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def extracted(iso: Path, inside: str, directory: Path) -> Path:
    target = directory / Path(inside).name
    sh("xorriso", "-osirrox", "on", "-indev", iso, "-extract", inside, target)
    return target


def test_iso_has_every_boot_path(output: Path) -> None:
    iso = output / "edge-installer.iso"
    words: list[str | Path] = ["xorriso", "-indev", iso, "-report_el_torito", "plain"]
    report = sh(*words, "-report_system_area", "plain")
    assert "BIOS  y   none" in report
    assert "UEFI  y   none" in report
    assert "grub2-mbr" in report
    raw = iso.read_bytes()[:520]
    assert raw[510:512] == b"\x55\xaa"
    assert 0x80 in raw[446:510:16], "no active partition: some BIOSes won't boot it from USB"
    assert raw[512:520] == b"EFI PART"
    listed = sh("xorriso", "-indev", iso, "-find", "/", "-type", "f")
    for name in ("live/10-base.squashfs", "live/20-edge.squashfs", "EFI/BOOT/BOOTX64.EFI"):
        assert f"'/{name}'" in listed
    digest = hashlib.sha256(iso.read_bytes()).hexdigest()
    assert (output / "edge-installer.iso.sha256").read_text() == f"{digest}  edge-installer.iso\n"


def test_edge_layer_carries_runtime_and_secret(output: Path, tmp_path: Path) -> None:
    layer = extracted(output / "edge-installer.iso", "/live/20-edge.squashfs", tmp_path)
    listing = sh("unsquashfs", "-lln", "-d", "", layer)
    modes = {line.split()[-1]: line.split()[0] for line in listing.splitlines() if "/" in line}
    assert modes["/usr/lib/edge-overlay/user-data"] == "-rw-------"
    assert modes["/usr/bin/edge-overlay"] == "-rwxr-xr-x"
    assert "/usr/lib/edge-overlay/vendor/yaml/__init__.py" in modes
    assert "/usr/lib/edge-overlay/overlay_runtime/cli/__init__.py" in modes
    assert not [name for name in modes if name.endswith((".so", ".pyc"))]
    assert {line.split()[1] for line in listing.splitlines() if "/" in line} == {"0/0"}
    text = sh("unsquashfs", "-cat", layer, "usr/lib/edge-overlay/user-data")
    assert text == USER_DATA


def test_oci_archive_is_a_layout_with_true_digests(output: Path, tmp_path: Path) -> None:
    shutil.unpack_archive(output / "edge-installer.oci.tar", tmp_path, "tar", filter="data")
    index = json.loads((tmp_path / "index.json").read_text())
    [manifest_entry] = index["manifests"]

    def blob(descriptor: dict[str, object]) -> bytes:
        name = str(descriptor["digest"]).removeprefix("sha256:")
        content = (tmp_path / "blobs" / "sha256" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == name
        assert len(content) == descriptor["size"]
        return content

    manifest = json.loads(blob(manifest_entry))
    config = json.loads(blob(manifest["config"]))
    assert len(manifest["layers"]) == len(config["rootfs"]["diff_ids"]) == 2
    for layer in manifest["layers"]:
        blob(layer)
    assert config["config"]["Cmd"] == ["/sbin/init"]


def test_other_user_data_leaves_the_base_alone(output: Path, tmp_path: Path) -> None:
    """The second build takes the base from the cache, and the same input gives the same bytes."""
    path = tmp_path / "other.yaml"
    path.write_text(USER_DATA.replace("10.77", "10.78"))
    words: list[str | Path] = ["--user-data", path, "--output", tmp_path]
    made = edge_build("image", *words)
    assert made.status == 0, made.err
    assert "done (from cache)" in made.err
    first = hashlib.sha256((tmp_path / "edge-installer.iso").read_bytes()).hexdigest()
    bases = [
        extracted(iso, "/live/10-base.squashfs", directory).read_bytes()
        for iso, directory in (
            (tmp_path / "edge-installer.iso", tmp_path),
            (output / "edge-installer.iso", output),
        )
    ]
    assert bases[0] == bases[1]
    again = edge_build("image", *words, "--json")
    [artifact] = json.loads(again.out)
    assert artifact["sha256"] == first, "a rebuild of the same input differs"


def test_flags_reach_the_image(user_data: Path, tmp_path: Path) -> None:
    words: list[str | Path] = ["--user-data", user_data, "--output", tmp_path]
    words += ["--name", "shop", "--quiet"]
    made = edge_build("image", *words, "--cidr", "10.199.0.0/24", "--hostname", "shop-17")
    assert (made.status, made.err) == (0, "")
    layer = extracted(tmp_path / "shop.iso", "/live/20-edge.squashfs", tmp_path)
    text = sh("unsquashfs", "-cat", layer, "usr/lib/edge-overlay/user-data")
    assert "cidr: 10.199.0.0/24" in text
    assert "hostname: shop-17" in text


def test_modes_do_not_come_from_the_umask(user_data: Path, tmp_path: Path) -> None:
    """networkd is not root: a repository cloned with umask 077 must not cut the host off."""
    copy = tmp_path / "repository"
    for part in ("builder", "overlay_runtime", "image-templates", "pyproject.toml"):
        source, target = REPOSITORY / part, copy / part
        copy.mkdir(exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True)
        else:
            shutil.copy(source, target)
    sh("chmod", "-R", "go-rwx", copy)
    before = ["sh", "-c", f'umask 077; cd {copy}; exec "$@"', "sh"]
    words: list[str | Path] = ["--user-data", user_data, "--output", tmp_path, "--quiet"]
    made = edge_build("image", *words, before=before, env={"PYTHONPATH": str(copy)})
    assert made.status == 0, made.err
    layer = extracted(tmp_path / "edge-installer.iso", "/live/20-edge.squashfs", tmp_path)
    for line in sh("unsquashfs", "-lln", "-d", "", layer).splitlines():
        mode, name = line.split()[0], line.split(None, 5)[-1]
        if mode.startswith(("-", "d")) and not name.endswith("/user-data"):
            assert mode[7] == "r", f"{name} can't be read by all: {mode}"


def test_a_frame_made_anew_gives_the_same_bytes(
    output: Path, user_data: Path, tmp_path: Path
) -> None:
    """Another machine's cache: only the base is the same."""
    shared = Path(os.environ.get("EDGE_BUILD_CACHE_DIR") or Path.home() / ".cache/edge-build")
    for kind in ("base-", "vendor-", "archive-"):
        for entry in shared.glob(f"{kind}*"):
            (tmp_path / entry.name).symlink_to(entry)
    time.sleep(2.1)  # ISO 9660 counts seconds, and directories of Rock Ridge too
    made = edge_build("image", "--user-data", user_data, "--output", tmp_path / "out",
                      "--cache-dir", tmp_path)  # fmt: skip
    assert made.status == 0, made.err
    assert "frame made by xorriso" in made.err and "(trixie): done (from cache)" in made.err
    digests = {(directory / "edge-installer.iso.sha256").read_text()
               for directory in (output, tmp_path / "out")}  # fmt: skip
    assert len(digests) == 1, digests
