"""The warm process: it imports the course's packages once, and then forks a sandbox for each submission.

It runs as `python -m grader.sandbox.jail.zygote FD` and takes requests on this socket, one of which adds a further one
for another process. It holds no secret, because
every student can read all of its memory (docs/sandbox.md). It starts no thread and runs no parallel tensor operation,
because neither survives a fork.
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import socket
import sys
import traceback
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any

from grader.sandbox.jail import linux
from grader.sandbox.jail.seccomp import SystemCallFilter
from grader.sandbox.protocol.channels import Packets
from grader.sandbox.protocol.encoding import Closed

__all__ = ["main"]

# Modules of the runner and the kernel, imported here so that no submission has to wait for them.
_OWN_PACKAGES = (
    "grader.sandbox.jail.supervisor",
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.logger",
    "IPython.core.magics",
    "IPython.core.oinspect",
    "IPython.extensions.storemagic",
    "matplotlib_inline.backend_inline",
    "zmq.asyncio",
    "zmq.eventloop.zmqstream",
    "tornado.platform.asyncio",
    "jupyter_client.asynchronous",
    "ipykernel.debugger",
    "ipykernel.ipkernel",
    "ipykernel.kernelapp",
    "nbclient",
)

# The layers that root needs to make a pid namespace first. Without one of them, root takes an ordinary user's path.
_WITH_FIRST = frozenset({"user namespace", "mount namespace", "pid namespace", "private file system"})


def main(descriptor: int) -> None:
    """Serve requests on every line, until the other ends of all lines are closed."""
    linux.die_with_parent()
    gc.disable()
    lines: dict[int, Packets] = {}
    with _hide_warnings():
        missing = _import_packages(os.environ.pop("GRADER_PACKAGES", "").split())
        _read_files()
        importlib.import_module("grader.sandbox.guest.kernel").prepare_kernel()
    try:
        compiled: SystemCallFilter | str = SystemCallFilter()
    except (OSError, RuntimeError) as error:
        compiled = f"libseccomp is missing or too old (sudo apt-get install libseccomp2): {error}"
    signal.signal(signal.SIGCHLD, _reap)
    gc.freeze()
    gc.enable()
    ready = {"ready": os.getpid(), "missing": missing}
    _add_line(lines, descriptor, ready)
    settled = False
    while lines:
        for number in select.select(list(lines), [], [])[0]:
            line = lines[number]
            try:
                request, descriptors = line.receive()
                if "line" in request:
                    _add_line(lines, descriptors[0], ready)
                elif "cpu_seconds" in request:
                    line.send({"cpu_seconds": sum(os.times()[:4])})
                else:
                    _fork_sandbox(line, request, descriptors, compiled)
                    if not settled:
                        _settle()
                        settled = True
            except Closed:
                lines.pop(number).close()


def _add_line(lines: dict[int, Packets], descriptor: int, ready: dict[str, Any]) -> None:
    lines[descriptor] = Packets(socket.socket(fileno=descriptor))
    with suppress(Closed):
        lines[descriptor].send(ready)


def _fork_sandbox(line: Packets, request: Any, descriptors: list[int], compiled: SystemCallFilter | str) -> None:
    with _make_next_fork_first(request["left_out"]) as first:
        pid = os.fork()
        if pid == 0:
            _become_sandbox(request, descriptors[0], compiled)
    os.close(descriptors[0])
    line.send({"pid": pid, "first": first})


def _settle() -> None:
    """Make later forks cheaper. This happens while the first sandbox works, so that a single check need not wait."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    linux.use_huge_pages()


def _read_files() -> None:
    """Make nbformat read its schema and IPython its theme now, because a sandbox may not reach these files."""
    from IPython.utils.PyColorize import theme_table
    from nbformat.v4 import new_code_cell, new_notebook

    new_notebook(cells=[new_code_cell("")])
    theme_table["nocolor"]


def _reap(*_: object) -> None:
    """Wait for finished sandboxes, so that no zombies remain and their CPU time is counted."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
    except ChildProcessError:
        return


def _import_packages(names: list[str]) -> dict[str, str]:
    """Import the packages. Return the reason for each one that cannot be imported."""
    missing: dict[str, str] = {}
    with _hide_cuda():
        for name in [*names, *_OWN_PACKAGES]:
            try:
                importlib.import_module(name)
            except Exception as error:  # a course's package may raise anything; `grader doctor` and the report show it
                if name in _OWN_PACKAGES:
                    raise
                missing[name] = f"{type(error).__name__}: {error}"
        if "torchvision.datasets" in sys.modules:
            importlib.import_module("grader.sandbox.guest.trainings.loading")
    if "torch" in sys.modules:
        _make_forks_safe(sys.modules["torch"])
    return missing


@contextmanager
def _hide_warnings() -> Iterator[None]:
    """Show no warnings of imports, and let every kernel have Python's filters, those that packages add, and no past."""
    warnings.simplefilter("ignore")
    filters: Any = warnings.filters
    hiding = filters[0]
    yield
    while hiding in filters:
        filters.remove(hiding)
    warnings.filterwarnings("ignore", category=ResourceWarning, append=True)  # one of Python's; makes it look again
    for module in list(sys.modules.values()):
        if isinstance(module, ModuleType):
            vars(module).pop("__warningregistry__", None)


def _make_forks_safe(torch: Any) -> None:
    """Use one thread here, and make every fork renew torch's thread pool before it does anything else.

    The first use of the pool after a fork replaces it, without a lock. The threads of a first backward pass would all
    do this at once, and a thread that finds no pool ends the process ("Invalid thread pool!").
    """
    torch.set_num_threads(1)
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(torch.get_num_threads()))


@contextmanager
def _hide_cuda() -> Iterator[None]:
    """Report no CUDA device while packages are imported: asking the driver before a fork breaks CUDA in every child."""
    try:
        import torch
    except ImportError:
        yield
        return
    asked = torch.cuda.device_count, torch.cuda.is_available
    torch.cuda.device_count, torch.cuda.is_available = lambda: 0, lambda: False
    try:
        yield
    finally:
        torch.cuda.device_count, torch.cuda.is_available = asked


@contextmanager
def _make_next_fork_first(left_out: Collection[str]) -> Iterator[bool]:
    """Make the fork in the body the first process of a new pid namespace, if this is allowed. Yield whether it is.

    An ordinary user may not do this: its forks make a user namespace of their own first, and then fork again.

    Args:
        left_out: names of layers that are not applied.

    Raises:
        OSError: this process cannot return to its own namespace for later forks.
    """
    if os.geteuid() != 0 or _WITH_FIRST & set(left_out):
        yield False
        return
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        linux.unshare(linux.CLONE_NEWPID)
    except OSError:  # in a container, root may not be allowed to
        os.close(own)
        yield False
        return
    try:
        yield True
    finally:
        linux.join_namespace(own, linux.CLONE_NEWPID)
        os.close(own)


def _become_sandbox(request: Any, descriptor: int, compiled: SystemCallFilter | str) -> None:
    """Turn this fork into a submission's process tree. Never returns."""
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        from grader.sandbox.jail import supervisor

        supervisor.supervise(request, descriptor, compiled)
        status = 0
    except BaseException:  # a fork must never return to the zygote's loop
        traceback.print_exc()
    finally:
        os._exit(status)


if __name__ == "__main__":
    main(int(sys.argv[1]))
