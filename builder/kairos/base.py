"""From `--base` to a base that passed its checks: the image, its file system, what counts in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.kairos import daemon
from builder.kairos.check import KairosBase, check_base
from builder.kairos.directory import image_of_directory
from builder.kairos.reference import BaseReference, Kind
from builder.kairos.source import SourceImage, open_image
from builder.kairos.tree import TarLayer, Tree
from builder.progress import Step


@dataclass(frozen=True)
class OpenedBase:
    """The base as an image, as a file system, and what was found in it."""

    image: SourceImage
    tree: Tree
    facts: KairosBase

    @property
    def layers(self) -> tuple[TarLayer, ...]:
        """Its layers, lowest first."""
        return self.tree.layers


def open_base(reference: BaseReference, work: Path, step: Step) -> OpenedBase:
    """Get the base and check it; `work` takes what comes out of a daemon or a directory.

    Raises an error of its own for each thing that can be wrong (see `builder.errors`).
    """
    if reference.needs_daemon:
        saved = work / "base.tar"
        daemon.save_image(reference, saved, step)
        image = open_image(BaseReference(Kind.ARCHIVE, str(saved)))
    elif reference.kind is Kind.DIRECTORY:
        image = image_of_directory(reference.path, work)
    else:
        image = open_image(reference)
    tree = Tree(
        [
            TarLayer(f"layer sha256:{layer.digest}", layer.open_tar, layer.diff_id)
            for layer in image.layers
        ]
    )
    facts = check_base(tree, str(reference), work)
    return OpenedBase(image, tree, facts)
