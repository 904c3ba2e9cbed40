"""Which files hold stages, in their order, and the steps in them.

Kairos's directories come first, each with the order of its file names; then user-data, the image's
and the `cidata` volume's. A file that can't be read takes no other with it, and a step with a
wrong type no other step.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from overlay_runtime.config.document import Value, read_document
from overlay_runtime.config.load import decode_text
from overlay_runtime.config.sources import CIDATA
from overlay_runtime.errors import ConfigError, Position
from overlay_runtime.identity import in_container
from overlay_runtime.paths import Paths
from overlay_runtime.stages.decode import Wrong, decode
from overlay_runtime.stages.model import Source, Step
from overlay_runtime.stages.tree import Tree
from overlay_runtime.userdata.lookup import child, entries, items, text
from overlay_runtime.userdata.stages import STEP
from overlay_runtime.userdata.stepnames import IMPLIED, step_names

DIRECTORIES = ("/system/oem", "/oem", "/usr/local/cloud-config")
"""Where Kairos looks for stages (kairos-agent, GetCloudInitPaths)."""

USER_DATA = ("/oem/95_userdata.yaml", "/oem/90_custom.yaml")
"""As what Kairos keeps user-data, found and installed: its steps are called after it."""


OUR_OWN = "/system/oem/10_edge-overlay.yaml"
"""For Kairos images. With the Debian base a udev rule does the same, earlier and without Python."""


_DEEPEST = 20
"""Directories below each other."""


@dataclass
class Sources:
    """The files, and what is wrong about those that could not be read."""

    files: list[Source] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unreadable: bool = False
    """Whether there are files that this process was not let read."""


@dataclass
class Steps:
    """The steps of one stage in the order of the files, and what is wrong about others."""

    steps: list[Step] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_sources(paths: Paths, tree: Tree) -> Sources:
    """Read all files that can hold stages. Never raises."""
    found = Sources()
    for group, directory in enumerate(DIRECTORIES):
        for path in _files(tree, directory, found):
            if path != OUR_OWN:
                _add(found, path, lambda path=path: tree.read(path), group=group)
    last = len(DIRECTORIES)
    if paths.embedded.is_file():
        _add(found, str(paths.embedded), paths.embedded.read_bytes, group=last, aliases=USER_DATA,
             user_data=True)  # fmt: skip
    volume = paths.volume / "user-data"
    if volume.is_file():
        _add(found, CIDATA, volume.read_bytes, group=last, aliases=USER_DATA,
             user_data=True, volume=True)  # fmt: skip
    return found


def _files(tree: Tree, directory: str, found: Sources, depth: int = 1) -> Iterator[str]:
    """Yield the YAML files below a directory, by name at each level, as filepath.Walk does: links
    to directories are not followed."""
    try:
        names = sorted((path.name for path in tree.real(directory).iterdir()), key=os.fsencode)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        found.problems.append(f"{directory} can't be read: {error.strerror}")
        found.unreadable |= isinstance(error, PermissionError)
        return
    for name in names:
        path = f"{directory}/{name}"
        try:
            below = stat.S_ISDIR(tree.link_status(path).st_mode)
        except OSError:  # gone meanwhile, or nothing that may be looked at: reading it tells
            below = False
        if below and depth == _DEEPEST:
            found.problems.append(f"{directory}: more than {_DEEPEST} directories below each "
                                  "other: what lies deeper is not read")  # fmt: skip
        elif below:
            yield from _files(tree, path, found, depth + 1)
        elif re.search(r"\.ya?ml$", name):
            yield path


def _add(found: Sources, name: str, read: Any, **about: Any) -> None:
    try:
        found.files.append(Source(name, decode_text(read(), name), **about))
    except ConfigError as error:
        found.problems += [problem.render() for problem in error.problems]
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "a name that can't be"
        found.problems.append(f"{name} can't be read: {why}")
        found.unreadable |= isinstance(error, PermissionError)


def is_cloud_config(content: str) -> bool:
    """Whether Kairos takes a file for cloud-config: one of the first comments says so
    (yip, `pkg/schema/cloudinit`, IsCloudConfig)."""
    for line in content.split("\n", 9):
        line = line.rstrip()
        if line == "#cloud-config":
            return True
        if line and not line.startswith("#"):
            return False
    return False


@lru_cache(maxsize=64)
def _read(content: str, name: str) -> Value | ConfigError:
    """Parse a file once for all stages of a run; a bad one too."""
    try:
        return read_document(content, name)
    except ConfigError as error:
        return error


class Documents:
    """Parses each file once, whatever the number of stages."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.problems = list(sources.problems)
        """What is wrong about whole files."""
        self.read: list[tuple[int, Source, Value]] = []
        for number, source in enumerate(sources.files):
            top = _read(source.text, source.name)
            if isinstance(top, ConfigError):
                self.problems += [problem.render() for problem in top.problems]
                continue
            stages = child(top, "stages")
            if (
                stages is not None
                and stages.data is not None
                and not entries(stages)
                and (not isinstance(stages.data, dict))
            ):
                self.problems.append(f"{stages.position}: `stages` is {stages.kind()}; expected "
                                     "a mapping")  # fmt: skip
            self.read.append((number, source, top))

    def stages(self) -> list[str]:
        """Return the names of all stages that have a step."""
        found = (
            name
            for _, _, top in self.read
            for name, entry in entries(child(top, "stages")).items()
            if entry.value.data
        )
        return list(dict.fromkeys(found))

    def steps(self, stage: str, *, installed: bool) -> Steps:
        """Return the steps of a stage, each once."""
        found = Steps()
        for number, source, top in self.read:
            value = child(top, "stages", stage)
            if value is None or value.data is None:
                continue
            if not isinstance(value.data, tuple):
                found.problems.append(f"{value.position}: the stage is {value.kind()}; expected a "
                                      "list of steps")  # fmt: skip
                continue
            found.steps += _steps(stage, number, source, top, found)
        if installed:
            found.notes += [f"{step.shown}: skip-copy steps are for the installer's boot"
                            for step in found.steps if _skip_copy(step)]  # fmt: skip
            found.steps = [step for step in found.steps if not _skip_copy(step)]
        found.steps = _once(found)
        return found


def _steps(stage: str, file: int, source: Source, top: Value, found: Steps) -> Iterator[Step]:
    listed = items(child(top, "stages", stage))
    own = text(child(top, "name"))
    implied = stage in IMPLIED and is_cloud_config(source.text)
    # Kairos drops a #cloud-config file's own name.
    called_by = source.aliases or (source.name,)
    roots = [*called_by, own] if is_cloud_config(source.text) else [own, *called_by]
    roots = [root for root in roots if root]
    names = [text(child(step, "name")) for step in listed]
    called = step_names(roots, names, implied)
    for number, value in enumerate(listed):
        try:
            data = decode(value, STEP)
        except Wrong as wrong:
            found.problems.append(f"{wrong.at}: {wrong.found}; the step is left out")
            continue
        waits = tuple(
            (one, item.position)
            for item in items(child(value, "after"))
            if (one := text(child(item, "name")))
        )
        data["if_files"] = _if_files(value, data["if_files"])
        yield Step(stage, value.position, names[number], number, source.group, file,
                   called[number], data, waits, source.user_data, source.volume)  # fmt: skip


def _if_files(step: Value, known: dict[str, list[str]]) -> dict[str, list[str]]:
    """Keep kinds of checks that are unknown: the step must not run then."""
    written = entries(child(step, "if_files"))
    return {name: known.get(name, []) for name in written}


def _skip_copy(step: Step) -> bool:
    return step.name.startswith("skip-copy-")


def _once(found: Steps) -> list[Step]:
    """Leave out steps of the image's user-data that the volume's has too: the same ones, and those
    of the same name."""
    theirs = [step for step in found.steps if step.volume]
    names = {step.name for step in theirs if step.name}
    kept = []
    for step in found.steps:
        mine = step.user_data and not step.volume
        if mine and (step.name in names or any(step.data == other.data for other in theirs)):
            found.notes.append(f"{step.shown} (the image's): the volume's user-data has it too")
        else:
            kept.append(step)
    return kept


def is_installed(tree: Tree) -> bool:
    """Whether this host was installed: neither live nor a container."""
    words = tree.read_text("/proc/cmdline").split()
    return "boot=live" not in words and not in_container(tree.root)


def position_of(name: str) -> Position:
    """The place of a file as a whole."""
    return Position(name, 1, 1)


def names_with_parts(stages: Sequence[str]) -> set[str]:
    """Return the stages that somebody would run for these: `boot` for `boot.before`."""
    return {re.sub(r"\.(before|after)$", "", name) for name in stages}
