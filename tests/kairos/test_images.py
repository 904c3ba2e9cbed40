"""The OCI image and the ISO of a Kairos base, from every source, as they lie on disk."""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import re
import shutil
import stat
import subprocess
import tarfile
from pathlib import Path, PurePath
from typing import Any

import docker
import pytest

from builder.cache import default_cache_dir
from builder.kairos.layer import debian_only
from builder.output.structure import read_extents, read_file, read_structure
from builder.templates import TEMPLATES
from tests.kairos import images
from tests.kairos.conftest import NOBODY, Built, Miniature, as_nobody, build, remove

pytestmark = [pytest.mark.kairos, pytest.mark.timeout(600)]

_ISO_FILES = {
    "rootfs.squashfs",
    "config.yaml",
    "boot/kernel",
    "boot/initrd",
    "boot/uefi.img",
    "boot/eltorito.img",
    "boot/boot_hybrid.img",
    "boot/grub2/grub.cfg",
    "boot/grub/grub.cfg",
    "EFI/BOOT/grub.cfg",
}
_CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")
"""cap_net_raw=ep: bytes that are no text (capability.h, VFS_CAP_REVISION_2)."""
_ENTRIES = [
    "Kairos",
    "Kairos (manual)",
    "kairos (interactive install)",
    "Kairos (remote recovery mode)",
    "Kairos (boot local node from livecd)",
    "Kairos (debug)",
    "Boot Kairos to RAM now",
]


def manifest_of(archive: Path) -> dict[str, Any]:
    """The manifest of an OCI archive with its configuration under `image`."""
    with tarfile.open(archive) as tar:

        def blob(digest: str) -> Any:
            stream = tar.extractfile(f"blobs/{digest.replace(':', '/')}")
            assert stream
            return json.load(stream)

        stream = tar.extractfile("index.json")
        assert stream
        manifest: dict[str, Any] = blob(json.load(stream)["manifests"][0]["digest"])
        return {**manifest, "image": blob(manifest["config"]["digest"])}


def edge_layer(archive: Path) -> dict[str, tarfile.TarInfo]:
    """The members of an archive's top layer."""
    digest = manifest_of(archive)["layers"][-1]["digest"]
    with tarfile.open(archive) as tar:
        stream = tar.extractfile(f"blobs/{digest.replace(':', '/')}")
        with tarfile.open(fileobj=stream, mode="r:gz") as layer:
            return {member.name: member for member in layer}


def read_from_root(iso: Path, path: str) -> bytes:
    """A file of the file system in an ISO."""
    offset = read_extents(iso)["rootfs.squashfs"][0].offset
    words = ["unsquashfs", "-o", str(offset), "-cat", str(iso), path]
    return subprocess.run(words, check=True, capture_output=True, timeout=60).stdout


def sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def test_the_derived_image_is_the_base_and_one_layer(built: Built, miniature: Miniature) -> None:
    made, base = manifest_of(built.oci), manifest_of(miniature.archive)
    assert made["layers"][:-1] == base["layers"]
    assert made["image"]["config"] == base["image"]["config"]
    assert len(made["image"]["rootfs"]["diff_ids"]) == len(made["layers"]) == 2
    checked = subprocess.run(
        ["sha256sum", "--check", f"{built.oci.name}.sha256"], cwd=built.oci.parent, timeout=60
    )
    assert checked.returncode == 0


def test_the_layer_has_files_only_where_kairos_keeps_them(built: Built) -> None:
    members = edge_layer(built.oci)
    allowed = ("usr/bin/", "usr/lib/", "usr/share/", "system/oem/")
    for name, member in members.items():
        assert name.startswith(allowed), name
        assert not name.startswith("usr/local"), name
        assert (member.uid, member.gid) == (0, 0), name
        assert member.issym() or member.mode in (0o755, 0o644, 0o600), (name, oct(member.mode))
    for pattern in debian_only():
        assert list((TEMPLATES / "edge").glob(pattern)), f"{pattern} names nothing"
        assert not [name for name in members if PurePath(name).match(pattern)], pattern
    wanted = "usr/lib/systemd/system/multi-user.target.wants/edge-overlay.service"
    assert members[wanted].issym()
    target = posixpath.normpath(posixpath.join(posixpath.dirname(wanted), members[wanted].linkname))
    assert target in members
    assert members["usr/lib/edge-overlay/user-data"].mode == 0o600
    assert "usr/lib/systemd/network/05-edge-overlay.network" in members


def test_the_layer_leaves_the_bases_directories_as_they_are(
    built: Built, miniature: Miniature
) -> None:
    with tarfile.open(miniature.tar) as tar:
        base = {posixpath.normpath(member.name) for member in tar if member.isdir()}
    ours = {name for name, member in edge_layer(built.oci).items() if member.isdir()}
    assert not ours & base


def test_every_source_gives_the_same_layer_and_a_rebuild_the_same_bytes(
    built: Built, miniature: Miniature, place: Path, user_data: Path
) -> None:
    again = build(f"oci:{miniature.layout}", user_data, place / "again")
    assert sha256(again.oci) == sha256(built.oci)
    assert sha256(again.iso) == sha256(built.iso)
    remove(place / "again")


def test_root_is_not_needed(
    built: Built, miniature: Miniature, place: Path, user_data: Path
) -> None:
    output = place / "as-nobody"
    # the runtime's dependencies are there: pip needs a Python that this user may start
    for entry in Path(default_cache_dir()).glob("vendor-*"):
        shutil.copytree(entry, output / "cache" / entry.name)
    for path in (output, *output.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    for path in (place, user_data, miniature.archive):
        path.chmod(0o755)
    words: list[str | Path] = ["image", "--base", f"oci-archive:{miniature.archive}"]
    words += ["--user-data", user_data, "--output", output, "--cache-dir", output / "cache"]
    outcome = as_nobody(*words)
    assert outcome.status == 0, outcome.err
    assert sha256(output / "edge-installer.iso") == sha256(built.iso)
    remove(output)


def test_a_directory_gives_the_same_layer_and_the_same_root(
    built: Built, miniature: Miniature, place: Path, user_data: Path
) -> None:
    root = images.directory(miniature.tar, place / "root")
    made = build(f"dir:{root}", user_data, place / "from-dir")
    assert manifest_of(made.oci)["layers"][-1] == manifest_of(built.oci)["layers"][-1]
    assert listing(made.iso) == listing(built.iso)
    remove(root)
    remove(place / "from-dir")


def listing(iso: Path) -> list[str]:
    """Mode, owner, size and name of everything in an ISO's file system."""
    offset = read_extents(iso)["rootfs.squashfs"][0].offset
    words = ["unsquashfs", "-o", str(offset), "-lln", str(iso)]
    answer = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60)
    return sorted(answer.stdout.splitlines())


def test_the_daemon_gives_the_same_image(
    built: Built,
    miniature: Miniature,
    place: Path,
    user_data: Path,
    daemon: docker.DockerClient,
) -> None:
    base, tag = f"edge-kairos-base:{os.getpid()}", f"edge-kairos-made:{os.getpid()}"
    with miniature.archive.open("rb") as stream:
        [image] = daemon.images.load(stream)
    image.tag(base)
    try:
        words = ["--format", "oci", "--load", "--tag", tag]
        made = build(f"docker-daemon:{base}", user_data, place / "daemon", *words)
        ours, theirs = manifest_of(built.oci), manifest_of(made.oci)
        assert theirs["layers"][-1] == ours["layers"][-1], "the edge layer"
        assert theirs["config"]["digest"] == ours["config"]["digest"], "the image's ID"
        assert (
            daemon.images.get(tag).attrs["RootFS"]["Layers"] == ours["image"]["rootfs"]["diff_ids"]
        )
        said = daemon.containers.run(
            tag, ["/usr/bin/edge-overlay", "--version"], remove=True, network_mode="none"
        )
        assert b"edge-overlay" in said
        # the same name without a prefix: the daemon has it, so nothing is pulled
        build(base, user_data, place / "daemon", "--format", "oci")
    finally:
        for name in (tag, base):
            daemon.images.remove(name, force=True)
        remove(place / "daemon")


def test_the_iso_has_kairos_layout_and_boots_every_way(built: Built) -> None:
    structure = read_structure(built.iso)
    assert structure.volume == "COS_LIVE"
    assert structure.missing() == []
    files = read_extents(built.iso)
    assert set(files) == _ISO_FILES
    assert read_file(built.iso, files["config.yaml"]) == built.user_data.read_bytes()
    assert read_from_root(built.iso, "usr/lib/edge-overlay/user-data") == (
        built.user_data.read_bytes()
    )
    menu = read_file(built.iso, files["boot/grub2/grub.cfg"]).decode()
    entries = re.findall(r'^ *menuentry "([^"]*)" --class', menu, re.M)
    assert entries == _ENTRIES
    first = next(line for line in menu.splitlines() if line.lstrip().startswith("linux "))
    for word in (
        "cdroot root=live:CDLABEL=COS_LIVE rd.live.dir=/ rd.live.squashimg=rootfs.squashfs "
        "net.ifnames=1 console=ttyS0 console=tty1 rd.cos.disable install-mode selinux=0 "
        "rd.live.overlay.overlayfs"
    ).split():
        assert word in first.split(), word


def test_the_efi_partition_has_the_bases_signed_chain(built: Built, miniature: Miniature) -> None:
    files = read_extents(built.iso)
    image = built.iso.with_name("uefi.img")
    image.write_bytes(read_file(built.iso, files["boot/uefi.img"]))
    signed = {
        "bootx64.efi": "./usr/lib/shim/shimx64.efi.signed",
        "grubx64.efi": "./usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed",
    }
    with tarfile.open(miniature.tar) as tar:
        for name, path in signed.items():
            words = ["mtype", "-i", str(image), f"::/EFI/BOOT/{name}"]
            found = subprocess.run(words, check=True, capture_output=True, timeout=30).stdout
            stream = tar.extractfile(path)
            assert stream and found == stream.read(), name
    label = subprocess.run(
        ["mlabel", "-s", "-i", str(image), "::"], check=True, capture_output=True, timeout=30
    )
    assert b"EFI_LIVE" in label.stdout
    place = read_structure(built.iso).efi_partition()
    assert place
    assert read_file(built.iso, [place]) == image.read_bytes(), "partition and file are the same"
    image.unlink()


def test_upper_layers_win_and_whiteouts_hide(
    miniature: Miniature, place: Path, user_data: Path
) -> None:
    """Owners, device nodes, attributes and hard links, through two layers, made without root's
    help: the merge is pure reading."""
    lower, upper = place / "lower", place / "upper"
    _lower_layer(lower)
    _upper_layer(upper)
    tars = [images.small_tar(place / f"{d.name}.tar", d) for d in (lower, upper)]
    with tarfile.open(tars[0], "a") as archive:
        node = tarfile.TarInfo("srv/null")
        node.type, node.devmajor, node.devminor, node.mode = tarfile.CHRTYPE, 1, 3, 0o666
        node.uid = node.gid = 1234
        archive.addfile(node)
    with tarfile.open(tars[1], "a", format=tarfile.PAX_FORMAT) as archive:
        able = tarfile.TarInfo("srv/able")
        value = _CAPABILITY.decode("utf-8", "surrogateescape")
        able.pax_headers = {"SCHILY.xattr.security.capability": value}
        archive.addfile(able)
    base = images.layout(place / "stacked", miniature.tar, *tars)
    made = build(f"oci:{base}", user_data, place / "merged", "--format", "iso")
    root = place / "unpacked"
    offset = read_extents(made.iso)["rootfs.squashfs"][0].offset
    words = ["unsquashfs", "-q", "-n", "-d", str(root), "-o", str(offset), str(made.iso), "srv"]
    subprocess.run(words, check=True, capture_output=True, timeout=60)
    names = {str(path.relative_to(root / "srv")) for path in (root / "srv").rglob("*")}
    assert names == {
        "null",
        "able",
        "kept",
        "replaced",
        "linked",
        "opaque",
        "opaque/new",
        "folder-now-file",
    }
    assert (root / "srv/replaced").read_text() == "upper"
    assert (root / "srv/linked").read_text() == "lower", "a hard link keeps what it was linked to"
    assert (root / "srv/folder-now-file").is_file()
    assert os.getxattr(root / "srv/able", "security.capability") == _CAPABILITY
    state = (root / "srv/null").stat()
    assert stat.S_ISCHR(state.st_mode) and os.major(state.st_rdev) == 1
    assert (state.st_uid, state.st_gid) == (1234, 1234)
    for path in (root, made.iso.parent, base):
        remove(path)


def _lower_layer(path: Path) -> None:
    (path / "srv/opaque/deep").mkdir(parents=True)
    (path / "srv/hidden/deep").mkdir(parents=True)
    (path / "srv/folder-now-file").mkdir()
    (path / "srv/folder-now-file/inside").write_text("lower")
    for name in ("gone", "kept", "replaced", "opaque/old", "opaque/deep/old", "hidden/deep/old"):
        (path / "srv" / name).write_text("lower")
    (path / "srv/linked").hardlink_to(path / "srv/replaced")


def _upper_layer(path: Path) -> None:
    (path / "srv/opaque").mkdir(parents=True)
    (path / "srv/opaque/.wh..wh..opq").touch()
    (path / "srv/opaque/new").write_text("upper")
    (path / "srv/.wh.gone").touch()
    (path / "srv/.wh.hidden").touch()
    (path / "srv/replaced").write_text("upper")
    (path / "srv/folder-now-file").write_text("upper")


def test_hard_links_and_attributes_outlive_the_merge(
    built: Built, miniature: Miniature, place: Path
) -> None:
    with tarfile.open(miniature.tar) as tar:
        members = list(tar)
    linked = [m for m in members if m.islnk()]
    assert linked, "the base has hard links"
    root = place / "links"
    offset = read_extents(built.iso)["rootfs.squashfs"][0].offset
    link, target = (posixpath.normpath(linked[0].name), posixpath.normpath(linked[0].linkname))
    words = ["unsquashfs", "-q", "-n", "-d", str(root), "-o", str(offset), str(built.iso)]
    subprocess.run([*words, link, target], check=True, capture_output=True, timeout=60)
    assert (root / link).samefile(root / target)
    remove(root)


def test_a_real_kairos_image(real_base: str, place: Path, user_data: Path) -> None:
    made = build(real_base, user_data, place / "real")
    assert read_structure(made.iso).missing() == []
    assert set(read_extents(made.iso)) >= _ISO_FILES
    remove(place / "real")


@pytest.mark.parametrize("has_grub", [True, False])
def test_a_base_without_a_signed_chain(
    miniature: Miniature, place: Path, user_data: Path, has_grub: bool
) -> None:
    """It boots by UEFI without Secure Boot, and the build says so. Ubuntu's GRUB has a place of its
    own for its configuration."""
    top = place / "unsigned"
    (top / "usr/lib/grub/x86_64-efi").mkdir(parents=True)
    (top / "etc").mkdir()
    (top / "usr/lib/.wh.shim").touch()
    (top / "usr/lib/grub/.wh.x86_64-efi-signed").touch()
    (top / "etc/kairos-release").write_text("KAIROS_ARCH=amd64\nKAIROS_FLAVOR=ubuntu\n")
    if has_grub:
        (top / "usr/lib/grub/x86_64-efi/grubx64.efi").write_bytes(b"MZ its own")
    base = images.layout(
        place / "no-chain", miniature.tar, images.small_tar(place / "no-chain.tar", top)
    )
    made = build(f"oci:{base}", user_data, place / "without", "--format", "iso")
    said = "has no shim" if has_grub else "has no GRUB for UEFI"
    assert said in made.outcome.err
    files = read_extents(made.iso)
    assert set(files) == _ISO_FILES | {"EFI/ubuntu/grub.cfg"}
    image = made.iso.with_name("uefi.img")
    image.write_bytes(read_file(made.iso, files["boot/uefi.img"]))
    words = ["mtype", "-i", str(image), "::/EFI/BOOT/bootx64.efi"]
    program = subprocess.run(words, check=True, capture_output=True, timeout=30).stdout
    assert (program == b"MZ its own") if has_grub else program.startswith(b"MZ")
    for path in (top, base, made.iso.parent):
        remove(path)
