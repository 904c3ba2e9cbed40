"""`edge-build embed`: another user-data in an ISO, and everything else as before."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from builder.output.structure import digest_of, read_extents, read_structure
from tests.image.conftest import edge_build
from tests.kairos.conftest import NOBODY, Built, as_nobody
from tests.site import REPOSITORY

pytestmark = [pytest.mark.kairos, pytest.mark.timeout(600)]

OTHER = "#cloud-config\noverlay:\n  cidr: 10.78.0.0/24\n  secret: another secret of the tests\n"


@pytest.fixture
def other(tmp_path: Path) -> Path:
    path = tmp_path / "other.yaml"
    path.write_text(OTHER)
    return path


@pytest.fixture(scope="session")
def debian_iso(place: Path, user_data: Path) -> Path:
    """An ISO of edge-build's own base."""
    output = place / "debian"
    made = edge_build("image", "--user-data", user_data, "--output", output)
    assert made.status == 0, made.err
    return output / "edge-installer.iso"


@pytest.fixture(scope="session")
def foreign_iso(built: Built, place: Path) -> Path:
    """An ISO of the same files by xorriso's own commands, as Kairos's tools gave it until 2025:
    the EFI partition in an MBR, no GPT, no user-data."""
    tree, image = place / "foreign", place / "foreign.iso"
    words = ["xorriso", "-osirrox", "on", "-indev", str(built.iso), "-extract", "/", str(tree)]
    subprocess.run(words, check=True, capture_output=True, timeout=120)
    subprocess.run(["chmod", "-R", "u+w", str(tree)], check=True, timeout=60)
    (tree / "config.yaml").unlink()
    words = ["xorriso", "-volid", "COS_LIVE", "-joliet", "on", "-padding", "0"]
    words += ["-outdev", str(image), "-map", str(tree), "/", "-chmod", "0755", "--"]
    for kind, setting in (
        ("grub", "bin_path=/boot/eltorito.img"),
        ("grub", f"grub2_mbr={tree}/boot/boot_hybrid.img"),
        ("grub", "grub2_boot_info=on"),
        ("any", "partition_offset=16"),
        ("any", "cat_path=/boot/boot.catalog"),
        ("any", "cat_hidden=on"),
        ("any", "boot_info_table=on"),
        ("any", "platform_id=0x00"),
        ("any", "emul_type=no_emulation"),
        ("any", "load_size=2048"),
        ("any", "next"),
        ("any", "platform_id=0xef"),
        ("any", "emul_type=no_emulation"),
    ):
        words += ["-boot_image", kind, setting]
    words += ["-append_partition", "2", "0xef", f"{tree}/boot/uefi.img"]
    words += ["-boot_image", "any", "efi_path=--interval:appended_partition_2:all::"]
    subprocess.run(words, check=True, capture_output=True, timeout=120)
    shutil.rmtree(tree)
    return image


def shown(iso: Path) -> str:
    outcome = edge_build("embed", "--show", iso)
    assert outcome.status == 0, outcome.err
    return outcome.out


def otherwise_equal(before: Path, after: Path, *replaced: str) -> None:
    """Same boot structure, same EFI partition, same files but for those replaced."""
    old, new = read_structure(before), read_structure(after)
    assert new.shape() == old.shape() and new.volume == old.volume
    places = old.efi_partition(), new.efi_partition()
    assert places[0] and places[1]
    assert digest_of(before, [places[0]]) == digest_of(after, [places[1]])
    was, now = read_extents(before), read_extents(after)
    assert set(now) - set(replaced) == set(was) - set(replaced)
    for name in set(was) - set(replaced):
        if "eltorito" not in name:  # holds its own place
            assert digest_of(after, now[name]) == digest_of(before, was[name]), name


def test_a_copy_of_a_kairos_iso(built: Built, other: Path, tmp_path: Path) -> None:
    copy, before = tmp_path / "copy.iso", hashlib.sha256(built.iso.read_bytes()).hexdigest()
    outcome = edge_build("embed", other, built.iso, "--output", copy)
    assert outcome.status == 0, outcome.err
    assert shown(copy) == OTHER
    assert read_structure(copy).missing() == []
    otherwise_equal(built.iso, copy, "config.yaml")
    assert hashlib.sha256(built.iso.read_bytes()).hexdigest() == before
    words = ["sha256sum", "--check", "copy.iso.sha256"]
    assert subprocess.run(words, cwd=tmp_path, timeout=60).returncode == 0
    assert {p.name for p in tmp_path.iterdir()} == {"copy.iso", "copy.iso.sha256", "other.yaml"}


def test_keys_that_kairos_alone_acts_on(built: Built, debian_iso: Path, tmp_path: Path) -> None:
    """Told of for the Debian base; for Kairos, that it would refuse to install with them."""
    text = tmp_path / "install.yaml"
    text.write_text(OTHER + "install: {auto: true}\n")
    for iso, told, not_told in (
        (built.iso, "groups: [admin]", "of use to Kairos"),
        (debian_iso, "of use to Kairos", "groups: [admin]"),
    ):
        outcome = edge_build("embed", text, iso, "--output", tmp_path / "copy.iso")
        assert outcome.status == 0, outcome.err
        assert told in outcome.err and not_told not in outcome.err


def test_in_place_again_and_again(built: Built, other: Path, user_data: Path, place: Path) -> None:
    iso = place / "in-place.iso"
    shutil.copyfile(built.iso, iso)
    sizes = set()
    for file in (other, user_data, other):
        assert edge_build("embed", file, iso).status == 0
        assert shown(iso) == file.read_text()
        sizes.add(iso.stat().st_size)
    assert len(sizes) == 1, "it doesn't grow"
    otherwise_equal(built.iso, iso, "config.yaml")
    iso.unlink()


def test_an_iso_as_older_kairos_tools_made_it(
    foreign_iso: Path, other: Path, tmp_path: Path
) -> None:
    outcome = edge_build("embed", "--show", foreign_iso)
    assert outcome.status == 65 and "has no user-data in it" in outcome.err
    copy = tmp_path / "copy.iso"
    outcome = edge_build("embed", other, foreign_iso, "--output", copy)
    assert outcome.status == 0, outcome.err
    assert shown(copy) == OTHER
    otherwise_equal(foreign_iso, copy, "config.yaml")


def test_an_iso_of_the_debian_base(
    debian_iso: Path, other: Path, user_data: Path, tmp_path: Path
) -> None:
    assert shown(debian_iso) == user_data.read_text()
    copy = tmp_path / "copy.iso"
    outcome = edge_build("embed", other, debian_iso, "--output", copy)
    assert outcome.status == 0, outcome.err
    assert shown(copy) == OTHER
    otherwise_equal(debian_iso, copy, "live/20-edge.squashfs")
    assert edge_build("embed", user_data, copy).status == 0
    assert copy.read_bytes() == debian_iso.read_bytes(), "back again: the very same bytes"


_SMALL_SLOT = (
    "from builder.output import iso_template; iso_template.SLOT_BYTES = 1; "
    "from builder.cli import main; main()"
)
"""The edge layer gets just the next power of two: nothing more is left than that leaves."""


def test_more_than_the_debian_iso_has_room_for(user_data: Path, place: Path) -> None:
    """What doesn't fit is told with the way that works; the ISO is as it was, nothing is left."""
    output = place / "narrow"
    words = ["image", "--user-data", str(user_data), "--output", str(output)]
    made = subprocess.run(
        [sys.executable, "-c", _SMALL_SLOT, *words], timeout=600, check=False, cwd=REPOSITORY
    )
    assert made.returncode == 0
    iso, big = output / "edge-installer.iso", place / "big.yaml"
    room = read_extents(iso)["live/20-edge.squashfs"][0].size
    for size, longest, told in (
        (room, 1 << 20, rf"takes \d+ bytes, and its place in {iso} has {room}\..*edge-build image"),
        (1 << 20, 2 << 20, f"{big} is longer than 1048576 bytes"),
    ):
        # Of six bits a character nothing is packed better than by a quarter.
        text = base64.b64encode(os.urandom(size)).decode()
        lines = "".join(f"# {text[at : at + 100]}\n" for at in range(0, len(text), 100))
        big.write_text((OTHER + lines)[:longest])
        before, beside = hashlib.sha256(iso.read_bytes()).digest(), _but_locks(output)
        for further in ((), ("--output", output / "copy.iso")):
            outcome = edge_build("embed", big, iso, *further)
            said = " ".join(outcome.err.split())
            assert outcome.status == 65, said
            assert re.search(told, said), said
        assert hashlib.sha256(iso.read_bytes()).digest() == before
        assert _but_locks(output) == beside
    shutil.rmtree(output)


def _but_locks(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_without_being_root(built: Built, debian_iso: Path, other: Path, place: Path) -> None:
    place.chmod(0o755)
    output = place / "nobody"
    output.mkdir()
    for number, iso in enumerate((built.iso, debian_iso)):
        copy = output / f"{number}.iso"
        shutil.copyfile(iso, copy)
        copy.chmod(0o644)
        _give_to_nobody(output)
        outcome = as_nobody("embed", _readable(other, output), copy)
        assert outcome.status == 0, outcome.err
        assert shown(copy) == OTHER
    shutil.rmtree(output)


def _readable(path: Path, folder: Path) -> Path:
    copy = folder / path.name
    shutil.copyfile(path, copy)
    copy.chmod(0o644)
    return copy


def _give_to_nobody(folder: Path) -> None:
    for path in (folder, *folder.iterdir()):
        os.chown(path, NOBODY, NOBODY)


def test_bad_input(built: Built, other: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("#cloud-config\noverlay: {cidr: 8.8.8.0/24}\n")
    text = tmp_path / "text.iso"
    text.write_text("no ISO\n" * 1000)
    plain = tmp_path / "plain.iso"
    words = ["xorriso", "-as", "mkisofs", "-quiet", "-V", "cidata", "-o", str(plain), str(wrong)]
    subprocess.run(words, check=True, timeout=30)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for arguments, status, said in (
        ((wrong, built.iso), 65, f"{wrong}:2:"),
        ((other, text), 65, "is no ISO image"),
        ((other, plain), 65, "is neither a Kairos ISO nor one of edge-build's"),
        ((other, tmp_path / "none.iso"), 66, "there is no file"),
        ((tmp_path / "none.yaml", built.iso), 66, "can't read the user-data file"),
        ((other,), 2, "expected: USER_DATA ISO"),
        ((other, built.iso, "--output", tmp_path), 73, "is a directory"),
    ):
        outcome = edge_build("embed", *arguments)
        assert outcome.status == status, outcome.err
        assert said in outcome.err, outcome.err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
