"""What a process that becomes a snapshot inherits from the kernel and gives up, and what a test process may use."""

from __future__ import annotations

import gc
import os
import resource
import signal
import socket
from contextlib import suppress

import torch

__all__ = ["LINE", "keep_only", "limit_memory"]

LINE = 3  # the descriptor of the line to the trusted side


def keep_only(connection: socket.socket) -> socket.socket:
    """Give up the kernel's other sockets, its output, timers and signal handlers, and all tensor threads but one."""
    taken = _list_descriptors()
    os.dup2(connection.fileno(), LINE)
    os.closerange(LINE + 1, 65536)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in taken - {0, LINE, nothing}:  # a function may write to a file that the notebook opened
        os.dup2(nothing, descriptor)
    if nothing not in taken:
        os.close(nothing)
    signal.set_wakeup_fd(-1)
    for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
        signal.setitimer(timer, 0)  # a fork does not inherit them, but the kernel itself may become the snapshot
    for number in (signal.SIGCHLD, signal.SIGALRM, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    # The threads of a parallel operation do not survive a fork, and waiting for them never ends.
    torch.set_num_threads(1)
    gc.freeze()
    return socket.socket(fileno=LINE)


def _list_descriptors() -> set[int]:
    """Return the numbers of the open descriptors, at least those of the standard streams."""
    numbers = {1, 2}
    with suppress(OSError):  # a sandbox without /proc
        numbers |= {int(name) for name in os.listdir("/proc/self/fd")}
    return {number for number in numbers if _is_open(number)}  # the listed folder was open as well


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def limit_memory(memory_bytes: int) -> None:
    """Let this process use `memory_bytes` more than it does now."""
    try:
        with open("/proc/self/status") as status:
            used = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmData"))
    except OSError:
        return  # a sandbox without /proc; only the bound of the whole submission holds
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    bound = used + memory_bytes if hard == resource.RLIM_INFINITY else min(used + memory_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))
