"""What the layers did to the first process, as Linux tells it: a call that succeeded is not believed."""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from grader.sandbox.jail.layer_log import LayerLog
from grader.sandbox.protocol.limits import Limits

__all__ = ["FirstProcess", "Host"]

_NAMESPACES = {"user": "user", "mount": "mnt", "net": "net", "ipc": "ipc", "uts": "uts"}  # layer: name in /proc
_CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapAmb")
_NO_EFFECT = "it was applied without an error, and has no effect"


@dataclass(frozen=True)
class Host:
    """What a process sees before it leaves the host.

    Attributes:
        namespaces: the namespaces of the warm process, by their names in /proc.
        user: the user id of the warm process.
        root: device and inode of the root folder.
    """

    namespaces: Mapping[str, str]
    user: int
    root: tuple[int, int]

    @classmethod
    def observe(cls, processes: int, zygote: int) -> Self:
        """Look at the host.

        Args:
            processes: a descriptor of its /proc.
            zygote: the process id of the warm process there.
        """
        return cls(_read_namespaces(processes, str(zygote)), os.geteuid(), _find_root())


class FirstProcess:
    """The first process as Linux shows it. Its files of /proc are opened now, because Landlock forbids it later.

    Args:
        processes: a descriptor of the host's /proc.
    """

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._status, self._users = (
            os.open(f"self/{name}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=processes) for name in ("status", "uid_map")
        )

    def withdraw_without_effect(self, layers: LayerLog, host: Host, limits: Limits) -> None:
        """Record that layers do not hold whose effect Linux does not show.

        It shows nothing of control groups, which are checked when they are joined, and of Landlock, which each fork
        checks when it restricts its files.
        """
        namespaces = _read_namespaces(self._processes, "self")
        status = self._read_status()
        effects = {
            **{f"{name} namespace": namespaces[kind] != host.namespaces[kind] for name, kind in _NAMESPACES.items()},
            "unprivileged user": self._read_outer_user() not in (0, host.user),
            "pid namespace": os.getpid() == 1,
            "private file system": _find_root() != host.root,
            "capabilities": not any(int(status[name], 16) for name in _CAPABILITIES),
            "no new privileges": status["NoNewPrivs"] == "1",
            "seccomp": status["Seccomp"] == "2",
            "resource limits": 0 <= resource.getrlimit(resource.RLIMIT_DATA)[1] <= limits.memory_bytes,
        }
        for name, holds in effects.items():
            if layers.holds(name) and not holds:
                layers.fail(name, _NO_EFFECT)
        for descriptor in (self._status, self._users):
            os.close(descriptor)

    def _read_outer_user(self) -> int:
        """Return the user id outside the user namespace, in which this process may have another."""
        for line in os.read(self._users, 4096).decode().splitlines():
            first, outer, count = map(int, line.split())
            if first <= os.geteuid() < first + count:
                return outer + os.geteuid() - first
        return os.geteuid()

    def _read_status(self) -> dict[str, str]:
        lines = (line.partition(":") for line in os.read(self._status, 16384).decode(errors="replace").splitlines())
        return {name: value.strip() for name, _, value in lines}


def _read_namespaces(processes: int, process: str) -> dict[str, str]:
    return {kind: os.readlink(f"{process}/ns/{kind}", dir_fd=processes) for kind in _NAMESPACES.values()}


def _find_root() -> tuple[int, int]:
    root = Path("/").stat()
    return root.st_dev, root.st_ino
