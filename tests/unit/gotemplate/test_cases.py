"""The table of cases."""

from __future__ import annotations

import pytest

from overlay_runtime.gotemplate.render import TemplateError, render
from tests.unit.gotemplate.table import DATA, Case, cases


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.template[:60])
def test_a_template_renders_as_yip_renders_it(case: Case) -> None:
    if not case.error:
        assert render(case.template, DATA) == case.output
        return
    with pytest.raises(TemplateError) as raised:
        render(case.template, DATA)
    assert raised.value.line == 1
    assert raised.value.message.split(": ")[-1] in case.error


def test_the_table_is_there() -> None:
    assert len(cases()) > 650
