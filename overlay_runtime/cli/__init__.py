"""The command line, `edge-overlay COMMAND`. A command's module is imported when it is called:
`run` needs nothing of the others, and they nothing of the agent."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from overlay_runtime.cli.parser import make_parser
from overlay_runtime.errors import OverlayError
from overlay_runtime.paths import find_paths

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code (`parser.EXIT_CODES`)."""
    options = make_parser().parse_args(arguments)
    paths = find_paths(options.root, options.run_dir, options.state_dir)
    try:
        module, function = options.handler.split(":")
        command = getattr(import_module(f"overlay_runtime.cli.{module}"), function)
        return int(command(options, paths))
    except OverlayError as error:
        print(f"edge-overlay: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # `| head`: nobody reads on
        sys.stdout = None  # or Python tries to flush it and complains
        return 0
    except (KeyboardInterrupt, EOFError):  # Ctrl-C, Ctrl-D
        print(file=sys.stderr)
        return 130
