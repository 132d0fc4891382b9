"""The sandbox's first process: it enters isolation, starts kernels and runners, reaps them, and cleans up after them.

It takes orders from the trusted side only, and reads nothing that a student wrote. When it ends, Linux ends every
process of its pid namespace.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from grader.sandbox.guest.kernel import run_kernel
from grader.sandbox.guest.messages import MessageLine
from grader.sandbox.guest.runner import run_cells
from grader.sandbox.guest.working_folder import prepare_working_folder
from grader.sandbox.jail import linux
from grader.sandbox.jail.device_passing import unpack_access
from grader.sandbox.jail.file_view import FileView
from grader.sandbox.jail.isolation import Confinement
from grader.sandbox.jail.layer_effects import FirstProcess, Host
from grader.sandbox.jail.layer_log import LayerLog
from grader.sandbox.jail.seccomp import SystemCallFilter
from grader.sandbox.protocol.channels import Packets
from grader.sandbox.protocol.encoding import Closed
from grader.sandbox.protocol.limits import Limits

__all__ = ["supervise"]

_SECONDS_TO_CLEAR = 3.0
_SECONDS_BETWEEN_SCANS = 0.005


def supervise(request: dict[str, Any], descriptor: int, compiled: SystemCallFilter | str) -> None:
    """Enter isolation and serve orders until the trusted side hangs up.

    Args:
        request: the limits, file view, device and layers of the sandbox.
        descriptor: the line to the trusted side.
        compiled: the system call filter, or the reason why there is none.
    """
    os.setsid()
    orders = Packets(socket.socket(fileno=os.dup2(descriptor, 3)))
    os.closerange(4, 65536)
    host_processes = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    zygote = _read_parent(host_processes)
    limits = Limits(**request["limits"])
    layers = LayerLog(frozenset(request["left_out"]))
    shown = {Path(inside): Path(folder) for inside, folder in request["shown"].items()}
    device = unpack_access(request["device"])
    view = FileView(tuple(Path(path) for path in request["hidden"]), shown, device=device)
    confinement = Confinement(
        layers, view, limits, request["control_groups"], compiled, Path(request["fallback_folder"])
    )
    host = Host.observe(host_processes, zygote)
    confinement.leave_host()
    linux.die_with_parent()  # not earlier, because a change of the user cancels it
    if _read_parent(host_processes) != zygote:
        return
    if not confinement.first:
        first = os.fork()
        if first:
            _wait_for_first(first)
        linux.die_with_parent()
    linux.adopt_orphans()
    confinement.settle_as_first_process()
    first_process = FirstProcess(host_processes)
    confinement.confine()
    first_process.withdraw_without_effect(layers, host, limits)
    os.environ["TMPDIR"] = str(confinement.scratch)
    _Supervisor(orders, layers, confinement, limits, _open_processes(host_processes)).serve()


def _wait_for_first(first: int) -> None:
    """Wait for a first process that the zygote did not fork itself, and kill it on SIGTERM. Never returns."""
    signal.signal(signal.SIGTERM, lambda *_: os.kill(first, signal.SIGKILL))
    os.closerange(0, 65536)
    os.waitpid(first, 0)
    os._exit(0)


class _Supervisor:
    def __init__(
        self, orders: Packets, layers: LayerLog, confinement: Confinement, limits: Limits, processes: int
    ) -> None:
        self._orders = orders
        self._layers = layers
        self._confinement = confinement
        self._limits = limits
        self._processes = processes
        self._kernel = 0
        self._threads = -1
        self._wake, wake_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)

    def serve(self) -> None:
        try:
            self._serve()
        except Closed:
            pass
        finally:
            self._kill_all_but(set())

    def _serve(self) -> None:
        self._orders.send({"layers": tuple((layer.name, layer.on, layer.reason) for layer in self._layers.status())})
        while True:
            ready, _, _ = select.select([self._orders.socket.fileno(), self._wake], [], [])
            if self._wake in ready:
                self._wait_for_child()
                self._reap()
            if self._orders.socket.fileno() in ready:
                self._obey(*self._orders.receive())

    def _obey(self, order: dict[str, Any], descriptors: list[int]) -> None:
        if order["order"] == "start":
            self._start(order, *descriptors)
        elif order["order"] == "clear":
            self._clear(set(order["keep"]))
        for descriptor in descriptors:
            os.close(descriptor)

    def _start(self, order: dict[str, Any], tracker: int, runner: int, files: int | None = None) -> None:
        kernel_end, runner_end = MessageLine.pair()

        def kernel() -> None:
            self._confinement.confine_files(scoped=True)
            places = self._confinement.home, self._confinement.writable, self._confinement.scratch
            prepare_working_folder(order["folder"]["state"], order["folder"]["inside"], files, *places)
            run_kernel(kernel_end, socket.socket(fileno=tracker), order, self._limits)

        def run() -> None:
            # Not scoped, because the runner must be able to interrupt the kernel.
            self._confinement.confine_files(scoped=False)
            run_cells(runner_end, self._kernel, socket.socket(fileno=runner), self._limits)

        for_kernel = [tracker, kernel_end.fileno(), *([] if files is None else [files])]
        try:
            self._kernel = self._fork(kernel, keep=for_kernel)
            self._fork(run, keep=[runner, runner_end.fileno()])
        except OSError:
            # Processes that a student left behind use up the limit. Then the snapshots are killed as well.
            self._kill_all_but(set())
            self._kernel = self._fork(kernel, keep=for_kernel)
            self._fork(run, keep=[runner, runner_end.fileno()])
        kernel_end.close()
        runner_end.close()
        if self._confinement.has_device:
            self._keep_threads_folder()
        self._orders.send({"kernel": self._kernel})

    def _keep_threads_folder(self) -> None:
        """Keep the kernel's folder of threads, to which Landlock has a rule, in Linux's memory.

        If Linux needs memory, it forgets a folder of /proc that is not open, and a rule does not hold for a new one.
        """
        with contextlib.suppress(OSError):
            if self._threads >= 0:
                os.close(self._threads)
            self._threads = os.open(f"{self._kernel}/task", os.O_PATH | os.O_CLOEXEC, dir_fd=self._processes)

    def _fork(self, body: Callable[[], None], keep: list[int]) -> int:
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _close_all_but(keep)
            _prefer_for_oom_kill()
            body()
            status = 0
        except BaseException:  # a fork must never return to the supervisor's loop
            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(status)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._kernel:
                self._orders.send({"ended": pid, "status": os.waitstatus_to_exitcode(status)})

    def _clear(self, keep: set[int]) -> None:
        self._kill_all_but(keep)
        self._orders.send({"cleared": True})

    def _kill_all_but(self, keep: set[int]) -> None:
        """Kill every process below this one except the ones to keep.

        All are stopped first. A stopped process cannot fork, so even a fork bomb is gone after a few rounds. If it is
        not, every process is killed, and the cells are run again to make the lost snapshots.
        """
        deadline = time.monotonic() + _SECONDS_TO_CLEAR
        while others := _find_descendants(self._processes) - keep:
            late = time.monotonic() > deadline
            if late and os.getpid() == 1:
                os.kill(-1, signal.SIGKILL)
            if late:
                break
            for sign in (signal.SIGSTOP, signal.SIGKILL):
                for pid in others:
                    _kill(pid, sign)
            self._wait_for_child()
            self._reap()
        self._reap()

    def _wait_for_child(self) -> None:
        """Wait briefly until a child has ended. A killed process may not be a child of this one yet."""
        if select.select([self._wake], [], [], _SECONDS_BETWEEN_SCANS)[0]:
            os.read(self._wake, 4096)


def _read_parent(processes: int) -> int:
    """Return the parent's pid as this /proc shows it. In its own namespace, a first process sees 0."""
    return int(_read(processes, "self/stat").rpartition(b")")[2].split()[1])


def _open_processes(host_processes: int) -> int:
    """Return a descriptor of the /proc that shows this process's descendants: the sandbox's own, or else the host's."""
    try:
        private = int(Path("/proc/self").readlink().name) == os.getpid()
    except (OSError, ValueError):
        private = False
    return os.open("/proc", os.O_RDONLY | os.O_DIRECTORY) if private else host_processes


def _find_descendants(processes: int) -> set[int]:
    """Return the pids of the processes below this one, as this one may signal them.

    This process is a subreaper, so orphans among them are its children.
    """
    parents: dict[int, int] = {}
    for name in os.listdir(processes):
        if name.isdigit():
            fields = _read(processes, f"{name}/stat").rpartition(b")")[2].split()
            if fields and not _is_dead(fields):
                parents[int(name)] = int(fields[1])
    own = int(os.readlink("self", dir_fd=processes))
    family = {own}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return {_read_innermost_pid(processes, pid) for pid in family - {own}} - {0}


def _is_dead(fields: Sequence[bytes]) -> bool:
    """Return whether a process is a zombie, by its fields in /proc. With other threads it is still running."""
    return fields[0] == b"Z" and fields[17] == b"1"


def _read_innermost_pid(processes: int, pid: int) -> int:
    """Return a process's pid in its own pid namespace, or 0 if it has ended."""
    for line in _read(processes, f"{pid}/status").splitlines():
        if line.startswith(b"NSpid:"):
            return int(line.split()[-1])
    return 0


def _read(folder: int, name: str) -> bytes:
    """Return the content of a file of /proc, or nothing if the process has ended meanwhile."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return b""
    try:
        return os.read(descriptor, 16384)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _prefer_for_oom_kill() -> None:
    """Let Linux kill this process and its children, and not the supervisor, when memory runs out."""
    linux.set_dumpable(True)  # else the file belongs to root
    with contextlib.suppress(OSError):  # a sandbox without /proc
        linux.write_file("/proc/self/oom_score_adj", "1000")
    linux.set_dumpable(False)


def _kill(pid: int, sign: signal.Signals) -> None:
    try:
        os.kill(pid, sign)
    except ProcessLookupError:
        return


def _close_all_but(keep: list[int]) -> None:
    start = 3
    for descriptor in [*sorted(keep), 65536]:
        os.closerange(start, descriptor)
        start = descriptor + 1
