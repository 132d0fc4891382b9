"""Run a command under a seccomp profile as Docker reads it.

python -m tests.support.seccomp_profile PROFILE COMMAND ...
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pyseccomp

__all__ = ["main"]


def main(profile: str, *command: str) -> None:
    """Load the profile into this process, and become the command."""
    told = json.loads(Path(profile).read_text("utf-8"))
    assert told["defaultAction"] == "SCMP_ACT_ALLOW", "only lists of what is forbidden are understood here"
    filter_ = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    for rule in told["syscalls"]:
        assert rule["action"] == "SCMP_ACT_ERRNO"
        assert not rule.get("args")
        for name in rule["names"]:
            try:
                filter_.add_rule(pyseccomp.ERRNO(rule["errnoRet"]), name)
            except (ValueError, OSError):
                continue  # not of this architecture, or not known to this libseccomp; runc passes over it too
    filter_.load()
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
