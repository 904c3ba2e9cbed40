"""edge-build: bakes Edge installer images whose hosts keep their overlay addresses."""

from overlay_runtime import __version__

__all__ = ["__version__"]
