"""The student's kernel: ipykernel inside an already forked and confined process, over unix sockets only.

What needs no sockets is made once, in the warm process: the application, the kernel and its shell. Made anew in each
fork it costs 50 ms, nearly all of it for the 9,000 pages that are copied because something in them is touched.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
from dataclasses import dataclass
from typing import Any

import zmq
from ipykernel.iostream import IOPubThread
from ipykernel.kernelapp import IPKernelApp
from IPython.core.application import BaseIPythonApplication
from traitlets.config import Config
from zmq.eventloop.zmqstream import ZMQStream

from grader.assignment import Limits
from grader.recipe import Mode
from grader.sandbox import devices, surroundings
from grader.sandbox.agent import Agent
from grader.sandbox.recorder import Recorder
from grader.sandbox.seeding import seed_generators

__all__ = ["PORTS", "KernelAddress", "prepare_kernel", "run_kernel"]

PORTS = {"shell_port": 1, "iopub_port": 2, "stdin_port": 3, "control_port": 4, "hb_port": 5}


@dataclass(frozen=True)
class KernelAddress:
    """Where a kernel's sockets are, and the key that signs its messages; the student can read both."""

    path: str
    key: bytes


class _SocketIOPubThread(IOPubThread):  # type: ignore[misc]
    """Takes the output of forked children over a unix socket instead of TCP."""

    def __init__(self, socket: Any, session: Any, pipe_path: str) -> None:
        self._pipe_path = pipe_path
        super().__init__(socket, pipe=True, session=session)

    def _setup_pipe_in(self) -> None:
        self._pipe_uuid = os.urandom(16)
        pipe = self.socket.context.socket(zmq.PULL)
        pipe.linger = 0
        pipe.bind(f"ipc://{self._pipe_path}")
        self._pipe_in = ZMQStream(pipe, self.io_loop)
        self._pipe_in.on_recv(self._handle_pipe_msg)

    def _setup_pipe_out(self) -> tuple[zmq.Context[Any], zmq.Socket[Any]]:
        context = zmq.Context()
        pipe = context.socket(zmq.PUSH)
        pipe.linger = 3000
        pipe.connect(f"ipc://{self._pipe_path}")
        return context, pipe


class _WarmKernelApp(IPKernelApp):  # type: ignore[misc]
    """ipykernel's application without what needs files, TCP or a parent process, in two halves.

    `prepare` does in the warm process what needs no sockets, `connect` the rest in a fork of it; both do in order what
    `initialize` does.
    """

    def prepare(self) -> None:
        """Make the kernel and its shell, which are not connected to anything yet."""
        BaseIPythonApplication.initialize(self, [])
        self.init_pdb()
        self.kernel = self.kernel_class.instance(
            parent=self, session=self.session, log=self.log, profile_dir=self.profile_dir, user_ns=self.user_ns
        )
        self.init_path()
        self.init_shell()
        self.init_gui_pylab()
        self.init_code()

    def connect(self) -> None:
        """Open the sockets and hand them to the kernel."""
        self.session.pid = os.getpid()
        self.init_blackhole()
        self.init_sockets()
        self.init_io()
        self.init_signal()
        kernel, shell = self.kernel, self.kernel.shell
        shell_stream = ZMQStream(self.shell_socket, self.shell_channel_thread.io_loop)
        self.shell_channel_thread.shell_stream = shell_stream
        self.control_thread.start()
        self.shell_channel_thread.start()
        kernel.shell_stream = shell_stream
        kernel.control_stream = ZMQStream(self.control_socket, self.control_thread.io_loop)
        kernel.control_thread, kernel.shell_channel_thread = self.control_thread, self.shell_channel_thread
        kernel.iopub_thread, kernel.iopub_socket = self.iopub_thread, self.iopub_socket
        kernel.stdin_socket = self.stdin_socket
        kernel._stdout, kernel._stderr = sys.stdout, sys.stderr
        shell.displayhook.pub_socket = shell.display_pub.pub_socket = self.iopub_socket
        self.displayhook.get_execution_count = lambda: kernel.execution_count

    def init_connection_file(self) -> None:
        """Leave out the connection file: the address is handed over in memory."""

    def write_connection_file(self, **_: Any) -> None:
        """Leave out the connection file."""

    def load_config_file(self, *_: Any, **__: Any) -> None:
        """Leave out configuration files: a student's home starts empty."""

    def init_config_files(self) -> None:
        """Leave out the files that a new profile is made of: the environment may be out of reach."""

    def init_heartbeat(self) -> None:
        """Leave out the heartbeat: the supervisor knows when the kernel ends."""

    def init_crash_handler(self) -> None:
        """Leave out the crash report."""

    def init_iopub(self, context: zmq.Context[Any]) -> None:
        """Open the output socket, and the pipe on which forked children send theirs."""
        self.iopub_socket = context.socket(zmq.XPUB)
        self.iopub_socket.linger = 1000
        self._bind_socket(self.iopub_socket, PORTS["iopub_port"])
        self.configure_tornado_logger()
        self.iopub_thread = _SocketIOPubThread(self.iopub_socket, self.session, f"{self.ip}-children")
        self.iopub_thread.start()
        self.iopub_socket = self.iopub_thread.background_socket


def prepare_kernel() -> None:
    """Make, in the warm process, the one kernel that its forks run."""
    config = Config()
    config.HistoryManager.enabled = False
    # The default walks and highlights the source of every frame: 0.2 s for one error inside d2l.
    config.InteractiveShell.xmode = "Plain"
    config.InteractiveShell.colors = "nocolor"
    with tempfile.TemporaryDirectory(prefix="grader-profile-") as folder:
        config.BaseIPythonApplication.ipython_dir = folder
        app = _WarmKernelApp.instance(
            config=config, transport="ipc", ip="@", capture_fd_output=False, log_level=50, **PORTS
        )
        app.prepare()


def run_kernel(address: KernelAddress, agent_socket: socket.socket, order: dict[str, Any], limits: Limits) -> None:
    """Run a kernel at this address until it is told to stop; `order` is what `execution.Watch` says."""
    _reset_inherited_state(order["seed"])
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    app = _WarmKernelApp.instance()
    app.ip, app.session.key = address.path, address.key
    app.connect()
    surroundings.install(app.shell, limits.cell_output_bytes, order)
    agent = Agent(app.shell, agent_socket, order)
    agent.watch(_recorder(Mode(order["mode"])))
    devices.serve_on_cpu(app.shell, agent.notice)
    app.start()


def _recorder(mode: Mode) -> Recorder | None:
    """Return what follows the trainings of a kernel, None where there are none."""
    if mode is Mode.NONE:
        return None
    loading: Any = sys.modules.get("grader.sandbox.loading")  # there where data sets are
    recorder = Recorder(mode, loading.Batches.latest if loading else lambda: None)
    recorder.install()
    return recorder


def _reset_inherited_state(seed: int) -> None:
    """Undo what all forks of one process share."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    tempfile.tempdir = None
    os.environ.pop("JPY_PARENT_PID", None)
    sources = os.environ.pop("PYTHONPATH", "")  # ours: everything of it that a kernel needs is imported
    sys.path[:] = [entry for entry in sys.path if entry != sources]
    home = os.getcwd()
    os.environ.update(HOME=home, USER="student", LOGNAME="student", PWD=home, MPLCONFIGDIR=f"{home}/.matplotlib")
    sys.path.insert(0, "")
    sys.argv[:] = ["notebook"]
    seed_generators(seed)
    configure: Any = getattr(sys.modules.get("matplotlib_inline.backend_inline"), "configure_inline_support", None)
    if hasattr(configure, "current_backend"):
        # Set by importing the backend before there was a shell; left in place, no figure would be shown.
        del configure.current_backend
