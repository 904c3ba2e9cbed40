"""`kubernetes`: what was found, written and why; and what Kubernetes' units call."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator

from overlay_runtime.errors import HostError
from overlay_runtime.kubernetes import record as records
from overlay_runtime.kubernetes.apply import Outcome, apply, describe
from overlay_runtime.kubernetes.facts import Facts, gather
from overlay_runtime.kubernetes.model import Overlay, Plan
from overlay_runtime.kubernetes.plan import make_plan
from overlay_runtime.kubernetes.running import Running, look
from overlay_runtime.logs import set_up
from overlay_runtime.paths import Paths

OK, CONTRADICTED = 0, 1
_USAGE = 64  # EX_USAGE
_NAMES = {"k3s": "K3s", "rke2": "RKE2", "kubeadm": "kubeadm"}


def kubernetes(options: argparse.Namespace, paths: Paths) -> int:
    """Do what the action says. Raises HostError when there is no overlay to speak of."""
    actions = {"show": _show, "apply": _apply, "wait": _wait, "adopt": _adopt,
               "withdraw": _withdraw, "init-config": _init, "join-config": _join,
               "daemonset": _daemonset, "watch-vip": _watch}  # fmt: skip
    return actions[options.action](options, paths)


def _show(options: argparse.Namespace, paths: Paths) -> int:
    plan = _plan(paths)
    running = look(plan, paths)
    if options.json:
        print(json.dumps(describe(plan, running), indent=1))
    else:
        print("\n".join(_lines(plan, running, paths)))
    return CONTRADICTED if plan.contradictions or running.contradictions else OK


def _apply(_options: argparse.Namespace, paths: Paths) -> int:
    set_up(debug=False)
    outcome = apply(paths)
    return CONTRADICTED if outcome.failed else OK


def _wait(options: argparse.Namespace, paths: Paths) -> int:
    from overlay_runtime.kubernetes.wait import wait

    if not options.unit:
        print("edge-overlay: --unit says which unit is to start", file=sys.stderr)
        return _USAGE
    return wait(paths, options.unit, options.timeout)


def _adopt(_options: argparse.Namespace, paths: Paths) -> int:
    set_up(debug=False)
    outcome = apply(paths, adopt=True)
    if outcome.plan.overlay is None or outcome.plan.withheld:
        raise HostError(f"nothing is written: {outcome.plan.withheld}")
    _tell(outcome)
    return CONTRADICTED if outcome.failed else OK


def _withdraw(_options: argparse.Namespace, paths: Paths) -> int:
    set_up(debug=False)
    outcome = apply(paths, facts=Facts(has_block=False))
    _tell(outcome)
    return CONTRADICTED if outcome.failed else OK


def _tell(outcome: Outcome) -> None:
    for path in outcome.written:
        print(f"written: {path}")
    for path in outcome.removed:
        print(f"removed: {path}")
    for text in outcome.failed:
        print(f"edge-overlay: {text}", file=sys.stderr)
    print("Kubernetes follows when it is restarted; that is yours to do.")


def _init(_options: argparse.Namespace, paths: Paths) -> int:
    from overlay_runtime.kubernetes.kubeadm import init_configuration

    plan = _plan(paths)
    print(init_configuration(plan.cluster, _overlay(plan)), end="")
    return OK


def _join(options: argparse.Namespace, paths: Paths) -> int:
    from overlay_runtime.config.cluster import SERVER
    from overlay_runtime.kubernetes.kubeadm import join_configuration

    plan = _plan(paths)
    if not (options.token and options.ca_cert_hash):
        print("edge-overlay: --token and --ca-cert-hash are needed: `kubeadm token create "
              "--print-join-command` on a control plane says them", file=sys.stderr)  # fmt: skip
        return _USAGE
    control = plan.cluster.role == SERVER or bool(options.certificate_key)
    print(join_configuration(_overlay(plan), options.token, options.ca_cert_hash,
                             options.certificate_key, control=control), end="")  # fmt: skip
    return OK


def _daemonset(_options: argparse.Namespace, paths: Paths) -> int:
    from dataclasses import replace

    from overlay_runtime.config.cluster import DAEMONSET, KUBEADM
    from overlay_runtime.kubernetes.vip import manifest

    plan = _plan(paths)
    cluster = replace(plan.cluster, kube_vip=replace(plan.cluster.kube_vip, mode=DAEMONSET))
    name = plan.detected.distribution or KUBEADM
    print(manifest(paths.root, cluster, name, _overlay(plan)), end="")
    return OK


def _watch(_options: argparse.Namespace, paths: Paths) -> int:
    from overlay_runtime.kubernetes.lease.watch import run
    from overlay_runtime.kubernetes.vip import WATCH

    set_up(debug=False)
    try:
        return run(paths.run_dir / "kubernetes" / WATCH.rpartition("/")[2], paths.notices)
    except ValueError as error:
        raise HostError(str(error), "systemctl start edge-overlay-kubernetes") from error


def _plan(paths: Paths) -> Plan:
    if not records.readable(paths):
        raise HostError("what Kubernetes is told can be read by root only",
                        "sudo edge-overlay kubernetes")  # fmt: skip
    return make_plan(paths.root, gather(paths), records.load(paths))


def _overlay(plan: Plan) -> Overlay:
    if plan.overlay is None:
        raise HostError(plan.withheld or "there is no overlay", "see `edge-overlay status`")
    return plan.overlay


def _lines(plan: Plan, running: Running, paths: Paths) -> Iterator[str]:
    detected = plan.detected
    name = _NAMES.get(detected.distribution or "", "none")
    part = {True: ", a control plane", False: ", an agent", None: ""}[detected.server]
    yield f"Kubernetes: {name}{part if detected.distribution else ''}"
    for text in detected.evidence:
        yield f"  found: {text}"
    if plan.overlay:
        yield f"Overlay: {plan.overlay.address} on {plan.overlay.interface}, VIP {plan.overlay.vip}"
    if plan.withheld:
        yield f"Nothing is written: {plan.withheld}."
    for file in plan.files:
        there = (paths.root / file.path.lstrip("/")).exists()
        yield f"{file.path}{'' if there else '  (not written yet)'}"
        for setting in file.settings:
            yield f"  {setting.key} = {setting.value}"
            yield f"      {setting.why}"
        if not file.settings:
            yield "  nothing: all is said elsewhere"
    for text in plan.notes:
        yield f"Note: {text}."
    for text in running.stale:
        yield f"Restart needed: {text}."
    found = [*plan.contradictions, *running.contradictions]
    for contradiction in found:
        yield f"Contradicts it: {contradiction}."
    if not found and plan.overlay and detected.distribution:
        yield "Nothing contradicts it."
