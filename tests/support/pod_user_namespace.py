"""Run a command as in a pod with `hostUsers: false` and `procMount: Unmasked`.

    python -m tests.support.pod_user_namespace COMMAND ...

Only root can, as only the container runtime can: the user namespace has 65,536 users, of which root is one, and none is
a user of the machine. The command starts as the root of that namespace, in namespaces for processes and mounts of its
own.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from grader.sandbox.jail import linux

__all__ = ["FIRST_USER", "main"]

FIRST_USER = 100_000  # the number that user 0 of the namespace has outside


def main(*command: str) -> int:
    """Make the namespaces, run the command in them, and return its exit code."""
    ready, mapped = os.pipe(), os.pipe()
    if (child := os.fork()) == 0:
        linux.unshare(linux.CLONE_NEWUSER)
        os.write(ready[1], b"!")
        os.read(mapped[0], 1)
        _become_root()
        linux.unshare(linux.CLONE_NEWNS | linux.CLONE_NEWPID)
        _run_as_first_process(command)
    os.read(ready[0], 1)
    for kind in ("uid_map", "gid_map"):
        Path(f"/proc/{child}/{kind}").write_text(f"0 {FIRST_USER} 65536")
    os.write(mapped[1], b"!")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _become_root() -> None:
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def _run_as_first_process(command: tuple[str, ...]) -> None:
    if (first := os.fork()) == 0:
        linux.die_with_parent()
        linux.make_private()
        linux.mount("proc", Path("/proc"))
        os.execvp(command[0], command)
    os._exit(os.waitstatus_to_exitcode(os.waitpid(first, 0)[1]))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
