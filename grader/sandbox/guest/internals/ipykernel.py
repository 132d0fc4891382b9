"""ipykernel without sockets, threads and files: its application, its kernel and its output streams on one line."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from ipykernel.iostream import IOPubThread, OutStream
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from IPython.core.application import BaseIPythonApplication
from tornado.ioloop import IOLoop
from traitlets import Any as AnyTrait
from traitlets.config import Config

from grader.sandbox.guest.internals.ipython import set_option
from grader.sandbox.guest.internals.jupyter_client import LineSession
from grader.sandbox.guest.internals.replacement import overriding, replace_attribute
from grader.sandbox.guest.messages import END, MessageLine

__all__ = [
    "CellStream",
    "LineKernel",
    "Outlet",
    "WarmKernelApp",
    "make_app",
    "mute",
    "replace_exit",
    "replace_keyboard",
]

_BUFFERED = 2**16  # characters of printed text that wait for the end of the cell


@overriding("schedule")
class Outlet(IOPubThread):  # type: ignore[misc]
    """Stand in for the socket, the stream and the thread of one of Jupyter's channels, and send at once."""

    thread = io_loop = None

    def __init__(self, channel: str) -> None:
        self.channel = channel

    def schedule(self, f: Callable[[], Any]) -> None:
        """Call `f` now instead of on a thread."""
        f()


@overriding("write", "_flush", "_schedule_flush", "fileno")
class CellStream(OutStream):  # type: ignore[misc]
    """Send what a cell prints with its next other output, at its end, or when there is much of it.

    What reaches the stream's descriptor in another way is sent in its place between the prints. Nothing is sent if
    `is_mute`.
    """

    _buffered = 0
    is_mute = False
    _descriptor: int | None = None
    _other: CellStream | None = None

    _read_descriptor: Callable[[], str] = staticmethod(lambda: "")

    def follow(self, descriptor: int, read: Callable[[], str], other: CellStream) -> None:
        """Send what is written to a descriptor, too.

        Args:
            descriptor: its number.
            read: returns what was written since the last call.
            other: the other stream, whose text is sent before what is printed later.
        """
        self._descriptor, self._read_descriptor, self._other = descriptor, read, other

    def fileno(self) -> int:
        """Return the number of the descriptor."""
        return self._descriptor if self._descriptor is not None else int(super().fileno())

    def write(self, string: str) -> int | None:
        """Buffer a text, or send it together with the texts before it."""
        if self._other is not None and self._is_master_process():
            self._other._hand_over()
            self._take_from_descriptor()
        written: int | None = super().write(string)
        self._buffered += len(string)
        if self._buffered > _BUFFERED:
            self._send()
        return written

    def _take_from_descriptor(self) -> None:
        if text := self._read_descriptor():
            super().write(text)
            self._buffered += len(text)

    def _hand_over(self) -> None:
        """Send what was printed before the other stream's next text."""
        self._take_from_descriptor()
        if self._buffered:
            self._send()

    def _flush(self) -> None:
        if self._is_master_process():
            self._take_from_descriptor()
        self._send()

    def _send(self) -> None:
        self._buffered = 0
        if self.is_mute:
            self._rotate_buffers()
        else:
            super()._flush()

    def mute(self) -> None:
        """Drop what is printed from now on."""
        self.is_mute = True
        self._read_descriptor = lambda: ""  # its number may soon be another file's

    def _schedule_flush(self) -> None:
        """Start no timer: output is not read while a cell runs."""


# Programs ask for this name to find out whether they run in a notebook.
CellStream.__name__ = CellStream.__qualname__ = OutStream.__name__


@overriding("start", "shell_stream", "control_stream", "_supports_kernel_subshells")
@overriding("_publish_status", "_publish_execute_input", "do_execute", "do_shutdown")
class LineKernel(IPythonKernel):  # type: ignore[misc]
    """Serve requests one by one on the main thread.

    `end` is called after the last cell with its index. If this process is a snapshot from then on, it returns a
    function that makes the snapshot's calls, which are otherwise made in the place of the next statement that is run.
    What `list_stops` returns after a cell is sent with the reply.
    """

    end: Callable[[int], Callable[[], None] | None]
    list_stops: Callable[[], Any]
    is_serving = False
    shell_stream = control_stream = AnyTrait()
    _supports_kernel_subshells = False

    def start(self) -> None:
        """Begin to serve requests once the loop runs."""
        replace_attribute(self.shell, "exit_now", False)
        self.io_loop = IOLoop.current()
        # Used by a cell that awaits something, to learn whether it runs on the main thread.
        parent = SimpleNamespace(parent_thread=threading.main_thread())
        replace_attribute(self, "shell_channel_thread", parent)
        self.io_loop.add_callback(self._serve)

    async def _serve(self) -> None:
        self.is_serving = True
        try:
            await self._serve_requests()
        finally:
            self.is_serving = False

    async def _serve_requests(self) -> None:
        self._publish_status("starting", "shell")
        while message := await self.session.line.receive():
            _, kind, number, content = message
            make_calls = None
            if kind == END:
                make_calls = self.end(content["cell"])
                self.session.send(self.shell_stream, END, {}, parent={"header": {"msg_id": number}})
                if make_calls is None:
                    continue
                mute(self)
                # The calls are made from a further cell.
                kind, content = "execute_request", {"code": "None", "silent": True, "place": {"cell": content["cell"]}}
            header = {"msg_id": number, "msg_type": kind, "session": ""}
            request = {"header": header, "parent_header": {}, "metadata": content.pop("place"), "content": content}
            try:
                await self.dispatch_shell((request, None))
            except Exception:  # a student's stream may raise when it is flushed; the next cell is served nonetheless
                self.log.exception("a request was not served")
            if make_calls is not None:
                make_calls()  # the notebook has changed how cells are run
            if self.session.in_child():
                os._exit(0)  # a forked child that returned from its cell must not serve the next one

    async def do_execute(self, *args: Any, **options: Any) -> dict[str, Any]:
        """Run a cell, and add to the reply which of its statements raised."""
        reply: dict[str, Any] = await super().do_execute(*args, **options)
        return {**reply, "stops": self.list_stops()}

    def do_shutdown(self, restart: bool) -> dict[str, Any]:
        """Do nothing: a notebook that restarts its kernel, as after an install, means to go on."""
        print("(the kernel is not restarted while this is graded: the next cells run in it)")  # noqa: T201
        return {"status": "ok", "restart": restart}

    def _publish_status(self, status: str, channel: str, parent: Any = None) -> None:
        if status == "idle":  # a cell may have put other streams in the place of these
            self._stdout.flush()
            self._stderr.flush()
        if status != "busy":  # the runner does not use it
            super()._publish_status(status, channel, parent)

    def _publish_execute_input(self, code: str, parent: Any, execution_count: int) -> None:
        """Do not repeat the request: the runner knows it."""


@overriding("init_connection_file", "write_connection_file", "load_config_file", "init_config_files")
@overriding("init_crash_handler")
class WarmKernelApp(IPKernelApp):  # type: ignore[misc]
    """ipykernel's application without what needs files, TCP or a parent process, in two halves.

    `prepare` does what needs no sockets, in the warm process. `connect` does the rest in a fork of it. Both follow the
    order of ipykernel's `initialize`.
    """

    def prepare(self) -> None:
        """Make the kernel and its shell, not connected to anything yet."""
        BaseIPythonApplication.initialize(self, [])
        self.init_pdb()
        self.kernel = self.kernel_class.instance(
            parent=self, session=self.session, log=self.log, profile_dir=self.profile_dir, user_ns=self.user_ns
        )
        self.init_path()
        self.init_shell()
        self.init_gui_pylab()
        self.init_extensions()
        self.init_code()

    def connect(self, line: MessageLine, read_descriptors: Mapping[int, Callable[[], str]]) -> None:
        """Give the kernel its line, and send there what is printed.

        Args:
            line: leads to the runner.
            read_descriptors: return what was written to descriptors 1 and 2 since the last call.
        """
        kernel, shell, outlet = self.kernel, self.kernel.shell, Outlet("iopub")
        self.session.connect(line)
        replace_attribute(self, "iopub_thread", outlet)
        replace_attribute(self, "iopub_socket", outlet)
        self.init_blackhole()
        self.init_io()
        out: Any = sys.stdout
        err: Any = sys.stderr
        out.follow(1, read_descriptors[1], err)
        err.follow(2, read_descriptors[2], out)
        self.init_signal()
        kernel.shell_stream = Outlet("shell")
        replace_attribute(kernel, "iopub_thread", outlet)
        replace_attribute(kernel, "iopub_socket", outlet)
        replace_attribute(kernel, "_stdout", sys.stdout)
        replace_attribute(kernel, "_stderr", sys.stderr)
        replace_attribute(shell.displayhook, "pub_socket", outlet)
        replace_attribute(shell.display_pub, "pub_socket", outlet)
        replace_attribute(self.displayhook, "get_execution_count", lambda: kernel.execution_count)

    def serve(self) -> None:
        """Serve requests until the line ends. A notebook may stop the loop, as a restart of the kernel would."""
        self.start()
        while self.kernel.is_serving:
            with suppress(KeyboardInterrupt):
                self.io_loop.start()

    def init_connection_file(self) -> None:
        """Make no connection file: the line is handed over in memory."""

    def write_connection_file(self, **_: Any) -> None:
        """Write no connection file."""

    def load_config_file(self, *_: Any, **__: Any) -> None:
        """Load no configuration files: a student's home starts empty."""

    def init_config_files(self) -> None:
        """Do not copy the files of a new profile: the environment may be out of reach."""

    def init_crash_handler(self) -> None:
        """Install no crash report."""


def make_app(config: Config) -> WarmKernelApp:
    """Return the application, with its kernel and shell prepared."""
    # The pause is for clients that might miss output. Ours reads everything in order.
    set_option(config, IPythonKernel, "_execute_sleep", 0)
    app: WarmKernelApp = WarmKernelApp.instance(
        config=config,
        session=LineSession(username="student"),
        kernel_class=LineKernel,
        outstream_class=f"{__name__}.CellStream",
        capture_fd_output=False,
        log_level=50,
    )
    app.prepare()
    # traitlets sets the level on the handler only, so that each message would be made before it is dropped.
    app.log.setLevel(app.log_level)
    return app


def mute(kernel: Any) -> None:
    """Send nothing that the kernel's code prints or displays any more."""
    kernel.session.mute()
    for stream in (kernel._stdout, kernel._stderr):
        stream.mute()


def replace_exit(shell: Any, instead: Callable[[], None]) -> None:
    """Call `instead` when a cell calls exit() or quit(). ipykernel would stop in the middle of a later cell."""
    replace_attribute(shell, "ask_exit", instead)


def replace_keyboard(shell: Any, ask: Callable[..., str]) -> None:
    """Answer what cells ask of the keyboard by `ask`, while cells run and afterwards."""
    replace_attribute(shell.kernel, "raw_input", ask)
    replace_attribute(shell.kernel, "getpass", ask)
