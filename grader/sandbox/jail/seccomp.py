"""The system calls that a student's process may make: an allow-list, compiled once in the zygote.

Every other call fails with EPERM. The list was found by running the acceptance notebooks, DataLoader workers,
multiprocessing, plots and shell commands. docs/sandbox.md lists what is left out on purpose.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable
from typing import Any

from grader.sandbox.jail import linux

__all__ = ["ALLOWED", "SystemCallFilter"]

_BY_PURPOSE = """
    read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek sendfile copy_file_range splice tee
    open openat openat2 creat close close_range dup dup2 dup3 fcntl flock fsync fdatasync sync_file_range
    ftruncate truncate fallocate fadvise64 readahead pipe pipe2 eventfd eventfd2 memfd_create
    stat fstat lstat newfstatat statx access faccessat faccessat2 statfs fstatfs getdents getdents64
    readlink readlinkat getcwd chdir fchdir umask
    mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat
    chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes utimensat futimesat mknod mknodat
    getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr
    inotify_init inotify_init1 inotify_add_watch inotify_rm_watch
    mmap munmap mprotect mremap madvise brk msync mincore mlock munlock mlock2 membarrier
    set_mempolicy get_mempolicy mbind pkey_alloc pkey_free pkey_mprotect map_shadow_stack
    semget semop semctl semtimedop
    mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr
    clone fork vfork execve execveat exit exit_group wait4 waitid
    futex futex_waitv set_robust_list get_robust_list set_tid_address rseq arch_prctl prctl restart_syscall
    kill tkill tgkill rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigsuspend
    rt_sigqueueinfo rt_tgsigqueueinfo sigaltstack pause alarm signalfd signalfd4
    pidfd_open pidfd_send_signal
    getpid getppid gettid getpgid getpgrp getsid setpgid setsid getuid geteuid getgid getegid getresuid getresgid
    getgroups setuid setgid setreuid setregid setresuid setresgid setgroups setfsuid setfsgid capget
    getrlimit setrlimit prlimit64 getrusage getpriority setpriority times sysinfo uname getcpu getrandom
    sched_yield sched_getaffinity sched_setaffinity sched_getparam sched_setparam sched_getscheduler
    sched_setscheduler sched_get_priority_max sched_get_priority_min sched_rr_get_interval sched_getattr
    ioprio_get ioprio_set
    time gettimeofday clock_gettime clock_getres clock_nanosleep nanosleep
    getitimer setitimer timer_create timer_settime timer_gettime timer_getoverrun timer_delete
    timerfd_create timerfd_settime timerfd_gettime
    select pselect6 poll ppoll epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2
    socketpair bind connect listen accept accept4 getsockname getpeername getsockopt setsockopt shutdown
    sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg ioctl
    landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp
"""
ALLOWED = tuple(_BY_PURPOSE.split())

# What else is refused if the sandbox can see the host's files, processes or queues. Sockets are pairs only, so that no
# service answers. Neither Landlock nor permissions keep a process from the rest, which acts on files by their path, or
# on processes and queues of the same user.
_EXPOSED = """
    bind connect listen accept accept4
    truncate inotify_init inotify_init1 inotify_add_watch inotify_rm_watch
    semget semop semctl semtimedop mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr
"""
# These do nothing there, and say that they did: copying a file also sets its mode and its times.
_WITHOUT_EFFECT = """
    chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes utimensat futimesat
"""
# These may name a process. Naming none (0), they act on the one that calls.
_ONLY_ITSELF = ("prlimit64", "sched_setaffinity", "sched_setparam", "sched_setscheduler")
_IOPRIO_WHO_PROCESS = 1

_NAMESPACES = 0x7E020000  # every CLONE_NEW* flag


class SystemCallFilter:
    """The filter, compiled to the instructions that the kernel takes.

    Args:
        exposed: whether layers are missing that hide the host's files, processes, sockets and queues.

    Raises:
        OSError, RuntimeError: libseccomp is missing or too old.
    """

    def __init__(self, *, exposed: bool = False) -> None:
        import pyseccomp  # raises RuntimeError if libseccomp is missing

        rules = pyseccomp.SyscallFilter(pyseccomp.ERRNO(errno.EPERM))
        # Compile to a tree of comparisons, because the kernel tests every call number when it loads the filter.
        rules.set_attr(pyseccomp.Attr.CTL_OPTIMIZE, 2)
        # Calls of another architecture (int 0x80, x32) end the whole process, not only the calling thread.
        rules.set_attr(pyseccomp.Attr.ACT_BADARCH, pyseccomp.KILL_PROCESS)
        allow, masked = pyseccomp.ALLOW, pyseccomp.MASKED_EQ
        special = {"clone", *(_restrict_to_itself(rules) if exposed else ())}
        for name in ALLOWED:
            # A call that is unknown to this architecture or to an older libseccomp stays forbidden.
            if name not in special and pyseccomp.resolve_syscall(pyseccomp.system_arch(), name) >= 0:
                rules.add_rule(allow, name)
        rules.add_rule(allow, "clone", pyseccomp.Arg(0, masked, _NAMESPACES, 0))
        # With ENOSYS, glibc falls back to clone, and a filter can check the flags of that.
        rules.add_rule(pyseccomp.ERRNO(errno.ENOSYS), "clone3")
        if not exposed:
            rules.add_rule(allow, "socket", pyseccomp.Arg(0, pyseccomp.EQ, int(socket.AF_UNIX)))
        # libzmq aborts if listing network interfaces fails with EPERM.
        rules.add_rule(pyseccomp.ERRNO(errno.EOPNOTSUPP), "socket", pyseccomp.Arg(0, pyseccomp.NE, int(socket.AF_UNIX)))

        descriptor = os.memfd_create("filter")  # a fork that may write no files may compile, too
        with os.fdopen(descriptor, "r+b") as file:
            rules.export_bpf(file)
            file.seek(0)
            self._instructions = file.read()

    def load(self) -> None:
        """Apply the filter to this process and its children, which can then gain no privileges either.

        Raises:
            OSError: the kernel does not accept the filter.
        """
        # Not with libseccomp, which would compile the filter again in every fork.
        linux.forbid_new_privileges()
        linux.filter_system_calls(self._instructions)


def _restrict_to_itself(rules: Any) -> set[str]:
    """Add the rules of an exposed sandbox. Return the calls that they are about."""
    import pyseccomp

    def known(names: Iterable[str]) -> set[str]:
        return {name for name in names if pyseccomp.resolve_syscall(pyseccomp.system_arch(), name) >= 0}

    for name in known(_WITHOUT_EFFECT.split()):
        rules.add_rule(pyseccomp.ERRNO(0), name)
    # A datagram may be sent to another address than that of the other end.
    for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
        rules.add_rule(pyseccomp.ALLOW, "socketpair", pyseccomp.Arg(1, pyseccomp.MASKED_EQ, 0xF, int(kind)))
    for name in known(_ONLY_ITSELF):
        rules.add_rule(pyseccomp.ALLOW, name, pyseccomp.Arg(0, pyseccomp.EQ, 0))
    own = (pyseccomp.Arg(1, pyseccomp.EQ, 0),)
    rules.add_rule(pyseccomp.ALLOW, "setpriority", pyseccomp.Arg(0, pyseccomp.EQ, os.PRIO_PROCESS), *own)
    rules.add_rule(pyseccomp.ALLOW, "ioprio_set", pyseccomp.Arg(0, pyseccomp.EQ, _IOPRIO_WHO_PROCESS), *own)
    return {"socketpair", "setpriority", "ioprio_set", *_ONLY_ITSELF, *_WITHOUT_EFFECT.split(), *_EXPOSED.split()}
