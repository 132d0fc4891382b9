"""What a submission may leave behind on the machine, looked for from outside.

Others may be grading on this machine at the same time: what belongs to another grader is no trace of ours.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

__all__ = ["remaining", "traces"]

_FIRST_USER_ID = 1_879_048_192  # of sandboxes that root makes
_SECONDS_TO_VANISH = 5.0  # a process is reaped a moment after it ended


def traces() -> frozenset[str]:
    """Return every process, file, control group and mount that could be a submission's."""
    return frozenset({*_processes(), *_files(), *_control_groups(), *_mounts()})


def remaining(before: frozenset[str]) -> frozenset[str]:
    """Return what is there now and was not before; what is about to vanish gets the time to."""
    deadline = time.monotonic() + _SECONDS_TO_VANISH
    while (new := traces() - before) and time.monotonic() < deadline:
        time.sleep(0.02)
    return new


def _processes() -> set[str]:
    parents: dict[int, int] = {}
    started: dict[int, str] = {}
    names: dict[int, str] = {}
    users: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            pid = int(name)
            try:
                fields = Path("/proc", name, "stat").read_bytes().rpartition(b")")[2].split()
                users[pid] = Path("/proc", name).stat().st_uid
                status = Path("/proc", name, "status").read_text()
                names[pid] = Path("/proc", name, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue  # it ended meanwhile
            parents[pid], started[pid] = int(fields[1]), fields[19].decode()
            # A process that nobody may look into is root's in /proc, whoever it belongs to.
            users[pid] = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("Uid:"))

    def ancestors(pid: int) -> list[int]:
        found = []
        while pid in parents and pid not in found:
            found.append(pid)
            pid = parents[pid]
        return found

    ours = set()
    for pid in parents:
        line = ancestors(pid)
        foreign = os.getpid() not in line and any("grader.sandbox.jail.zygote" in names[each] for each in line)
        if not foreign and (os.getpid() in line[1:] or users[pid] >= _FIRST_USER_ID):
            ours.add(f"process {pid} since {started[pid]}")
    return ours


def _files() -> set[str]:
    found = set()
    for folder in (Path("/tmp"), Path("/dev/shm"), Path("/var/tmp")):
        for path in folder.iterdir() if folder.is_dir() else ():
            try:
                foreign_user = path.lstat().st_uid >= _FIRST_USER_ID
            except OSError:
                continue
            if foreign_user or path.name.startswith(f"grader-{os.getpid()}-"):
                found.add(f"file {path}")
    return found


def _control_groups() -> set[str]:
    found = set()
    for root, folders, _ in os.walk("/sys/fs/cgroup"):
        for name in folders:
            path = Path(root, name)
            if name.startswith(f"grader-{os.getpid()}-") and not _has_processes(path):
                found.add(f"control group {path}")
    return found


def _has_processes(group: Path) -> bool:
    """Tell whether it is in use: another grader's, because no process of ours is left at that point."""
    try:
        return bool((group / "cgroup.procs").read_text())
    except OSError:
        return True


def _mounts() -> set[str]:
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return {f"mount {line}" for line in lines if line.split()[2] in ("tmpfs", "proc", "devpts")}
