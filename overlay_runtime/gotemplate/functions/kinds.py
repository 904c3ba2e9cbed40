"""sprig's reflection (reflect.go)."""

from __future__ import annotations

from overlay_runtime.gotemplate.functions.model import table
from overlay_runtime.gotemplate.values import equal, kind_of, type_of

TABLE = table(
    {
        "deepEqual": ("any any", equal),
        "kindIs": ("string any", lambda kind, value: kind == kind_of(value)),
        "kindOf": ("any", kind_of),
        "typeIs": ("string any", lambda name, value: name == type_of(value)),
        "typeIsLike": (
            "string any",
            lambda name, value: type_of(value) in (name, "*" + name),
        ),
        "typeOf": ("any", type_of),
    }
)
