"""`python -m overlay_runtime` is `edge-overlay`."""

import sys

from overlay_runtime.cli import main

sys.exit(main())
