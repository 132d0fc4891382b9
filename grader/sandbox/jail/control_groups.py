"""Limits on the memory and the processes of a whole process tree, if the machine lets us make control groups."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from grader.sandbox.protocol.limits import Limits

__all__ = ["make_control_groups"]

_ROOT = Path("/sys/fs/cgroup")
_SECONDS_TO_EMPTY = 5.0


@contextmanager
def make_control_groups(limits: Limits, kinds: frozenset[str]) -> Iterator[dict[str, str]]:
    """Make a control group for each kind ("memory", "pids"), and remove the groups at the end.

    Args:
        limits: the limits to set.
        kinds: the kinds of groups to make.

    Yields:
        For each kind the group's folder, or the reason why it could not be made, which does not start with "/".
    """
    made: list[Path] = []
    groups: dict[str, str] = {}
    name = f"grader-{os.getpid()}-{uuid.uuid4().hex[:12]}"
    bounds = {
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
                _write_bounds(folder, kind, bounds[kind])
                groups[kind] = str(folder)
            except OSError as error:
                groups[kind] = f"no control group for {kind}: {error.strerror or error}"
        yield groups
    finally:
        for folder in made:
            _remove(folder)


def _find_parent(kind: str) -> Path:
    """Return the folder to make a group in: the root for version 2, or our own group in a hierarchy of version 1."""
    if (_ROOT / "cgroup.controllers").exists():
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
                os.kill(int(pid), 9)
            time.sleep(0.005)
