"""Harmless device files that stand for those of GPUs, and what a cell does with them.

A stand-in is a file of its own in /dev, for a device that no sandbox has otherwise. To open it changes nothing, and
every user may do that, as with the files of a GPU.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from grader.gpu.device import DeviceAccess

__all__ = ["WAYS", "find_devices", "grant", "make_nodes"]

_HARMLESS = ("fuse", "tun", "autofs", "btrfs-control", "loop-control", "vga_arbiter")
_MISCELLANEOUS = 10  # the major number of these devices

# Collects the device files that a cell can open and control, by the number of the device, in every way there is.
WAYS = """
import errno, fcntl, os
def opened(path, flags=os.O_RDWR):
    try:
        descriptor = os.open(path, flags)
    except OSError:
        return None
    try:
        fcntl.ioctl(descriptor, 0)
    except OSError as error:
        if error.errno == errno.EACCES:
            return None
    finally:
        number = os.fstat(descriptor).st_rdev
        os.close(descriptor)
    return os.minor(number)

def made(minor):
    for folder in (".", "/tmp", "/dev/shm", "/dev"):
        try:
            os.mknod(f"{folder}/made", 0o020666, os.makedev(10, minor))
        except OSError:
            continue
        yield f"{folder}/made"

def listed(folder):
    try:
        return os.listdir(folder)
    except OSError:
        return []

def reach(path, minor):
    ways = [path, f"/proc/self/root{path}", f"/proc/1/root{path}", f"/proc/self/cwd/../../..{path}", *made(minor)]
    for process in filter(str.isdigit, listed("/proc")):
        ways.append(f"/proc/{process}/root{path}")
        ways += [f"/proc/{process}/fd/{number}" for number in listed(f"/proc/{process}/fd")]
    for number, linked in enumerate([path, f"/proc/1/root{path}"]):
        os.symlink(linked, f"link{number}")
        ways.append(f"link{number}")
    return minor in [opened(way, flags) for way in ways for flags in (os.O_RDWR, os.O_RDONLY, os.O_WRONLY)]
"""


def find_devices(count: int) -> list[int]:
    """Return the minor numbers of devices that can stand for others, or skip the test."""
    if os.geteuid() != 0:
        pytest.skip("only root can make device files")
    lines = (line.split() for line in Path("/proc/misc").read_text().splitlines())
    numbers = {name: int(number) for number, name in lines}
    found = [numbers[name] for name in _HARMLESS if name in numbers]
    if len(found) < count:
        pytest.skip(f"this machine has only {len(found)} of these devices: {', '.join(_HARMLESS)}")
    return found[:count]


@contextmanager
def make_nodes(*minors: int) -> Iterator[list[Path]]:
    """Make a device file in /dev for each number, which every user may open."""
    with ExitStack() as stack:
        nodes: list[Path] = []
        for minor in minors:
            node = Path("/dev") / f"grader-test-{os.getpid()}-nvidia{len(nodes)}"
            os.mknod(node, 0o020666, os.makedev(_MISCELLANEOUS, minor))
            stack.callback(node.unlink)
            node.chmod(0o666)  # whatever the umask is
            nodes.append(node)
        yield nodes


def grant(*nodes: Path, files: tuple[Path, ...] = ()) -> DeviceAccess:
    """Return what gives a sandbox these device files."""
    return DeviceAccess("GPU-stand-in", nodes, files)
