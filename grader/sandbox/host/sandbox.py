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
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

from grader.errors import DeviceFault, SandboxFault
from grader.gpu.device import DeviceAccess
from grader.sandbox.host.required_layers import require_layers_for_device
from grader.sandbox.host.required_packages import require_grading_packages
from grader.sandbox.jail.control_groups import CONTROL_GROUPS, make_control_groups
from grader.sandbox.jail.device_passing import pack_access
from grader.sandbox.protocol.channels import Packets
from grader.sandbox.protocol.encoding import Closed, Malformed
from grader.sandbox.protocol.file_pack import find_folder
from grader.sandbox.protocol.layers import LayerStatus
from grader.sandbox.protocol.limits import Limits

__all__ = ["Sandbox", "Zygote", "ZygoteLine"]

_SECONDS_TO_IMPORT = 180
_SECONDS_TO_ENTER = 30
_SECONDS_TO_END = 10
_PASSED_ON = ("LANG", "LC_ALL", "TZ")


class ZygoteLine:
    """A line to a warm process, for forking sandboxes from it; use as a context manager.

    Args:
        connection: our end of a line to the process.
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
        """The packages that could not be imported, with the reason. Waits until all have been tried."""
        with self._lock:
            return dict(self._wait_until_ready()["missing"])

    @property
    def ended(self) -> bool:
        """Whether the process has ended, or the line was closed after an error on it."""
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
        """Return the end of the stderr of the process and its sandboxes, or "" if another process started it."""
        return ""

    @contextmanager
    def sandbox(
        self,
        limits: Limits,
        hidden: Sequence[Path] = (),
        left_out: frozenset[str] = frozenset(),
        shown: Mapping[Path, Path] | None = None,
        device: DeviceAccess | None = None,
    ) -> Iterator[Sandbox]:
        """Fork a sandbox, and remove every trace of it at the end.

        Args:
            limits: the assignment's limits.
            hidden: folders that stay covered, even if they lie inside a readable one.
            left_out: names of layers that are not applied; tests use it to show that a layer is needed.
            shown: folders inside the sandbox, with the folder of the host that can be read there. They are missing
                without the private file system.
            device: the one GPU that can be used inside. Its libraries' folders must be those of the warm process.

        Raises:
            SandboxFault: the sandbox cannot be started.
            DeviceFault: a file of the device has vanished.
            InputError: a device cannot be used in the sandboxes of this machine. The message says what to do.
        """
        for folder in (shown or {}).values():
            if not folder.is_dir():
                raise SandboxFault(f"{folder} should be shown in the sandbox, but is missing: fetch the data again")
        if device:
            _require_files(device)
            limits = replace(limits, memory_bytes=limits.memory_bytes + limits.device_host_bytes)
        kinds = frozenset(set(CONTROL_GROUPS) - {name.removesuffix(" cgroup") for name in left_out})
        # Not below TMPDIR, which may have the caller's name in it.
        fallback = Path("/tmp") / f"grader-{os.getpid()}-{uuid.uuid4().hex}"
        with make_control_groups(limits, kinds, device.nodes if device else ()) as groups:
            orders, peer = Packets.pair()
            request = {
                "limits": asdict(limits),
                "hidden": [str(path) for path in hidden],
                "shown": {str(inside): str(folder.resolve()) for inside, folder in (shown or {}).items()},
                "device": pack_access(device),
                "left_out": sorted(left_out),
                "control_groups": {**dict.fromkeys(CONTROL_GROUPS, "switched off"), **groups},
                "fallback_folder": str(fallback),
            }
            try:
                with peer:
                    forked = self._ask(request, (peer.fileno(),))
                outermost = os.pidfd_open(forked["pid"])
            except ProcessLookupError:
                orders.close()
                raise SandboxFault(f"the sandbox ended while it was starting:\n{self.log()}") from None
            except SandboxFault:
                orders.close()
                raise
            sandbox = Sandbox(orders, outermost, groups.get("memory", ""), first=forked["first"])
            try:
                sandbox.enter(self.log)
                if device and not left_out:
                    require_layers_for_device(sandbox.layers)
                yield sandbox
            finally:
                ended = sandbox.close()
                shutil.rmtree(fallback, ignore_errors=True)
            if device and not ended:
                raise DeviceFault(f"a process that uses {device.uuid} cannot be ended: it hangs in the driver")

    def open_line(self) -> socket.socket:
        """Return a further line to the process, for another process or thread. It works as soon as this one does.

        Raises:
            SandboxFault: the warm process is gone.
        """
        line, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with peer, self._lock:
                self._packets.send({"line": True}, (peer.fileno(),))
        except (Closed, TimeoutError) as error:
            line.close()
            raise SandboxFault(f"the warm process is gone ({error}):\n{self.log()}") from None
        return line

    def cpu_seconds(self) -> float:
        """Return the CPU time of the warm process and of every sandbox that has ended."""
        return float(self._ask({"cpu_seconds": True}, ())["cpu_seconds"])

    def _ask(self, request: dict[str, Any], descriptors: tuple[int, ...]) -> dict[str, Any]:
        with self._lock:
            self._wait_until_ready()
            try:
                self._packets.send(request, descriptors)
                response, _ = self._packets.receive(_SECONDS_TO_ENTER)
            except (Closed, Malformed, TimeoutError) as error:
                self._packets.close()  # a late response must not be taken for that to the next request
                raise SandboxFault(f"the warm process is gone ({error}):\n{self.log()}") from None
        return dict(response)

    def close(self) -> None:
        """Hang up."""
        self._packets.close()


class Zygote(ZygoteLine):
    """A warm process with the course's packages imported, from which sandboxes are forked.

    Args:
        packages: the packages to import; those that cannot be imported are listed in `missing` with the reason.
        library_folders: folders in which the dynamic linker looks first, such as those of a GPU's driver. It reads them
            when a process starts, and so all sandboxes have the same.

    Raises:
        InputError: a package that grading needs is missing.
    """

    def __init__(self, packages: Sequence[str], library_folders: Sequence[Path] = ()) -> None:
        require_grading_packages()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        super().__init__(ours)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "grader.sandbox.jail.zygote", str(peer.fileno())],
            pass_fds=[peer.fileno()],
            env=_clean_environment(packages, library_folders),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,  # Ctrl-C goes to our own process, which then closes this one
        )
        peer.close()

    @property
    def pid(self) -> int:
        """The process id of the warm process."""
        return self._process.pid

    def log(self) -> str:
        """Return the end of the stderr of the process and its sandboxes."""
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - 4000))
        return self._log.read().decode(errors="replace")

    def close(self) -> None:
        """End the process, and with it the sandboxes that are still open."""
        super().close()
        self._process.terminate()
        self._process.wait()
        self._log.close()


def _require_files(device: DeviceAccess) -> None:
    for path in (*device.nodes, *device.files):
        if not path.exists():
            raise DeviceFault(f"{path} has vanished, which {device.uuid} needs")


def _clean_environment(packages: Sequence[str], library_folders: Sequence[Path]) -> dict[str, str]:
    """Return the few environment variables that students may see. Those of the caller may hold secrets."""
    root = str(Path(__file__).parents[3])
    # A kernel takes our folder off its path again; an installed grader lies in site-packages, which must stay there.
    path = {} if root in site.getsitepackages() else {"PYTHONPATH": root}
    libraries = {"LD_LIBRARY_PATH": ":".join(map(str, library_folders))} if library_folders else {}
    return {
        **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        **path,
        **libraries,
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PIP_RETRIES": "0",  # there is no network, so waiting is useless
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "TORCHDYNAMO_DISABLE": "1",  # compiling a function may take longer than a test may, with the same results
        # Else torch sets it to a path with the caller's name in it.
        "TORCHINDUCTOR_CACHE_DIR": "/tmp/torchinductor",
        "GRADER_PACKAGES": " ".join(packages),
    }


class Sandbox:
    """One submission's process tree, seen from outside.

    Attributes:
        handed_in: a descriptor of the files for the working folder (`host/handed_in.py`), or None. The caller closes
            it.

    Args:
        orders: the line to the tree's first process.
        outermost: a pidfd of the process that the zygote forked. It ends when all processes have ended.
        memory_group: the folder of the memory control group, or anything else if there is none.
        first: whether the outermost process is itself the first of the pid namespace.
    """

    def __init__(self, orders: Packets, outermost: int, memory_group: str, *, first: bool) -> None:
        self.orders = orders
        self.layers: tuple[LayerStatus, ...] = ()
        self.handed_in: int | None = None
        self._started: list[str] = []  # the notebook of each kernel
        self._outermost = outermost
        # The first process of a pid namespace ignores SIGTERM, and takes the others with it when it is killed.
        self._signals = (signal.SIGKILL,) if first else (signal.SIGTERM, signal.SIGKILL)
        self._memory_group = Path(memory_group) if memory_group.startswith("/") else None

    def enter(self, log: Any) -> None:
        """Wait until the first process is locked in, and read which layers hold."""
        try:
            entered, _ = self.orders.receive(_SECONDS_TO_ENTER)
        except (Closed, Malformed, TimeoutError) as error:
            raise SandboxFault(f"the sandbox could not be entered ({error}):\n{log()}") from None
        self.layers = tuple(LayerStatus(*layer) for layer in entered["layers"])

    def start(self, order: dict[str, Any], notebook: str = "") -> tuple[Packets, socket.socket, int]:
        """Start a kernel and its runner. Return the line of its tracker, the runner's socket and the kernel's pid.

        Args:
            order: what the kernel is told.
            notebook: the name of the notebook that it runs. A further kernel for the same notebook finds the working
                folder as the first one found it; a kernel for the next notebook finds it as this one left it. A
                notebook in a folder ("part 2/hw2.ipynb") runs in that folder inside the working folder.
        """
        folder = {"state": self._choose_folder_state(notebook), "inside": find_folder(notebook)}
        tracker, tracker_end = Packets.pair()
        runner, runner_end = socket.socketpair()
        try:
            with tracker_end, runner_end:
                files = () if self.handed_in is None else (self.handed_in,)
                descriptors = (tracker_end.fileno(), runner_end.fileno(), *files)
                self._order({"order": "start", "folder": folder, **order}, descriptors)
            started = self.wait_for("kernel")
        except SandboxFault:
            tracker.close()
            runner.close()
            raise
        return tracker, runner, started["kernel"]

    def _choose_folder_state(self, notebook: str) -> str:
        """Return the state in which the next kernel finds the working folder (`guest/working_folder.py`)."""
        started, self._started = self._started, [*self._started, notebook]
        if not started:
            return "new"
        if notebook != started[-1]:
            return "as left"
        return "as handed in" if notebook == started[0] else "as found"

    def clear(self, keep: Sequence[int]) -> None:
        """Kill every process in the sandbox except the ones to keep."""
        self._order({"order": "clear", "keep": tuple(keep)}, ())
        self.wait_for("cleared")

    def require_alive(self) -> None:
        """Make sure that failures seen so far were caused by the student, and not by the end of the sandbox itself.

        Raises:
            SandboxFault: the first process, which no student can reach, is gone.
        """
        self.clear(())

    def _order(self, order: dict[str, Any], descriptors: tuple[int, ...]) -> None:
        try:
            self.orders.send(order, descriptors)
        except (Closed, TimeoutError) as error:
            raise SandboxFault(f"the sandbox's first process is gone ({error})") from None

    def wait_for(self, key: str) -> dict[str, Any]:
        """Return the next message that has this key, skipping messages about ended processes."""
        while True:
            try:
                message, _ = self.orders.receive(_SECONDS_TO_ENTER)
            except (Closed, Malformed, TimeoutError) as error:
                raise SandboxFault(f"the sandbox's first process is gone ({error})") from None
            if key in message:
                return dict(message)

    def count_memory_kills(self) -> int:
        """Return how many processes Linux killed for lack of memory; 0 without a control group."""
        if self._memory_group is None:
            return 0
        for name in ("memory.events", "memory.oom_control"):
            if (self._memory_group / name).exists():
                lines = (line.split() for line in (self._memory_group / name).read_text().splitlines())
                return int(next((line[1] for line in lines if line[0] == "oom_kill"), "0"))
        return 0

    def close(self) -> bool:
        """End every process of the sandbox, wait until all are gone, and return whether they are."""
        with suppress(SandboxFault):
            self.clear(())  # else `cpu_seconds` would not count the processes that end with the first one
        if not any(layer.name == "pid namespace" and layer.on for layer in self.layers):
            # Then only the first process can find the others. It does so when we hang up.
            self.orders.close()
            self._has_ended(_SECONDS_TO_END)
        for sign in self._signals:
            if not self._has_ended(0):
                signal.pidfd_send_signal(self._outermost, sign)
                self._has_ended(_SECONDS_TO_END)
        ended = self._has_ended(0)
        self.orders.close()
        os.close(self._outermost)
        return ended

    def _has_ended(self, seconds: float) -> bool:
        return bool(select.select([self._outermost], [], [], seconds)[0])
