"""A further file of stages: `kairos.config_url=` or `cos.setup=` on the kernel's command line.

kairos-agent runs its stages after those of all directories (`agent/pkg/utils/runstage.go`).
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from overlay_runtime.identity import in_container
from overlay_runtime.stages.model import Source
from overlay_runtime.stages.tree import Tree

if TYPE_CHECKING:  # gather needs none of it, and is to be quick
    from overlay_runtime.stages.host import Host

_MOST = 1 << 20
_LIMIT_S = 15.0


def config_uri(tree: Tree) -> str:
    """Return the URL or the path that is named; nothing in a container, which sees the command
    line of the machine that it runs on."""
    if in_container(tree.root):
        return ""
    written = tree.read_text("/proc/cmdline")
    try:
        words = shlex.split(written)
    except ValueError:
        words = written.split()
    found = ""
    for word in words:
        name, equals, value = word.partition("=")
        uri = bool(re.match(r"/|[a-z]+://", value))
        if equals and uri and name in ("kairos.config_url", "cos.setup"):
            found = value
    return found


def config_source(host: Host, group: int, limit: float) -> tuple[Source | None, str]:
    """Return the file, or why there is none; neither if none is named."""
    uri = config_uri(host.tree)
    if not uri:
        return None, ""
    from overlay_runtime.gotemplate.render import TemplateError, render

    what = "the configuration that the kernel's command line names"
    try:
        if "{{" in uri:
            from overlay_runtime.sysinfo import values

            uri = render(uri, {"Values": values(host.tree.root)})
        if uri.startswith("/"):
            data = host.tree.read(uri)
        else:
            data = host.fetch(uri, min(limit, _LIMIT_S)).data
    except TemplateError as error:
        return None, f"{what}: its template can't be rendered (line {error.line})"
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return None, f"{what} can't be read: {why}"
    if len(data) > _MOST:
        return None, f"{what} is longer than {_MOST} bytes"
    return Source("kernel command line", data.decode(errors="replace"), group), ""
