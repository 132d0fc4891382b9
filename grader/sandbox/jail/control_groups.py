"""Bounds on what a whole process tree may use, if the machine lets us make control groups.

A group for memory or processes sets a limit, and one for devices says which device files can be opened. A group for the
CPU sets no limit. It gives the whole tree one share, so that a sandbox with hundreds of busy processes
gets no more time than the next one.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from grader.sandbox.jail import linux
from grader.sandbox.jail.device_rules import COMMON_DEVICES, allow_devices
from grader.sandbox.protocol.limits import Limits

__all__ = ["CONTROL_GROUPS", "join_control_group", "make_control_groups"]

CONTROL_GROUPS = ("cpu", "memory", "pids", "devices")

_ROOT = Path("/sys/fs/cgroup")
_SECONDS_TO_EMPTY = 5.0
# As much as Linux gives a group, or in version 1 a single process, if nothing is set.
_WEIGHT, _SHARES = 100, 1024


@contextmanager
def make_control_groups(
    limits: Limits, kinds: frozenset[str], devices: Sequence[Path] = ()
) -> Iterator[dict[str, str]]:
    """Make a control group for each kind (of `CONTROL_GROUPS`), and remove the groups at the end.

    Args:
        limits: the limits to set.
        kinds: the kinds of groups to make.
        devices: the device files that can be opened besides those of every sandbox.

    Yields:
        For each kind the group's folder, or the reason why it could not be made, which does not start with "/".
    """
    made: list[Path] = []
    groups: dict[str, str] = {}
    name = f"grader-{os.getpid()}-{uuid.uuid4().hex[:12]}"
    bounds = {
        "cpu": {"cpu.weight": _WEIGHT, "cpu.shares": _SHARES},
        "memory": {
            "memory.max": limits.memory_bytes,
            "memory.swap.max": 0,
            "memory.limit_in_bytes": limits.memory_bytes,
        },
        "pids": {"pids.max": limits.processes},
    }
    try:
        for kind in sorted(kinds):
            try:
                folder = _find_parent(kind) / name
                _remove_orphans(folder.parent)
                if folder not in made:
                    folder.mkdir()
                    made.append(folder)
                if kind == "devices":
                    allow_devices(folder, (*COMMON_DEVICES, *devices))
                else:
                    _write_bounds(folder, kind, bounds[kind])
                groups[kind] = str(folder)
            except OSError as error:
                groups[kind] = f"no control group for {kind}: {error.strerror or error}"
        yield groups
    finally:
        for folder in made:
            _remove(folder)


def join_control_group(folder: str) -> None:
    """Move this process into a group.

    Raises:
        OSError: it is not in the group afterwards.
    """
    linux.write_file(f"{folder}/cgroup.procs", "0")  # 0 stands for the process that writes
    if str(os.getpid()) not in Path(folder, "cgroup.procs").read_text().split():
        raise OSError(f"{folder} does not take processes")


def _find_parent(kind: str) -> Path:
    """Return the folder to make a group in: the root for version 2, or our own group in a hierarchy of version 1.

    In version 2 this lets groups in the root have the controller.
    """
    if (_ROOT / "cgroup.controllers").exists():
        if kind == "devices":
            return _ROOT  # every group can have a program for them
        with suppress(OSError):  # systemd has usually done it; what cannot be enabled is noticed at the group's files
            (_ROOT / "cgroup.subtree_control").write_text(f"+{kind}")
        return _ROOT
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if kind in controllers.split(","):
            return _ROOT / kind / path.lstrip("/")
    raise OSError(f"this machine has no {kind} controller")


def _write_bounds(folder: Path, kind: str, bounds: dict[str, int]) -> None:
    written = 0
    for name, value in bounds.items():
        if (folder / name).exists():
            (folder / name).write_text(str(value))
            written += 1
    if not written:
        raise OSError(f"the {kind} controller is not enabled for {folder.parent}")


def _remove_orphans(parent: Path) -> None:
    """Remove the groups of graders that were killed before they could remove them."""
    for folder in parent.glob("grader-*-*"):
        owner = folder.name.split("-")[1]
        if not Path("/proc", owner).exists():
            _remove(folder)


def _remove(folder: Path) -> None:
    # The kernel releases a group shortly after its last process has ended.
    deadline = time.monotonic() + _SECONDS_TO_EMPTY
    while True:
        try:
            folder.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            for pid in (folder / "cgroup.procs").read_text().split():
                with suppress(ProcessLookupError):  # it may end by itself meanwhile
                    os.kill(int(pid), 9)
            time.sleep(0.005)
