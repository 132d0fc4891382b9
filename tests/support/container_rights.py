"""The rights of a container's process, for a command that runs without a container."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from typing import Any

from tests.support.paths import ROOT

__all__ = ["LAYERS_OF_ROOT", "NOBODY", "SHOW_LAYERS", "confine"]

NOBODY = 65534
LAYERS_OF_ROOT = ["cpu cgroup", "memory cgroup", "pids cgroup", "devices cgroup", "unprivileged user"]
# Print what is wrong with each layer of the sandbox: its name, whether it holds, and the remark.
SHOW_LAYERS = """
from grader.assignment import Limits
from grader.sandbox.host.sandbox import Zygote
with Zygote(("json",)) as zygote, zygote.sandbox(Limits()) as sandbox:
    for layer in sandbox.layers:
        if layer.reason:
            print(layer.name, layer.on, layer.reason.partition(":")[0], sep=",")
"""


def confine(service: Mapping[str, Any], user: int) -> list[str]:
    """Return what runs a command with a container's rights: its user, its capabilities (none), its seccomp profile.

    Args:
        service: the service of a compose file.
        user: the number of the user, if this process is root's.
    """
    options = dict(re.split("[:=]", option, maxsplit=1) for option in service["security_opt"])
    rights = ["setpriv", "--no-new-privs", "--inh-caps=-all"]
    if os.geteuid() == 0:
        rights += [f"--reuid={user}", f"--regid={user}", "--clear-groups", "--bounding-set=-all", "--pdeathsig=KILL"]
    if profile := options.get("seccomp"):
        rights += [sys.executable, "-m", "tests.support.seccomp_profile", str(ROOT / profile)]
    return rights
