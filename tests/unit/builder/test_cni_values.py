"""`edge-build cni-values` as a user runs it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from builder.cli import cli
from builder.errors import InputError, MissingFileError

USER_DATA = "#cloud-config\noverlay:\n  secret: a secret of the laboratory\n"


def run(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(cli, ["cni-values", *words], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def test_it_prints_values(tmp_path: Path) -> None:
    _, text, told = run("flannel", "--form", "helm")
    assert yaml.safe_load(text)["flannel"]["args"][-1] == "--iface=scbr-100"
    assert told == ""
    file = tmp_path / "values.yaml"
    assert run("flannel", "--form", "helm", "--output", str(file))[1] == ""
    assert file.read_text() == text


def test_user_data_tells_the_mtu_and_the_port(tmp_path: Path) -> None:
    file = tmp_path / "user-data.yaml"
    file.write_text(USER_DATA + "  mtu: 1350\n  port: 8472\n")
    _, text, told = run("flannel", "--user-data", str(file))
    assert yaml.safe_load(text)["charts"]["flannel"]["mtu"] == 1350
    assert yaml.safe_load(text)["charts"]["flannel"]["backendPort"] == 4797
    assert "flannel is told to leave 8472" in told


def test_wrong_user_data_is_refused_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "user-data.yaml"
    file.write_text(USER_DATA + "  mtu: 99\n")
    with pytest.raises(InputError) as caught:
        run("calico", "--user-data", str(file))
    assert any(f"{file}:4:" in problem for problem in caught.value.problems)
    file.write_text("#cloud-config\nhostname: x\n")
    with pytest.raises(InputError, match="no `overlay:` block"):
        run("calico", "--user-data", str(file))
    with pytest.raises(MissingFileError):
        run("calico", "--user-data", str(tmp_path / "none"))


@pytest.mark.parametrize(
    "words",
    [("canal",), ("weave",), ("calico", "--mtu", "99"), ("cilium", "--pods", "10.0.0.0/16"),
     ("calico", "--form", "helm", "--pods", "fd00::/48"),
     ("calico", "--form", "helm", "--pods", "10.0.0.1/16")],
)  # fmt: skip
def test_wrong_use_is_told(words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(cli, ["cni-values", *words])
    assert done.exit_code == 2
    assert "Error" in done.stderr
