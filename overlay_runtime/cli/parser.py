"""What can be written after `edge-overlay`: the man page and the completion are tested against it.

Imports nothing of the program: `--help` and completion must be quick.
"""

from __future__ import annotations

import argparse
import math

from overlay_runtime import __version__

EXIT_CODES = {
    0: "done; for status and wait: the overlay is up; for doctor: no fault",
    1: "the overlay is not up; for doctor: there is a fault; for peers: no such peer; for "
    "run-stage: something in it failed; for check: there is an error; for kubernetes: something "
    "contradicts the overlay",
    64: "the command line is wrong (2 if it can't be read at all)",
    69: "host: this host can't be prepared, or given back, as it is",
    70: "a fault of this program",
    71: "the kernel refused something that the overlay can't do without",
    74: "the stored address can't be read or written",
    75: "kubernetes wait: the overlay did not come up in time",
    78: "the overlay block of user-data is wrong",
    130: "ended by Ctrl-C",
}
"""After sysexits(3), but for 1 and 130."""


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; its results have `handler`, "module:function" below `cli`."""
    parser = argparse.ArgumentParser(
        prog="edge-overlay",
        description="Keeps the overlay network scbr-100 of an Edge host: a stable address for this "
        "host, whatever the physical network does to it.",
        epilog="Settings are in the `overlay:` block of user-data. Exit codes: "
        + "; ".join(f"{code}: {text}" for code, text in EXIT_CODES.items())
        + ". See edge-overlay(8).",
    )
    parser.add_argument("--version", action="version", version=f"edge-overlay {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _for_people(commands)
    _for_scripts(commands)
    _for_units(commands)
    _for_running_hosts(commands)
    return parser


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str, handler: str, text: str, more: str = "", *, json: bool = False,
) -> argparse.ArgumentParser:  # fmt: skip
    sub = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}. {more}")
    sub.set_defaults(handler=handler)
    sub.add_argument("--root", default="/", help=argparse.SUPPRESS)
    sub.add_argument("--run-dir", metavar="DIR", help="instead of /run/edge-overlay")
    sub.add_argument("--state-dir", metavar="DIR", help="instead of /var/lib/edge-overlay")
    if json:
        sub.add_argument("--json", action="store_true", help="for programs")
    return sub


def _seconds(text: str) -> float:
    """Return a time that ends: what is taken back by itself after it must not wait for ever."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: 0 or more seconds, such as 90")
    return value


def _for_people(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    _add(commands, "status", "status:status", "show hosts, addresses and problems",
         "Exit code 0 when the overlay is up, else 1. What needs attention stands first. A "
         "narrow terminal gets fewer columns; `| cat` shows all.",
         json=True)  # fmt: skip
    peers = _add(commands, "peers", "peers:peers", "show how each host is reached, and since when",
                 json=True)  # fmt: skip
    peers.add_argument("peer", nargs="?", metavar="NAME|ADDRESS|ID", help="one host, in full")
    _add(commands, "watch", "watch:watch", "show what happens, as it happens",
         "On a terminal a view that follows (q or Ctrl-C leaves); else a line for each change.",
         json=True)  # fmt: skip
    doctor = _add(
        commands, "doctor", "doctor:doctor", "look for what is wrong, and say how to mend it",
        "Exit code 0 without a fault, else 1. As root it also sends probes across the overlay.",
        json=True,
    )  # fmt: skip
    doctor.add_argument("checks", nargs="*", metavar="CHECK", help="only these; default: all")
    kubernetes = _add(
        commands, "kubernetes", "kubernetes:kubernetes",
        "show what Kubernetes is told of the overlay, and what contradicts it",
        "show (the default): what was found, what is written where and why; exit code 1 if "
        "something contradicts it. apply: write it. wait: until it is written and the overlay is "
        "up, as Kubernetes' units do. adopt: write it although Kubernetes was set up without the "
        "overlay. withdraw: remove what was written. init-config, join-config: print a "
        "configuration for kubeadm. daemonset: print kube-vip's manifest for kubectl. watch-vip: "
        "give up the lease of a host that is gone (the service edge-overlay-vip does this).",
        json=True,
    )  # fmt: skip
    kubernetes.add_argument("action", nargs="?", choices=KUBERNETES_ACTIONS, default="show",
                            metavar="|".join(KUBERNETES_ACTIONS), help="default: show")  # fmt: skip
    kubernetes.add_argument("--unit", metavar="UNIT", help="wait: which unit is to start")
    kubernetes.add_argument("--timeout", type=_seconds, default=60.0, metavar="SECONDS",
                            help="wait: default: %(default)s")  # fmt: skip
    kubernetes.add_argument("--token", metavar="TOKEN", help="join-config: kubeadm's token")
    kubernetes.add_argument("--ca-cert-hash", action="append", default=[], metavar="HASH",
                            help="join-config: the CA's; may be repeated")  # fmt: skip
    kubernetes.add_argument("--certificate-key", metavar="KEY",
                            help="join-config: of a control plane's certificates")  # fmt: skip
    _add(commands, "check", "check:check", "check this host's user-data",
         "As `edge-build validate` does: the image's, and the volume's. Exit code 0 without an "
         "error, else 1.")  # fmt: skip
    reset = _add(commands, "reset", "reset:reset",
                 "forget the stored address, so that another can be claimed")  # fmt: skip
    reset.add_argument("--yes", action="store_true", help="don't ask")


def _for_scripts(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    address = _add(commands, "address", "lookup:field", "print this host's overlay address")
    address.set_defaults(field="address")
    vip = _add(commands, "vip", "lookup:field",
               "print the cluster's virtual address, the first of the range")  # fmt: skip
    vip.set_defaults(field="vip")
    wait = _add(commands, "wait", "lookup:wait", "wait until the overlay is up",
                "Exit code 1 when it isn't in time, or can't be.")  # fmt: skip
    wait.add_argument("--timeout", type=_seconds, default=120.0, metavar="SECONDS",
                      help="default: %(default)s")  # fmt: skip


def _for_units(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    for name, text in (
        ("run", "run the agent (the service edge-overlay does this)"),
        ("gather", "find user-data at boot (edge-overlay-gather does this)"),
    ):
        sub = _add(commands, name, f"service:{name}", text)
        sub.add_argument("--identity", metavar="TEXT", help="instead of the hardware's identity")
        sub.add_argument("--debug", action="store_true", help="log every step")
    stage = _add(commands, "run-stage", "stage:stage", "run a stage of user-data's `stages:`",
                 "With its .before and .after, as Kairos's agent does (the services edge-stage-* "
                 "do this). Exit code 0 if nothing failed, else 1.")  # fmt: skip
    stage.add_argument("stages", nargs="+", metavar="NAME", help="such as boot")
    stage.add_argument("--dry-run", action="store_true", help="show what would run, and the order")
    stage.add_argument("--command-limit", type=float, metavar="SECONDS",
                       help="for each command, instead of the stage's own")  # fmt: skip
    stage.add_argument("--stage-limit", type=float, metavar="SECONDS",
                       help="for the whole stage, instead of its own")  # fmt: skip
    stage.add_argument("--debug", action="store_true", help="log every step, and all output")
    network = _add(commands, "network", "network:network",
                   "configure the network as described (edge-overlay-network does this)",
                   "`apply` does it, also after user-data was changed; `watch` looks whether it "
                   "holds on site, and falls back if it does not.")  # fmt: skip
    network.add_argument("action", choices=("apply", "watch"), metavar="apply|watch",
                         help="what to do")  # fmt: skip
    network.add_argument("--debug", action="store_true", help="log every step")


def _for_running_hosts(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    sub = _add(commands, "host", "host:host",
               "prepare a host that already runs for the overlay, or give it back",
               "check: is it ready? prepare: hand its network to systemd-networkd and -resolved, "
               "as one transaction that takes itself back unless it is confirmed. confirm: keep "
               "it. undo: all as it was before.", json=True)  # fmt: skip
    sub.add_argument("action", choices=HOST_ACTIONS, metavar="|".join(HOST_ACTIONS[:-1]))
    sub.add_argument("--dry-run", action="store_true", help="show the plan, change nothing")
    sub.add_argument("--yes", action="store_true", help="don't ask")
    sub.add_argument("--target", action="append", default=[], metavar="ADDRESS",
                     help="must stay reachable too; may be repeated")  # fmt: skip
    sub.add_argument("--lost-after", type=_seconds, default=60.0, metavar="SECONDS",
                     help="how long gateway or target may be lost; default: 60")  # fmt: skip
    sub.add_argument("--confirm-within", type=_seconds, default=180.0, metavar="SECONDS",
                     help="take it back without confirmation by then; default: 180")  # fmt: skip
    sub.add_argument("--no-confirm", action="store_true",
                     help="don't wait for confirmation: reachability alone decides")  # fmt: skip
    sub.add_argument("--ignore-commands", action="store_true",
                     help="leave out the commands of /etc/network/interfaces")  # fmt: skip
    sub.add_argument("--force", action="store_true",
                     help="undo: also what somebody has changed since")  # fmt: skip


KUBERNETES_ACTIONS = (
    "show", "apply", "wait", "adopt", "withdraw", "init-config", "join-config", "daemonset",
    "watch-vip",
)  # fmt: skip

HOST_ACTIONS = ("check", "prepare", "confirm", "undo", "work")
"""The last one is for edge-overlay-host.service."""
