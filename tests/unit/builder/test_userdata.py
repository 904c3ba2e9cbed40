"""The embedded user-data: checked, and changed only where a flag says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.config import checked
from builder.errors import InputError
from builder.userdata import load_user_data
from overlay_runtime.config.schema import parse_user_data
from overlay_runtime.userdata.check import EXAMPLE_SECRET
from tests.unit.builder.conftest import GOOD


def problems(path: Path, cidr: str | None = None, hostname: str | None = None) -> tuple[str, ...]:
    with pytest.raises(InputError) as caught:
        load_user_data(path, cidr, hostname)
    return caught.value.problems


def test_without_flags_bytes_stay(good: Path) -> None:
    assert load_user_data(good, None, None).text == GOOD


def test_flags_change_values_and_nothing_else(good: Path) -> None:
    text = load_user_data(good, "10.143.0.0/24", "ship-3").text
    expected = GOOD.replace("10.142.0.0/24", "10.143.0.0/24").replace("shop-17", "ship-3")
    assert text == expected


def test_flags_add_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "u.yaml"
    path.write_text("#cloud-config\noverlay:\n  secret: 0123456789abcdef\n")
    text = load_user_data(path, "10.143.0.0/24", "ship-3").text
    config = parse_user_data(text, "x").overlay
    assert config is not None
    assert str(config.cidr) == "10.143.0.0/24"
    assert "hostname: ship-3" in text


@pytest.mark.parametrize(
    ("flag", "value", "words"),
    [
        ("cidr", "10.143.0.1/24", "10.143.0.0/24"),
        ("cidr", "8.8.8.0/24", "RFC 1918"),
        ("cidr", "everything", "private or shared"),
        ("cidr", "", "private or shared"),
        ("hostname", "-bad-", "RFC 1123"),
        ("hostname", "two\nlines", "RFC 1123"),
    ],
)
def test_bad_flags_are_named(flag: str, value: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        checked(flag, value)
    assert caught.value.message.startswith(f"{flag}: ")
    assert words in caught.value.message + caught.value.remedy
    assert "\n" not in caught.value.message


def test_a_flag_that_contradicts_the_file(good: Path) -> None:
    good.write_text(GOOD.replace("overlay:", "overlay:\n  address: 10.142.0.9"))
    [line] = problems(good, "10.143.0.0/24")
    assert line.startswith("--cidr 10.143.0.0/24")
    assert "10.142.0.9" in line


@pytest.mark.parametrize("text", ["x-d: 2024-99-99", "x-d: !!int foo"])
def test_what_the_editor_can_not_read_is_said(good: Path, text: str) -> None:
    good.write_text(f"{GOOD}{text}\n")
    assert load_user_data(good, None, None).text.endswith(f"{text}\n")
    with pytest.raises(InputError, match="can't be set in this user-data"):
        load_user_data(good, None, "ship-3")


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("users: []", "user: []\nusres: []", "8:1", "did you mean `users`"),
        ("hostname: shop-17", "hostname: 17", "3:11", "RFC 1123"),
        ("#cloud-config\n", "# cloud-config\n", "1:1", "#cloud-config"),
        ("overlay:", "overlays:", "4:1", "overlay"),
        ("  secret: 0123456789abcdef\n", "", "", "secret"),
        ("users: []", "runcmd: reboot", "7:9", "a list"),
        ("users: []", "ntp: [pool]", "7:6", "a mapping"),
        ("hostname: shop-17", "hostname: {a: b}", "3:11", "RFC 1123"),
        ("  cidr: ", "  cidr: - ", "5:9", "not YAML"),
    ],
)
def test_bad_files_are_placed(good: Path, old: str, new: str, place: str, words: str) -> None:
    good.write_text(GOOD.replace(old, new))
    lines = problems(good)
    assert any(line.startswith(f"{good}:{place}") and words in line for line in lines), lines


def test_warnings(good: Path) -> None:
    good.write_text(GOOD.replace("0123456789abcdef", f'"{EXAMPLE_SECRET}"') + "k3s: {}\n")
    warnings = load_user_data(good, None, None).warnings
    assert any("everybody knows" in w for w in warnings)
    assert any("`k3s`" in w for w in warnings)
    assert not any(EXAMPLE_SECRET in w for w in warnings)


def test_nothing_is_said_of_kairos_keys_for_a_kairos_image(good: Path) -> None:
    good.write_text(GOOD + "install: {auto: true}\nstages: {boot: [{layout: {device: {}}}]}\n")
    assert any("`install`" in w for w in load_user_data(good, None, None).warnings)
    said = load_user_data(good, None, None, kairos=True).warnings
    assert not [w for w in said if "`install`" in w or "`layout`" in w], said


def test_no_overlay_block_is_said(tmp_path: Path) -> None:
    path = tmp_path / "u.yaml"
    path.write_text("#cloud-config\nusers: []\n")
    [warning] = load_user_data(path, None, None).warnings
    assert "cidata" in warning


def test_example_has_the_example_secret() -> None:
    example = Path(__file__).parents[3] / "examples" / "user-data.yaml"
    [secret, login] = load_user_data(example, None, None).warnings
    assert "everybody knows" in secret
    assert "nobody could log in" in login
