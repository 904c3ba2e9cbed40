"""Every rule: what `edge-build validate` can find, by its name."""

from __future__ import annotations

from overlay_runtime.userdata.finding import Rule, Severity

_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE

# the file
SYNTAX = Rule("syntax", _E, "The file is not YAML, or has a key twice.")
HEADER = Rule("header", _E, "The first line is not #cloud-config: cloud-init ignores the file.")
UNKNOWN_KEY = Rule("unknown-key", _E, "A key that nobody acts on.")
UNHEARD_OF = Rule("unheard-of-key", _W, "A key or block of another program's, not known here.")
TYPE = Rule("type", _E, "A value of the wrong type.")
STAGE_TYPE = Rule("stage-type", _E, "A value of the wrong type in a stage: Kairos drops the file's "
                  "stages in silence.")  # fmt: skip
UNQUOTED = Rule("unquoted", _W, "A number or true/false where cloud-init expects text.")
VALUE = Rule("value", _E, "A value that can't be used.")
NOT_ACTED_ON = Rule("not-acted-on", _N, "A key for another program: nothing happens with the "
                    "Debian base.")  # fmt: skip
KAIROS_ONLY = Rule("kairos-only", _N, "A key that is acted on by Kairos images alone.")
OVERLAY = Rule("overlay", _E, "Something in the `overlay:` block.")
NO_OVERLAY = Rule("no-overlay", _W, "No `overlay:` block: the hosts bring up no overlay.")
EXAMPLE_SECRET = Rule("example-secret", _W, "A secret that everybody knows.")
INSECURE = Rule("insecure", _W, "An overlay that anybody can join.")
NO_LOGIN = Rule("no-login", _W, "Nobody could log in.")
AS_CLOUD_INIT = Rule("as-cloud-init", _W, "A value that means one thing to Kairos, and another "
                     "to cloud-init, which acts on the key here.")  # fmt: skip

# files and permissions
MODE = Rule("mode", _E, "Permissions that can't be meant.")
NO_MODE = Rule("no-mode", _W, "A file or directory without permissions: on Kairos mode 0000.")

# stages
NEVER_RUN = Rule("never-run", _E, "A stage that no program runs.")
CUSTOM_STAGE = Rule("custom-stage", _W, "A stage of the user's own, which runs only by hand.")
AFTER = Rule("after", _E, "`after` with a step that isn't there: Kairos's executor crashes.")
AFTER_NAME = Rule("after-name", _W, "`after` by a name that Kairos drops: its executor crashes.")
CYCLE = Rule("cycle", _E, "Steps that wait for each other.")
TEMPLATE = Rule("template", _E, "A Go template that doesn't parse: Kairos leaves it as it is.")
NO_VALUE = Rule("template-value", _W, "A template with a key that Kairos doesn't have: it renders "
                "`<no value>`.")  # fmt: skip
NOT_ON_DEBIAN = Rule("template-function", _W, "A function of templates that is not there on Debian "
                     "hosts: a template with it is left as it is.")  # fmt: skip
REGEX = Rule("regex", _E, "A regular expression that can't be read: the step never runs.")
TOO_EARLY = Rule("too-early", _W, "A step that needs a network before there is one.")
PLACEHOLDER = Rule("placeholder", _E, "A placeholder that was not filled in.")
NOTHING_TO_DO = Rule("nothing-to-do", _W, "A step that does nothing.")
KAIROS_ONLY_STEP = Rule(
    "kairos-step", _N, "A step's key that is not acted on with the Debian base."
)
RUNCMD_LIST = Rule("runcmd-list", _W, "A command as a list: cloud-init takes it, Kairos drops the "
                   "whole file.")  # fmt: skip

# network
NIC_NAME = Rule("nic-name", _E, "A name that no NIC can have.")
ADDRESS = Rule("address", _E, "An address that can't be used.")
MASK = Rule("mask", _E, "A mask that is none, is missing, or contradicts the address.")
GATEWAY = Rule("gateway", _E, "A gateway that can't be reached from the address.")
UNUSED = Rule("unused", _W, "A key without effect.")
ADDRESS_TWICE = Rule("address-twice", _E, "The same address on two NICs.")
SUBNET_TWICE = Rule("subnet-twice", _W, "Two NICs in overlapping networks.")
GATEWAY_TWICE = Rule("gateway-twice", _W, "Two default gateways.")
OVERLAP = Rule("overlap", _E, "Ranges that overlap.")
PHYSICAL_RANGE = Rule("physical-range", _W, "A physical network that overlaps a range of "
                      "Kubernetes'.")  # fmt: skip
PORT_TWICE = Rule("port-twice", _E, "A port that this file gives to two programs.")
PORT_OF_OTHERS = Rule("port-of-others", _W, "A port that another program is known for.")
PROXY = Rule("proxy", _E, "A proxy that is no URL.")
NO_PROXY = Rule("no-proxy", _W, "A proxy through which the cluster's own traffic would go.")
NO_NAMESERVER = Rule("no-nameserver", _W, "Static addresses alone, and no name server.")
NIC_LINK = Rule("nic-link", _E, "A VLAN, bond or match that can't be made.")

ALL: tuple[Rule, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Rule)
)
"""In the order of this file."""
