"""The trusted end of the warm process and of one submission's sandbox."""

from __future__ import annotations

import os
import select
import shutil
import signal
import site
import socket
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from grader.errors import SandboxFault
from grader.sandbox.jail.control_groups import make_control_groups
from grader.sandbox.protocol.channels import Packets
from grader.sandbox.protocol.encoding import Closed, Malformed
from grader.sandbox.protocol.layers import LayerStatus
from grader.sandbox.protocol.limits import Limits

__all__ = ["Sandbox", "Zygote", "ZygoteLine"]

_SECONDS_TO_IMPORT = 180
_SECONDS_TO_ENTER = 30
_SECONDS_TO_END = 10
_PASSED_ON = ("LANG", "LC_ALL", "TZ")


class ZygoteLine:
    """A line to a warm process, on which sandboxes are forked; use as a context manager.

    Args:
        connection: its end of a line that the process was started with.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._packets = Packets(connection)
        self._lock = threading.Lock()
        self._ready: dict[str, Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def missing(self) -> dict[str, str]:
        """The packages that could not be imported, with the reason; waits until all have been tried."""
        with self._lock:
            return dict(self._wait_until_ready()["missing"])

    @property
    def ended(self) -> bool:
        """Whether the process is gone, or the line was closed after something went wrong on it."""
        connection = self._packets.socket
        if connection.fileno() < 0:
            return True
        if not select.select([connection], [], [], 0)[0]:
            return False
        try:
            return not connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def _wait_until_ready(self) -> dict[str, Any]:
        if self._ready is None:
            try:
                self._ready, _ = self._packets.receive(_SECONDS_TO_IMPORT)
            except (Closed, Malformed, TimeoutError) as error:
                raise SandboxFault(f"the warm process did not start ({error}):\n{self.log()}") from None
        return self._ready

    def log(self) -> str:
        """Return what is known of what the process and its sandboxes wrote on stderr: nothing, where others own it."""
        return ""

    @contextmanager
    def sandbox(
        self,
        limits: Limits,
        hidden: Sequence[Path] = (),
        left_out: frozenset[str] = frozenset(),
        shown: Mapping[Path, Path] | None = None,
    ) -> Iterator[Sandbox]:
        """Fork a sandbox; at the end nothing of it is left.

        `hidden` are folders that stay covered even where they lie inside a readable one; `left_out` names layers that
        are not applied (tests use it to show that a layer is needed). `shown` names for a folder inside the sandbox
        that of the host which can be read there; without the private file system it is not there.

        Raises SandboxFault where it cannot be started.
        """
        for folder in (shown or {}).values():
            if not folder.is_dir():
                raise SandboxFault(f"{folder} is to be shown in the sandbox and is not there: fetch the data once more")
        wanted = frozenset({"memory", "pids"} - {name.removesuffix(" cgroup") for name in left_out})
        fallback = Path(tempfile.gettempdir()) / f"grader-{os.getpid()}-{uuid.uuid4().hex}"
        with make_control_groups(limits, wanted) as places:
            orders, theirs = Packets.pair()
            request = {
                "limits": asdict(limits),
                "hidden": [str(path) for path in hidden],
                "shown": {str(inside): str(folder.resolve()) for inside, folder in (shown or {}).items()},
                "left_out": sorted(left_out),
                "control_groups": {**dict.fromkeys(("memory", "pids"), "switched off"), **places},
                "fallback_folder": str(fallback),
            }
            try:
                with theirs:
                    forked = self._ask(request, (theirs.fileno(),))
                outermost = os.pidfd_open(forked["pid"])
            except ProcessLookupError:
                orders.close()
                raise SandboxFault(f"the sandbox ended while it was started:\n{self.log()}") from None
            except SandboxFault:
                orders.close()
                raise
            sandbox = Sandbox(orders, outermost, places.get("memory", ""), first=forked["first"])
            try:
                sandbox.enter(self.log)
                yield sandbox
            finally:
                sandbox.close()
                shutil.rmtree(fallback, ignore_errors=True)

    def cpu_seconds(self) -> float:
        """Return the CPU time of this process and of every sandbox that has ended."""
        return float(self._ask({"cpu_seconds": True}, ())["cpu_seconds"])

    def _ask(self, request: dict[str, Any], descriptors: tuple[int, ...]) -> dict[str, Any]:
        with self._lock:
            self._wait_until_ready()
            try:
                self._packets.send(request, descriptors)
                answer, _ = self._packets.receive(_SECONDS_TO_ENTER)
            except (Closed, Malformed, TimeoutError) as error:
                self._packets.close()  # a late answer must not be taken for that to the next question
                raise SandboxFault(f"the warm process is gone ({error}):\n{self.log()}") from None
        return dict(answer)

    def close(self) -> None:
        """Hang up."""
        self._packets.close()


class Zygote(ZygoteLine):
    """A warm process of the course's packages, from which sandboxes are forked.

    Args:
        packages: are imported once; one that cannot be imported is listed in `missing` with the reason.
        lines: how many more lines to it there are, for other processes: `more_lines`, which the caller closes.
    """

    def __init__(self, packages: Sequence[str], lines: int = 0) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(1 + lines)]
        (ours, *self.more_lines), theirs = zip(*pairs, strict=True)
        super().__init__(ours)
        numbers = [each.fileno() for each in theirs]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "grader.sandbox.jail.zygote", *map(str, numbers)],
            pass_fds=numbers,
            env=_clean_environment(packages),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,  # Ctrl-C is for whoever started us, who then closes this process
        )
        for each in theirs:
            each.close()

    @property
    def pid(self) -> int:
        """The number of the warm process."""
        return self._process.pid

    def log(self) -> str:
        """Return the end of what the process and its sandboxes wrote on stderr."""
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - 4000))
        return self._log.read().decode(errors="replace")

    def close(self) -> None:
        """End the process; sandboxes that are still open end with it."""
        super().close()
        self._process.terminate()
        self._process.wait()
        self._log.close()


def _clean_environment(packages: Sequence[str]) -> dict[str, str]:
    """Return the few variables that students may see; the caller's own may hold secrets."""
    root = str(Path(__file__).parents[3])
    # A kernel takes our folder off its path again; an installed grader lies in site-packages, which must stay there.
    path = {} if root in site.getsitepackages() else {"PYTHONPATH": root}
    return {
        **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        **path,
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PIP_RETRIES": "0",  # there is no network to wait for
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "TORCHDYNAMO_DISABLE": "1",  # compiling a corr2d takes longer than a test may; it gives the same results
        "GRADER_PACKAGES": " ".join(packages),
    }


class Sandbox:
    """One submission's process tree, seen from outside."""

    def __init__(self, orders: Packets, outermost: int, memory_group: str, *, first: bool) -> None:
        self.orders = orders
        self.layers: tuple[LayerStatus, ...] = ()
        self._outermost = outermost
        # The first process of a pid namespace takes the others with it, and is not to be ended by SIGTERM.
        self._signals = (signal.SIGKILL,) if first else (signal.SIGTERM, signal.SIGKILL)
        self._memory_group = Path(memory_group) if memory_group.startswith("/") else None

    def enter(self, log: Any) -> None:
        """Wait until the first process is locked in, and learn which layers hold."""
        try:
            entered, _ = self.orders.receive(_SECONDS_TO_ENTER)
        except (Closed, Malformed, TimeoutError) as error:
            raise SandboxFault(f"the sandbox could not be entered ({error}):\n{log()}") from None
        self.layers = tuple(LayerStatus(*layer) for layer in entered["layers"])

    def start(self, order: dict[str, Any]) -> tuple[Packets, socket.socket, int]:
        """Start a kernel and its runner; return the agent's line, the runner's socket, and the kernel's number."""
        agent, agent_end = Packets.pair()
        runner, runner_end = socket.socketpair()
        try:
            with agent_end, runner_end:
                self._order({"order": "start", **order}, (agent_end.fileno(), runner_end.fileno()))
            started = self.wait_for("kernel")
        except SandboxFault:
            agent.close()
            runner.close()
            raise
        return agent, runner, started["kernel"]

    def clear(self, keep: Sequence[int]) -> None:
        """Kill everything in the sandbox except these processes."""
        self._order({"order": "clear", "keep": tuple(keep)}, ())
        self.wait_for("cleared")

    def require_alive(self) -> None:
        """Make sure that what was seen of the sandbox so far was the student's doing, and not our own end of it.

        Raises:
            SandboxFault: its first process, which no student can reach, is gone.
        """
        self.clear(())

    def _order(self, order: dict[str, Any], descriptors: tuple[int, ...]) -> None:
        try:
            self.orders.send(order, descriptors)
        except (Closed, TimeoutError) as error:
            raise SandboxFault(f"the sandbox's first process is gone ({error})") from None

    def wait_for(self, key: str) -> dict[str, Any]:
        """Return the next message that has this key; messages about ended processes are passed over."""
        while True:
            try:
                message, _ = self.orders.receive(_SECONDS_TO_ENTER)
            except (Closed, Malformed, TimeoutError) as error:
                raise SandboxFault(f"the sandbox's first process is gone ({error})") from None
            if key in message:
                return dict(message)

    def memory_kills(self) -> int:
        """Return how often the kernel killed a process for memory; 0 where no control group tells."""
        if self._memory_group is None:
            return 0
        for name in ("memory.events", "memory.oom_control"):
            if (self._memory_group / name).exists():
                lines = (line.split() for line in (self._memory_group / name).read_text().splitlines())
                return int(next((line[1] for line in lines if line[0] == "oom_kill"), "0"))
        return 0

    def close(self) -> None:
        """End every process of the sandbox and wait until all are gone."""
        with suppress(SandboxFault):
            self.clear(())  # the time of what ends with the first process would be lost to `cpu_seconds`
        if not any(layer.name == "pid namespace" and layer.on for layer in self.layers):
            # Nothing but the first process itself can find the others then, and it does so when it is hung up on.
            self.orders.close()
            self._ended(_SECONDS_TO_END)
        for sign in self._signals:
            if not self._ended(0):
                signal.pidfd_send_signal(self._outermost, sign)
                self._ended(_SECONDS_TO_END)
        self.orders.close()
        os.close(self._outermost)

    def _ended(self, seconds: float) -> bool:
        return bool(select.select([self._outermost], [], [], seconds)[0])
