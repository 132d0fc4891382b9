"""The files of the host that a sandbox can see, and the rules by which Landlock allows them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from grader.gpu.device import DeviceAccess
from grader.sandbox.jail.device_rules import COMMON_DEVICES
from grader.sandbox.jail.linux import PathRules
from grader.sandbox.jail.readable import find_readable

__all__ = ["FileView"]

# What the private file system makes anew. On the host, passwd and group have the names of the machine's users.
_MADE = ("passwd", "group", "hosts", "nsswitch.conf")
_HARMLESS = ("hosts", "nsswitch.conf")
# Files of the host's /proc that tell of the machine and of no process. Everything else in it stays out of reach, also
# what is below /proc/self: its `net` has the connections of the whole machine.
_MACHINE = ("cpuinfo", "filesystems", "loadavg", "meminfo", "stat", "uptime", "version")
# CUDA names its threads, here. If it cannot, it gives up.
_THREAD_NAMES = Path("/proc/self/task")

find_readable()  # here, in the warm process, because it takes 2 ms in a fork


@dataclass(frozen=True)
class FileView:
    """The files of the host that the sandbox can see.

    Args:
        hidden: files and folders that are covered in the sandbox.
        shown: folders of the sandbox, with the folder of the host that is bound there, read-only.
        readable: files and folders that can be read at the same path.
        device: the device that the sandbox may use, and the files that it needs for that.
    """

    hidden: tuple[Path, ...]
    shown: Mapping[Path, Path] = field(default_factory=dict)
    readable: tuple[Path, ...] = field(default_factory=find_readable)
    device: DeviceAccess | None = None

    @property
    def nodes(self) -> tuple[Path, ...]:
        """The device files of the sandbox."""
        return (*COMMON_DEVICES, *self._used)

    @property
    def bound(self) -> tuple[Path, ...]:
        """The files and folders that can be read at the same path, without those inside others."""
        needed = [path for path in (self.device.files if self.device else ()) if not path.is_relative_to("/proc")]
        return (*self.readable, *(path for path in needed if not any(map(path.is_relative_to, self.readable))))

    @property
    def _used(self) -> tuple[Path, ...]:
        return self.device.nodes if self.device else ()

    def rules_inside(self, writable: tuple[Path, ...]) -> PathRules:
        """Return Landlock's rules in the private file system, where hidden folders are covered."""
        made = (Path("/etc") / name for name in _MADE)
        return PathRules(
            readable=(*self.bound, *made, Path("/proc"), *self.shown),
            writable=(*writable, Path("/dev/pts"), *COMMON_DEVICES),
            used=self._used,
            overwritten=(_THREAD_NAMES,) if self.device else (),
        )

    def rules_outside(self, writable: tuple[Path, ...]) -> PathRules:
        """Return Landlock's rules in the host's own file system, where nothing covers the hidden folders.

        A rule holds for everything below its path. So a folder with something hidden in it may only be listed, and what
        is beside the hidden in it has rules of its own. CUDA cannot be used there: it reads more of /proc.
        """
        hidden = {path.resolve() for path in self.hidden}
        listed: list[Path] = []
        readable = [path for root in self.readable for path in _go_around(root.resolve(), hidden, listed)]
        of_machine = [Path("/etc") / name for name in _HARMLESS] + [Path("/proc") / name for name in _MACHINE]
        return PathRules(
            readable=(*readable, *of_machine),
            writable=(*writable, *COMMON_DEVICES),
            listed=tuple(listed),
            used=self._used,
        )


def _go_around(path: Path, hidden: set[Path], listed: list[Path]) -> Iterator[Path]:
    """Yield what is readable at and below a path without what is hidden; add the folders on the way to `listed`."""
    if any(path.is_relative_to(other) for other in hidden):
        return
    if not any(other.is_relative_to(path) for other in hidden):
        yield path
        return
    listed.append(path)
    for entry in os.scandir(path):
        if not entry.is_symlink():  # it may lead to what is hidden, and what it leads to has a rule if it is readable
            yield from _go_around(Path(entry.path), hidden, listed)
