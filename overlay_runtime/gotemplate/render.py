"""Go templates, rendered as Kairos's executor (yip) does: text/template with sprig's functions.

yip parses with `template.New("template").Funcs(sprig.TxtFuncMap())` and no option, so that a key
that is not there prints `<no value>` (yip v1.24, pkg/utils/text.go).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overlay_runtime.gotemplate.lexer import TemplateError

__all__ = ["TemplateError", "render"]

LONGEST = 4 << 20
"""Characters of a template."""


def render(template: str, data: Mapping[str, Any]) -> str:
    """Render a template. `data` is the dot, such as {"Values": {…}}; it is not changed.

    Bytes that are no UTF-8 (a template can make them: `trunc` counts bytes) are lone surrogates in
    the result: write it with `errors="surrogateescape"`.
    Raises TemplateError(message, line) where Go fails to parse or to execute, and where a template
    takes too many steps, makes too much or is nested too deeply.
    """
    if "{{" not in template:
        return template
    if len(template) > LONGEST:
        raise TemplateError(f"the template is longer than {LONGEST} characters", 1)
    # Most of what is rendered at boot has no template in it: what follows takes time to load.
    from overlay_runtime.gotemplate.evaluate import Evaluator
    from overlay_runtime.gotemplate.names import ALL
    from overlay_runtime.gotemplate.parser import parse
    from overlay_runtime.gotemplate.values import GoError, cooked, own, raw

    try:
        made = Evaluator(parse(template, ALL)).run(own(data))
        return made if made.isascii() else cooked(raw(made))
    except RecursionError:
        raise TemplateError("the template is nested too deeply", 1) from None
    except GoError as error:
        raise TemplateError(str(error), 1) from None
