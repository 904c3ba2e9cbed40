"""The functions that a template may call: Go's own and sprig's v3.3, a module a subject.

A module is read when the first of its functions is called: hosts render templates at every boot.
"""

from __future__ import annotations

from importlib import import_module

from overlay_runtime.gotemplate.functions.model import Function
from overlay_runtime.gotemplate.names import SUBJECTS, UNAVAILABLE
from overlay_runtime.gotemplate.values import GoError

_PACKAGE = "overlay_runtime.gotemplate.functions."
_BY_NAME = {name: subject for subject, names in SUBJECTS.items() for name in names}
_FOUND: dict[str, Function] = {}


def find(name: str) -> Function:
    """Return a function by its name. Raises GoError of one that is not there on Debian hosts."""
    function = _FOUND.get(name)
    if function is None:
        if name in UNAVAILABLE:
            raise GoError(f"the template function `{name}` is not there on Debian hosts")
        module = import_module(_PACKAGE + _BY_NAME[name])
        function = _FOUND[name] = module.TABLE[name]
    return function
