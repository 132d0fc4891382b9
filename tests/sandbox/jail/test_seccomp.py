"""The system calls that CUDA makes are allowed, so that no later change of the list takes one away."""

from __future__ import annotations

from grader.sandbox.host.sandbox import Zygote
from grader.sandbox.jail.seccomp import ALLOWED
from tests.support.device_files import grant
from tests.support.sandbox_runs import ran

# What the driver's library and CUDA's use each of them for. docs/gpu.md names where this is known from.
OF_CUDA = {
    "ioctl": "every request to the driver",
    "mmap": "memory of the device and of the host that both see; reservations of addresses",
    "munmap": "the same, given back",
    "mprotect": "a part of a reservation comes into use",
    "mremap": "memory of the host grows",
    "madvise": "reserved memory is not copied to forks and core dumps",
    "mincore": "which addresses are taken",
    "mlock": "buffers that the device reads",
    "munlock": "the same, given back",
    "memfd_create": "memory that its threads share; cuInit fails without it",
    "ftruncate": "the size of that memory",
    "fallocate": "the same, at once",
    "openat": "device files, the driver's and the machine's descriptions",
    "newfstatat": "device files are there and have the right number",
    "fcntl": "files are closed on exec",
    "readlink": "the program's own path",
    "getdents64": "the list of the machine's NUMA nodes",
    "get_mempolicy": "NUMA nodes near to the device",
    "set_mempolicy": "the same",
    "mbind": "the same",
    "sched_getaffinity": "processors near to the device",
    "sched_setaffinity": "the same, for threads of the driver",
    "getcpu": "the same",
    "sched_get_priority_max": "priorities of the driver's threads",
    "sched_get_priority_min": "the same",
    "sched_yield": "waiting for the device without sleeping",
    "clone": "threads of the driver",
    "futex": "threads wait for each other",
    "set_robust_list": "the same",
    "rseq": "the same",
    "prctl": "names of threads",
    "gettid": "the same",
    "eventfd2": "the device wakes a thread",
    "pipe2": "the same",
    "poll": "the same",
    "ppoll": "the same",
    "epoll_create1": "the same",
    "epoll_wait": "the same",
    "timerfd_create": "the same",
    "clock_nanosleep": "waiting",
    "sysinfo": "how much memory the machine has",
    "uname": "the kernel's version",
    "prlimit64": "whether addresses are limited",
    "getuid": "the user",
    "geteuid": "whether device files could be made",
    "getpid": "the process, for the driver",
    "connect": "the question whether MPS runs; nothing answers",
}


def test_the_calls_of_cuda_are_allowed() -> None:
    assert set(OF_CUDA) - set(ALLOWED) == set()


def test_what_cuda_needs_of_the_kernel_works_in_a_sandbox_with_a_device(zygote: Zygote) -> None:
    cell = """
import ctypes, mmap, os, threading
libc = ctypes.CDLL(None, use_errno=True)
refused = []
def need(name, result):
    if result is None or result < 0:
        refused.append(f"{name}: {os.strerror(ctypes.get_errno())}")
memory = os.memfd_create("shared", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
need("ftruncate", libc.ftruncate(memory, 2**20))
shared = mmap.mmap(memory, 2**20)
libc.mmap.restype = ctypes.c_void_p
reserved = libc.mmap(None, ctypes.c_size_t(2**43), 0, 0x4022, -1, ctypes.c_long(0))
if reserved in (None, 2**64 - 1):
    refused.append("8 TiB of addresses")
else:
    start = ctypes.c_void_p(reserved)
    need("mprotect", libc.mprotect(start, ctypes.c_size_t(2**21), 3))
    need("madvise", libc.madvise(start, ctypes.c_size_t(2**21), 10))
    need("mincore", libc.mincore(start, ctypes.c_size_t(4096), ctypes.create_string_buffer(1)))
    need("mlock", libc.mlock(start, ctypes.c_size_t(4096)))
mode, nodes = ctypes.c_int(), (ctypes.c_ulong * 64)()
numbers = {"x86_64": (239, 238), "aarch64": (236, 237)}[os.uname().machine]
most, none = ctypes.c_ulong(4096), ctypes.c_ulong(0)
need("get_mempolicy", libc.syscall(numbers[0], ctypes.byref(mode), nodes, most, None, none))
need("set_mempolicy", libc.syscall(numbers[1], 0, None, none))
need("eventfd", libc.eventfd(0, 0o2004000))
need("sched_get_priority_max", os.sched_get_priority_max(os.SCHED_FIFO))
os.sched_setaffinity(0, os.sched_getaffinity(0))
def f(): return tuple(refused)
"""
    with ran(zygote, cell, device=grant()) as made:
        assert made.statuses() == ["ok"]
        assert made.call("f") == ()
