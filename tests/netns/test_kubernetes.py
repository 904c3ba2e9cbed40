"""An overlay whose range is one of Kubernetes'."""

from __future__ import annotations

from tests.netns.lab import Lab, until
from tests.netns.probe import reaches


def test_a_first_claim_is_refused_and_a_running_overlay_goes_on(lab: Lab) -> None:
    one = lab.host("one", "10.9.0.1/24")
    config = one.directory / "root/etc/rancher/k3s/config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("cluster-cidr: 100.64.0.0/10\n")
    one.start()
    until(lambda: any(f"100.64.0.0/10, the range of k3s for pods in {config}" in text
                      for text in one.status()["problems"]), "refused, with the range")  # fmt: skip
    assert one.status()["overlay"]["address"] is None
    config.write_text("cluster-cidr: 10.50.0.0/16\n")
    two = lab.host("two", "10.9.0.2/24").start()
    lab.all_up(25)
    assert one.status()["problems"] == []
    address = one.address
    config.write_text("cluster-cidr: 100.64.0.0/10\n")
    one.stop()
    one.restart()
    until(one.up, "up on the stored address")
    assert one.address == address
    assert any("the overlay is kept" in text for text in one.status()["problems"])
    assert reaches(one.end, two.end)
