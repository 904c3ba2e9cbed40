"""What an action is given: the host, templates, the time that is left, and where to tell."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from overlay_runtime.gotemplate.render import TemplateError, render
from overlay_runtime.stages.host import Host
from overlay_runtime.stages.model import Outcome
from overlay_runtime.stages.process import Done, without_logins
from overlay_runtime.stages.tree import Tree

log = logging.getLogger(__name__)


class OutOfTime(BaseException):
    """The stage's time is over. No `except Exception` holds it."""


class Refused(Exception):
    """An action that can't be done, in words that hold no secret."""


class System:
    """`.Values`, collected when a template or a condition first asks."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._values: dict[str, Any] | None = None

    def values(self) -> dict[str, Any]:
        """Return `.Values`."""
        if self._values is None:
            from overlay_runtime.sysinfo import values

            self._values = values(self._host.tree.root)
        return self._values

    def hostname_values(self) -> Mapping[str, Any]:
        """Return the data of the templates of `hostname`."""
        from overlay_runtime.sysinfo import hostname_values

        return hostname_values(self._host.tree.root)


@dataclass
class Context:
    """One step's view of the host. Everything that it tells goes into `outcome`."""

    host: Host
    about: System
    until: float
    """When the stage's time is over, by the host's clock."""
    command_limit: float
    outcome: Outcome
    early: bool = False
    """Before systemd's sysinit.target: what would wait for it must not be waited for."""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def tree(self) -> Tree:
        """The host's files."""
        return self.host.tree

    def limit(self, wanted: float = 0.0) -> float:
        """Seconds that something may take: as wanted, as a command may, as the stage has left."""
        left = self.until - self.host.clock()
        most = min(left, self.command_limit)
        return max(0.0, min(most, wanted) if wanted > 0 else most)

    def check_time(self) -> None:
        """Raise OutOfTime when the stage's time is over."""
        if self.host.clock() >= self.until:
            raise OutOfTime

    def run(self, *words: str, **environment: str) -> Done:
        """Run a program."""
        self.check_time()
        done = self.host.run(words, self.limit(), {**self.environment, **environment})
        if done.output.strip():
            level = logging.DEBUG if done.good else logging.INFO
            said = without_logins(done.output.rstrip())
            log.log(level, "%s: output:\n%s", self.outcome.shown, said)
        return done

    def shell(self, command: str, **environment: str) -> Done:
        """Run a command as yip does: `sh -c`."""
        if "\0" in command:
            return Done(None, why="can't be started: it has a NUL character")
        return self.run("sh", "-c", command, **environment)

    def rendered(self, template: str, what: str) -> str:
        """Render a template; one that fails stays as it is written, as with Kairos."""
        if "{{" not in template:
            return template
        try:
            return render(template, {"Values": self.about.values()})
        except TemplateError as error:
            said = re.sub(r"""("|'|`).*("|'|`)|<.*>""", "…", error.message)[:80]
            self.note(f"{what}: the template can't be rendered (its line {error.line}: {said}), "
                      "and is used as it is written")  # fmt: skip
            return template

    def system(self, *path: str) -> Any:
        """Return one of `.Values`; nothing if it is not there."""
        found: Any = self.about.values()
        for name in path:
            found = found.get(name, "") if isinstance(found, dict) else ""
        return found

    def did(self, what: str) -> None:
        """Tell what was done."""
        self.outcome.did.append(what)

    def note(self, what: str) -> None:
        """Tell what is otherwise than might be thought."""
        self.outcome.notes.append(what)

    def failed(self, what: str) -> None:
        """Tell what failed; the rest of the step goes on."""
        self.outcome.failures.append(what)


def reason(error: Exception) -> str:
    """Return an error in words, without what it quotes."""
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, OSError):
        return error.strerror or (str(error) if error.errno is None else type(error).__name__)
    if isinstance(error, ValueError):
        return "a value that can't be used"
    return type(error).__name__
