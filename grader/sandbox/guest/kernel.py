"""The student's kernel: ipykernel inside an already forked and confined process, on one line to its runner.

What needs no sockets is made once, in the warm process: the application, the kernel and its shell. Made anew in each
fork it costs 50 ms, nearly all of it for the 9,000 pages that are copied because something in them is touched.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from ipykernel.iostream import IOPubThread, OutStream
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from IPython.core.application import BaseIPythonApplication
from jupyter_client.session import Session
from tornado.ioloop import IOLoop
from traitlets import Any as AnyTrait
from traitlets.config import Config

from grader.models.recipe import Mode
from grader.sandbox.guest import devices, surroundings
from grader.sandbox.guest.definition_tracker import DefinitionTracker
from grader.sandbox.guest.messages import END, MessageLine
from grader.sandbox.guest.seeding import seed_generators
from grader.sandbox.guest.trainings.hooks import TrainingHooks
from grader.sandbox.protocol.limits import Limits

__all__ = ["prepare_kernel", "run_kernel"]

# A line that begins like one of IPython's commands, an assignment of one, or a question mark anywhere.
_LIKE_A_MAGIC = re.compile(r"^\s*[%!,;/]|=[\s\\]*[%!]|\?", re.MULTILINE)
_OUTPUT_KEPT = 2**16  # characters of printed text that wait for the end of the cell


class _Outlet(IOPubThread):  # type: ignore[misc]
    """One of Jupyter's channels: what stands in for its socket, its stream and its thread, and sends at once."""

    thread = io_loop = None

    def __init__(self, channel: str) -> None:
        self.channel = channel

    def schedule(self, f: Callable[[], Any]) -> None:
        """Do something at once that a thread would do."""
        f()


class _Session(Session):  # type: ignore[misc]
    """Packs messages for our line instead of ZeroMQ's sockets; one pair of processes needs no signature."""

    line: MessageLine
    _owner = 0

    def connect(self, line: MessageLine) -> None:
        """Send everything on this line from now on."""
        self.line, self._owner = line, os.getpid()

    def in_child(self) -> bool:
        """Return whether this is a process that a cell forked: what it shows is shown, but it is not the kernel."""
        return os.getpid() != self._owner

    def send(
        self,
        stream: _Outlet,
        msg_or_type: dict[str, Any] | str,
        content: dict[str, Any] | None = None,
        parent: dict[str, Any] | None = None,
        ident: Any = None,
        buffers: Any = None,
        track: bool = False,
        header: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Send a message and return it; binary buffers are those of widgets, which nobody looks at."""
        message: dict[str, Any] = (
            msg_or_type
            if isinstance(msg_or_type, dict)
            else self.msg(msg_or_type, content, parent=parent, header=header, metadata=metadata)
        )
        kind, request = message["header"]["msg_type"], message["parent_header"].get("msg_id")
        if (stream.channel == "shell" or kind == "status") and self.in_child():
            return message
        try:
            self.line.send(stream.channel, kind, request, message["content"])
        except OSError:
            # Who closed the line in a child has only left the notebook; without it here, no cell could end.
            if not self.in_child():
                os._exit(1)
        return message

    def feed_identities(self, msg_list: Any, copy: bool = True) -> Any:
        """Return that nobody is named as a request's sender: there is one."""
        return [], msg_list

    def deserialize(self, msg_list: Any, content: bool = True, copy: bool = True) -> Any:
        """Return the request, which came as one."""
        return msg_list[0]


class Stream(OutStream):  # type: ignore[misc]
    """What a cell prints, sent with its next other output, at its end, or when it is much."""

    _kept = 0

    def write(self, string: str) -> int | None:
        """Keep a text, or send it with those before."""
        written: int | None = super().write(string)
        self._kept += len(string)
        if self._kept > _OUTPUT_KEPT:
            self._flush()
        return written

    def _flush(self) -> None:
        self._kept = 0
        super()._flush()

    def _schedule_flush(self) -> None:
        """Leave out the timer, for nobody watches."""


class _LineKernel(IPythonKernel):  # type: ignore[misc]
    """ipykernel's kernel without its threads: requests come one by one on the main one."""

    agent: DefinitionTracker
    shell_stream = control_stream = AnyTrait()
    _supports_kernel_subshells = False

    def start(self) -> None:
        """Begin to serve requests once the loop runs."""
        self.shell.exit_now = False
        self.io_loop = IOLoop.current()
        # Asked for by a cell that awaits something, to know whether it runs on the main thread.
        self.shell_channel_thread = SimpleNamespace(parent_thread=threading.main_thread())
        self.io_loop.add_callback(self._serve)

    async def _serve(self) -> None:
        self._publish_status("starting", "shell")
        while message := await self.session.line.receive():
            _, kind, number, content = message
            if kind == END:
                become_snapshot = self.agent.end(content["cell"])
                self.session.send(self.shell_stream, END, {}, parent={"header": {"msg_id": number}})
                become_snapshot()
                continue
            header = {"msg_id": number, "msg_type": kind, "session": ""}
            request = {"header": header, "parent_header": {}, "metadata": content.pop("place"), "content": content}
            try:
                await self.dispatch_shell((request, None))
            except Exception:  # a student's stream may raise where it is flushed; the next cell is served all the same
                self.log.exception("a request was not served")
            if self.session.in_child():
                os._exit(0)  # it fell out of its cell; the next one is not for it

    def _publish_status(self, status: str, channel: str, parent: Any = None) -> None:
        if status != "busy":  # nobody watches
            super()._publish_status(status, channel, parent)

    def _publish_execute_input(self, code: str, parent: Any, execution_count: int) -> None:
        """Leave out what was asked: the runner knows it."""


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

    def connect(self, line: MessageLine) -> None:
        """Hand the line to the kernel, and have what is printed go there."""
        kernel, shell = self.kernel, self.kernel.shell
        self.session.connect(line)
        self.iopub_thread = self.iopub_socket = _Outlet("iopub")
        self.init_blackhole()
        self.init_io()
        self.init_signal()
        kernel.shell_stream = _Outlet("shell")
        kernel.iopub_thread, kernel.iopub_socket = self.iopub_thread, self.iopub_socket
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

    def init_crash_handler(self) -> None:
        """Leave out the crash report."""


def prepare_kernel() -> None:
    """Make, in the warm process, the one kernel that its forks run."""
    config = Config()
    config.HistoryManager.enabled = False
    config.IPythonKernel._execute_sleep = 0  # for clients that might miss output: ours is read in order
    # The default walks and highlights the source of every frame: 0.2 s for one error inside d2l.
    config.InteractiveShell.xmode = "Plain"
    config.InteractiveShell.colors = "nocolor"
    with tempfile.TemporaryDirectory(prefix="grader-profile-") as folder:
        config.BaseIPythonApplication.ipython_dir = folder
        app = _WarmKernelApp.instance(
            config=config,
            session=_Session(username="student"),
            kernel_class=_LineKernel,
            outstream_class=f"{__name__}.Stream",
            capture_fd_output=False,
            log_level=50,
        )
        app.prepare()
        _rehearse(app.shell)
    # ipykernel asks both of every cell, and so does IPython a moment later.
    app.shell.transform_cell = _answering_twice(app.shell.transform_cell)
    app.shell.should_run_async = _answering_twice(app.shell.should_run_async)
    _transform_where_needed(app.shell.input_transformer_manager)
    # The level that traitlets sets is the handler's: each message for it would be made before it is thrown away.
    app.log.setLevel(app.log_level)


def _answering_twice(ask: Callable[..., Any]) -> Callable[..., Any]:
    """Give an answer once more, and no more often, where the same is asked again at once."""
    answered: dict[Any, Any] = {}

    def answer(cell: str, **options: Any) -> Any:
        asked = cell, *options.values()
        if asked in answered:
            return answered.pop(asked)
        answered.clear()
        answered[asked] = ask(cell, **options)
        return answered[asked]

    return answer


def _transform_where_needed(transformers: Any) -> None:
    """Have no cell read token by token for `%magic`, `!command` and `help?` that has nothing which looks like them."""
    transform, stock = transformers.do_token_transforms, list(transformers.token_transformers)

    def transform_where_needed(lines: list[str]) -> list[str]:
        needed = transformers.token_transformers != stock or _LIKE_A_MAGIC.search("".join(lines))
        transformed: list[str] = transform(lines) if needed else lines
        return transformed

    transformers.do_token_transforms = transform_where_needed


def _rehearse(shell: Any) -> None:
    """Have done once what IPython and torch put off until they are first asked: each fork would do it anew."""
    torch: Any = sys.modules.get("torch")
    shell.display_formatter.format(torch.zeros(1) if torch else 0)
    shell.run_cell("None", silent=True)


def run_kernel(line: socket.socket, agent_socket: socket.socket, order: dict[str, Any], limits: Limits) -> None:
    """Serve the requests on a line until it is told to stop; `order` is what `execution.Watch` says."""
    _reset_inherited_state(order["seed"])
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    app = _WarmKernelApp.instance()
    app.connect(MessageLine(line))
    surroundings.install_stand_ins(app.shell, limits.cell_output_bytes, order)
    app.kernel.agent = agent = DefinitionTracker(app.shell, agent_socket, order)
    agent.watch(_recorder(Mode(order["mode"])))
    devices.serve_on_cpu(app.shell, agent.notice)
    app.start()


def _recorder(mode: Mode) -> TrainingHooks | None:
    """Return what follows the trainings of a kernel, None where there are none."""
    if mode is Mode.NONE:
        return None
    loading: Any = sys.modules.get("grader.sandbox.guest.trainings.loading")  # there where data sets are
    recorder = TrainingHooks(mode, loading.LatestBatch.latest if loading else lambda: None)
    recorder.install()
    return recorder


def _reset_inherited_state(seed: int) -> None:
    """Undo what all forks of one process share."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    tempfile.tempdir = os.environ["TMPDIR"]  # looking for one makes and removes a file
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
