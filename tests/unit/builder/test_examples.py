"""The examples are what `edge-build validate` takes without an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from overlay_runtime.config.schema import parse_user_data
from overlay_runtime.userdata.check import findings
from overlay_runtime.userdata.finding import Severity

EXAMPLES = Path(__file__).parents[3] / "examples"
THREE = EXAMPLES / "three-node-k3s"
KUBEADM = EXAMPLES / "kubeadm-cluster"
_USER_DATA = sorted(p for p in EXAMPLES.rglob("*.yaml") if p.name not in ("edge.yaml", "pods.yaml"))


@pytest.mark.parametrize("path", _USER_DATA, ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_an_example_has_no_error(path: Path) -> None:
    found = findings(path.read_text(), path.name)
    assert [str(one) for one in found if one.rule.severity is Severity.ERROR] == []


def test_the_three_differ_by_name_and_role_alone() -> None:
    texts = {path.stem: path.read_text() for path in THREE.glob("*.yaml")}
    assert set(texts) == {"one", "two", "three"}
    alike = {
        text.replace(f"edge-{name}", "NAME").replace("role: init", "role: server")
        for name, text in texts.items()
    }
    assert len(alike) == 1
    roles = {}
    for name, text in texts.items():
        config = parse_user_data(text, name).overlay
        assert config is not None
        roles[name] = config.kubernetes.role
    assert roles == {"one": "init", "two": "server", "three": "server"}


def test_the_hosts_of_kubeadm_differ_by_role_alone() -> None:
    roles = {"one": "init", "two": "server", "three": "server", "worker": "agent"}
    texts = {path.stem: path.read_text() for path in KUBEADM.glob("*.yaml")}
    assert texts.keys() == {*roles, "pods"}
    assert len({texts[name].replace(f"role: {role}", "ROLE") for name, role in roles.items()}) == 1


@pytest.mark.parametrize("example", [THREE, KUBEADM], ids=lambda path: str(path.name))
def test_the_page_says_the_files_that_there_are(example: Path) -> None:
    text = (example / "README.md").read_text()
    assert all(f"({path.name})" in text for path in example.glob("*.yaml"))
