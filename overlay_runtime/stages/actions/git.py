"""`git`: a repository, cloned or brought up to date (yip, `pkg/plugins/git_binary.go`)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from overlay_runtime.stages.actions.directories import clean
from overlay_runtime.stages.context import Context, Refused, reason

_ANSWER = b"""#!/bin/sh
case $1 in
    [Uu]sername*) printf '%s\\n' "$EDGE_GIT_USERNAME" ;;
    *) printf '%s\\n' "$EDGE_GIT_PASSWORD" ;;
esac
"""


def apply(context: Context, step: Mapping[str, Any]) -> None:
    """Clone, or fetch and reset."""
    wanted = step["git"]
    if not wanted["url"]:
        return
    try:
        with ExitStack() as stack:
            _update(context, wanted, _login(context, wanted["auth"], stack))
        context.did("git")
    except (OSError, ValueError, Refused) as error:
        context.failed(f"`git` failed: {reason(error)}")


def _update(context: Context, wanted: Mapping[str, Any], login: dict[str, str]) -> None:
    path, branch = clean(wanted["path"]), wanted["branch"] or "master"
    if context.run("git", "--version").code != 0:
        raise Refused("the program `git` is not there; add the package git to the image")
    if context.tree.exists(f"{path}/.git"):
        _git(context, login, "-C", path, "fetch", "origin", branch)
        _git(context, login, "-C", path, "reset", "--hard", "FETCH_HEAD")
        if wanted["branch_only"]:
            _git(context, login, "-C", path, "checkout", branch)
        return
    single = ["--single-branch"] if wanted["branch_only"] else []
    _git(context, login, "clone", "--quiet", *single, "--branch", branch, "--", wanted["url"], path)


def _git(context: Context, login: dict[str, str], *words: str) -> None:
    done = context.run("git", *words, GIT_TERMINAL_PROMPT="0", **login)
    if not done.good:
        what = next(word for word in words if word in ("clone", "fetch", "reset", "checkout"))
        raise Refused(f"git {what} {_without(done.failure(), login)}")


def _without(said: str, login: dict[str, str]) -> str:
    """Return what git said without the password. Those in URLs are left out already."""
    secret = login.get("EDGE_GIT_PASSWORD")
    return said.replace(secret, "…") if secret else said


def _login(context: Context, auth: Mapping[str, Any], stack: ExitStack) -> dict[str, str]:
    """Return the environment by which git logs in; no secret is in a command line."""
    found: dict[str, str] = {}
    if auth["username"] and auth["password"]:
        found["GIT_ASKPASS"] = stack.enter_context(context.tree.temporary(_ANSWER, 0o700))
        found["EDGE_GIT_USERNAME"] = auth["username"]
        found["EDGE_GIT_PASSWORD"] = auth["password"]
    ssh = ["ssh", "-o", "BatchMode=yes"]
    if auth["private_key"]:
        key = auth["private_key"].rstrip("\n").encode() + b"\n"
        path = stack.enter_context(context.tree.temporary(key, 0o600))
        ssh += ["-i", path, "-o", "IdentitiesOnly=yes"]
    if auth["public_key"]:
        known = stack.enter_context(
            context.tree.temporary(b"* " + auth["public_key"].strip().encode() + b"\n", 0o600)
        )
        ssh += ["-o", f"UserKnownHostsFile={known}", "-o", "StrictHostKeyChecking=yes"]
    elif auth["insecure"]:
        ssh += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    if auth["insecure"]:
        found["GIT_SSL_NO_VERIFY"] = "1"
    found["GIT_SSH_COMMAND"] = " ".join(ssh)
    return found
