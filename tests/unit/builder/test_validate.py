"""`edge-build validate`, `schema` and `init` as processes and as functions."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from builder.errors import InputError, MissingFileError, OutputError
from builder.validate import starter
from builder.validate.jsonschema import json_schema
from builder.validate.reference import reference
from builder.validate.report import render, summary
from overlay_runtime.userdata.check import findings
from tests.unit.builder.conftest import GOOD

ROOT = Path(__file__).parents[3]
BAD = GOOD.replace("users: []", "usrs: []\nntp: {servers: 'a,b'}\nstages: {boot: []}")


def edge_build(
    *words: str | Path, stdin: str = "", cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "builder.cli", *map(str, words)]
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, check=False, cwd=cwd
    )


def test_all_files_are_checked_and_the_exit_code_tells(tmp_path: Path, good: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(BAD)
    done = edge_build("validate", bad, tmp_path / "missing.yaml", good)
    assert done.returncode == MissingFileError.exit_code
    assert f"{bad}:7:1: error: unknown key `usrs`" in done.stdout
    assert "missing.yaml" in done.stderr
    assert "Traceback" not in done.stderr
    assert edge_build("validate", bad).returncode == InputError.exit_code
    assert edge_build("validate", good).returncode == 0


def test_warnings_count_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "u.yaml"
    path.write_text("#cloud-config\noverlay: {insecure: true}\n")
    assert edge_build("validate", path).returncode == 0
    assert edge_build("validate", "--strict", path).returncode == InputError.exit_code


def test_standard_input() -> None:
    done = edge_build("validate", "-", stdin=BAD)
    assert done.stdout.startswith("<stdin>:7:1: error")


def test_json() -> None:
    found = json.loads(render(findings(BAD, "a.yaml"), "json"))
    [first] = [one for one in found if one["rule"] == "unknown-key"]
    assert (first["file"], first["line"], first["column"]) == ("a.yaml", 7, 1)
    assert first["severity"] == "error"
    assert "users" in first["remedy"]


def test_sarif() -> None:
    told = json.loads(render(findings(BAD, "sites/a b.yaml"), "sarif"))
    assert told["version"] == "2.1.0"
    [run] = told["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert run["results"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        [place] = result["locations"]
        assert place["physicalLocation"]["artifactLocation"]["uri"] == "sites/a%20b.yaml"
        assert place["physicalLocation"]["region"]["startLine"] >= 1


def test_github() -> None:
    lines = render(findings(BAD, "a,b:c.yaml"), "github").splitlines()
    shape = r"::(error|warning|notice) file=a%2Cb%3Ac\.yaml,line=\d+,col=\d+,title=[^:,]+::.+"
    assert lines
    assert all(re.fullmatch(shape, line) for line in lines), lines


def test_the_summary() -> None:
    assert summary([], 1) == "1 file: nothing to say against"
    assert summary(findings(BAD, "a"), 2) == "2 files: 2 errors"


def test_the_schema_is_one_and_takes_what_the_check_takes() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for path in (ROOT / "examples").glob("user-data*.yaml"):
        assert list(validator.iter_errors(yaml.safe_load(path.read_text()))) == []
    assert list(validator.iter_errors(yaml.safe_load(GOOD))) == []


@pytest.mark.parametrize(
    "text",
    [
        "stylus: {site: {network: {interfaces: {eth0: {type: statc}}}}}",
        "stylus: {site: {network: {interfases: {}}}}",
        "stages: {boot: [{comands: [a]}]}",
        "stages: {boot: [{commands: a}]}",
        "stages: {boot: [{users: {bob: {groups: 5}}}]}",
        "overlay: {port: 99999}",
        "overlay: {prot: 1}",
        "usrs: []",
        "users: {a: b}\nntp: 5",
    ],
)
def test_the_schema_refuses_what_the_check_refuses(text: str) -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    assert list(validator.iter_errors(yaml.safe_load(text)))
    assert any(one.severity.value == "error" for one in findings(f"#cloud-config\n{text}\n", "f"))


def test_the_reference_page_is_made_from_the_schema() -> None:
    assert (ROOT / "docs" / "user-data.md").read_text() == reference()


def test_init_makes_a_file_that_is_right(tmp_path: Path) -> None:
    key = tmp_path / "key.pub"
    key.write_text("ssh-ed25519 AAAAC3 somebody@somewhere\n")
    words = ["--cidr", "10.9.0.0/24", "--hostname", "shop-3", "--peer", "192.0.2.7"]
    done = edge_build("init", "u.yaml", "--yes", *words, "--ssh-key", key, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    made = tmp_path / "u.yaml"
    assert made.stat().st_mode & 0o777 == 0o600
    assert findings(made.read_text(), "u.yaml") == []
    data = yaml.safe_load(made.read_text())
    assert data["overlay"]["cidr"] == "10.9.0.0/24"
    assert re.fullmatch(r"[0-9a-f]{64}", data["overlay"]["secret"])
    assert data["overlay"]["peers"] == ["192.0.2.7"]
    assert data["hostname"] == "shop-3"
    before = made.read_text()
    again = edge_build("init", "u.yaml", "--yes", cwd=tmp_path)
    assert again.returncode == OutputError.exit_code
    assert made.read_text() == before


def test_every_secret_is_another() -> None:
    first, second = (yaml.safe_load(starter.make(starter.Answers())) for _ in range(2))
    assert first["overlay"]["secret"] != second["overlay"]["secret"]


@pytest.mark.parametrize(
    "answers",
    [
        starter.Answers(cidr="8.8.8.0/24"),
        starter.Answers(cidr="nonsense"),
        starter.Answers(hostname="-bad-"),
        starter.Answers(peers=("not an address",)),
        starter.Answers(keys=("ssh-ed25519 AAAA: {",), hostname="a\nb"),
    ],
)
def test_answers_that_can_not_be(answers: starter.Answers) -> None:
    with pytest.raises(InputError):
        starter.make(answers)


def test_a_private_key_is_refused(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n")
    with pytest.raises(InputError, match="private key"):
        starter.public_keys(key)
    key.write_text("nothing\n")
    with pytest.raises(InputError, match="no SSH key"):
        starter.public_keys(key)
    with pytest.raises(MissingFileError):
        starter.public_keys(tmp_path / "none")


def test_init_with_a_static_address(tmp_path: Path) -> None:
    path = tmp_path / "user-data.yaml"
    words = ("--yes", "--address", "10.0.10.25/24", "--gateway", "10.0.10.1")
    done = edge_build("init", path, *words, "--nameserver", "10.0.10.53, 10.0.10.54")
    assert done.returncode == 0, done.stderr
    nic = yaml.safe_load(path.read_text())["stylus"]["site"]["network"]["interfaces"]["lan"]
    assert (nic["ipAddress"], nic["gateway"]) == ("10.0.10.25/24", "10.0.10.1")
    assert nic["nameserver"] == "10.0.10.53, 10.0.10.54"
    assert edge_build("validate", path).returncode == 0
    done = edge_build("init", tmp_path / "x", *words[:3], "--gateway", "10.0.11.1")
    assert done.returncode == InputError.exit_code and "10.0.11.1" in done.stderr
    done = edge_build("init", tmp_path / "y", "--yes", "--gateway", "10.0.11.1")
    assert done.returncode == 2 and "--address" in done.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["user-data.yaml"]
