"""Run a command as an ordinary user who can make no namespaces, as on hosts that forbid them.

    python tests/support/without_namespaces.py COMMAND...

The limits of a user namespace hold for everything below it. So this enters one, sets them to 0, and gives up the
capabilities that it had there.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

__all__ = ["AS_USER", "UNKEPT_KEY", "WITHOUT_NAMESPACES"]

_CLONE_NEWUSER = 0x10000000
_KINDS = ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup")

# What to put before a command: as an ordinary user, and as one without namespaces.
AS_USER = ("setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups") if os.geteuid() == 0 else ()
WITHOUT_NAMESPACES = (*AS_USER, sys.executable, str(Path(__file__)))
# That user cannot read the key of the tests. In a folder where none can be made, the grader makes one for the process.
UNKEPT_KEY = {"GRADER_KEY_FILE": "", "XDG_STATE_HOME": "/proc"}


def _main(command: list[str]) -> None:
    user, group = os.geteuid(), os.getegid()
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    for kind in _KINDS:
        Path(f"/proc/sys/user/max_{kind}_namespaces").write_text("0")
    os.execvp(command[0], command)


if __name__ == "__main__":
    _main(sys.argv[1:])
