"""The man page and the completion say what the program takes: no more, no less."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

import overlay_runtime
from overlay_runtime.changes import EVENTS
from overlay_runtime.cli.parser import EXIT_CODES, make_parser
from overlay_runtime.doctor.suite import CHECKS

SHARE = Path(__file__).parents[3] / "image-templates/edge/usr/share"
MANUAL = SHARE / "man/man8/edge-overlay.8"
COMPLETION = SHARE / "bash-completion/completions/edge-overlay"


def _commands() -> dict[str, argparse.ArgumentParser]:
    [sub] = [a for a in make_parser()._actions if isinstance(a, argparse._SubParsersAction)]
    return dict(sub.choices)


def _options(parser: argparse.ArgumentParser) -> set[str]:
    return {
        option
        for action in parser._actions
        if action.help is not argparse.SUPPRESS
        for option in action.option_strings
        if option.startswith("--")
    }


def test_the_manual_is_well_formed() -> None:
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", str(MANUAL)], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    done = subprocess.run(["groff", "-mandoc", "-ww", "-z", str(MANUAL)],
                          capture_output=True, text=True)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_the_manual_has_every_command_option_check_and_exit_code() -> None:
    text = MANUAL.read_text()
    assert set(re.findall(r"^\.It Cm ([\w-]+)", text, re.MULTILINE)) == set(_commands())
    options = {f"--{name}" for name in re.findall(r"Fl -([a-z-]+)", text)}
    every = set.union(_options(make_parser()), *(_options(p) for p in _commands().values()))
    assert options == every
    section = text.split(".Sh CHECKS")[1].split(".Sh")[0]
    assert re.findall(r"^\.It Sy ([\w-]+)", section, re.MULTILINE) == list(CHECKS)
    codes = text.split(".Sh EXIT STATUS")[1].split(".Sh")[0]
    assert [int(c) for c in re.findall(r"^\.It (\d+)", codes, re.MULTILINE)] == list(EXIT_CODES)


def test_the_manual_has_every_environment_variable() -> None:
    runtime = Path(overlay_runtime.__file__).parent
    sources = "".join(path.read_text() for path in runtime.rglob("*.py"))
    read = set(re.findall(r'"(EDGE_OVERLAY_[A-Z_]+|NO_COLOR)"', sources))
    section = MANUAL.read_text().split(".Sh ENVIRONMENT")[1].split(".Sh")[0]
    assert set(re.findall(r"[A-Z_]{6,}", section)) == read


def test_the_manual_has_every_event() -> None:
    section = MANUAL.read_text().split(".Sh EXAMPLES")[1].split(".Sh")[0]
    told = {event for event in EVENTS if not event.startswith("problem")}
    words = set(re.findall(r"[a-z]+(?:-[a-z]+)*", section))
    assert told <= words, told - words


def _completed(line: str, run_dir: Path) -> set[str]:
    script = (
        f'source "{COMPLETION}"; COMP_LINE="$1"; read -ra COMP_WORDS <<<"$1"; '
        '[[ $1 == *" " ]] && COMP_WORDS+=(""); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); '
        '_edge_overlay; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-euc", script, "bash", line], capture_output=True, text=True,
        env=os.environ | {"EDGE_OVERLAY_RUN_DIR": str(run_dir)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_commands_and_options_are_completed(tmp_path: Path) -> None:
    words = _completed("edge-overlay ", tmp_path)
    assert {word for word in words if word[0] != "-"} == set(_commands())
    assert {word for word in words if word[0] == "-"} == _options(make_parser())
    for name, parser in _commands().items():
        assert _completed(f"edge-overlay {name} --", tmp_path) == _options(parser), name
    assert _completed("edge-overlay doctor ", tmp_path) == set(CHECKS)
    assert _completed("edge-overlay pe", tmp_path) == {"peers"}
    assert _completed("edge-overlay wait --timeout ", tmp_path) == set()


def test_peers_are_completed_but_never_run(tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    names = ("edge-1", "edge-2", f"$(touch {trap})", "a b")
    peers = [{"name": name, "address": f"100.64.192.{n}"} for n, name in enumerate(names, 5)]
    (tmp_path / "status.json").write_text(json.dumps({"peers": peers}))
    assert _completed("edge-overlay peers edge-", tmp_path) == {"edge-1", "edge-2"}
    assert "100.64.192.5" in _completed("edge-overlay peers ", tmp_path)
    assert not trap.exists()


@pytest.mark.parametrize("name", sorted(_commands()))
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        make_parser().parse_args([name, "--help"])
    assert ended.value.code == 0
    assert "--run-dir" in capsys.readouterr().out
