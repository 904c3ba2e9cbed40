"""Where `image-templates/` lies, and how a file of it becomes a file of an image."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jinja2

from builder.errors import BuildError

TEMPLATES = Path(__file__).resolve().parent.parent / "image-templates"
"""Beside the packages: edge-build runs from a checkout (installed editable)."""


def render_tree(source: Path, destination: Path, values: Mapping[str, Any]) -> None:
    """Copy the tree `source` to `destination`: files as they are with their modes, symlinks as
    symlinks, `NAME.j2` rendered with `values` as `NAME`.

    Raises BuildError if a template names a value that isn't there.
    """
    for item in _walk(source):
        target = destination / item.relative_to(source)
        if item.is_dir() and not item.is_symlink():
            target.mkdir(parents=True, exist_ok=True)
            target.chmod(0o755)
        elif item.suffix == ".j2" and not item.is_symlink():
            target = target.with_suffix("")
            target.write_text(render(item, values))
            shutil.copymode(item, target)
        else:
            shutil.copy(item, target, follow_symlinks=False)


def render(template: Path, values: Mapping[str, Any]) -> str:
    """The text of a Jinja2 template with `values`; an unknown value raises BuildError."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    try:
        return environment.from_string(template.read_text()).render(values)
    except jinja2.TemplateError as error:
        raise BuildError(f"{template}: {error}", "mend the template") from error


def _walk(source: Path) -> Iterator[Path]:
    """Every path below `source`, parents before children, in a stable order."""
    for item in sorted(source.iterdir()):
        yield item
        if item.is_dir() and not item.is_symlink():
            yield from _walk(item)
