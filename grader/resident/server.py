"""The resident grader itself: it loads everything once, and forks for each command.

It has one thread, because no thread survives a fork. It knows no secret: the key of the installation is read by the
forks. It ends when nothing has used it for a while, when its code on disk has changed, or when it is told to.
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import socket
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from grader.errors import SandboxFault
from grader.grading.session import GradingSession
from grader.resident.client import ResidentEnded, receive_message, send_message
from grader.resident.endpoint import SUFFIX, compute_name, connect, is_confined_alike, read_peer
from grader.resident.forked_command import ForkedCommand, run_forked
from grader.sandbox.host.sandbox import Zygote
from grader.sandbox.jail import linux

__all__ = ["ResidentGrader"]

_SECONDS_TO_SPEAK = 5.0  # a message follows its connection at once
_SECONDS_TO_END = 10.0  # of a command whose user is gone
_SECONDS_BETWEEN_LOOKS = 30.0
_LONGEST_PATH = 4096  # bytes
_MOST_ZYGOTES = 2  # each takes half a gigabyte
_NEVER = float("inf")


@dataclass
class _RunningCommand:
    """A fork that runs a command.

    Attributes:
        pid: its process id.
        handle: a descriptor of the process.
        line: the connection to its user.
        reports: our end of a line on which it sends the folders of the assignments that it uses.
        kill_at: when to kill it, because its user is gone.
    """

    pid: int
    handle: int
    line: socket.socket
    reports: socket.socket
    kill_at: float = _NEVER


class ResidentGrader:
    """Serves the commands of one user, with a fork for each.

    Args:
        name: the name of its socket, without the suffix.
        folder: a descriptor of the folder of the socket.
        load: loads what every command needs.
        run: runs a command line in a fork, and ends with SystemExit.
        idle_seconds: how long it waits for the next command.
    """

    def __init__(
        self,
        name: str,
        folder: int,
        load: Callable[[], None],
        run: Callable[[Sequence[str]], None],
        idle_seconds: float,
    ) -> None:
        self._name, self._folder = name, folder
        self._load, self._run = load, run
        self._idle_seconds = idle_seconds
        self._variables = dict(os.environ)  # to import torch changes them
        self._session = GradingSession()
        self._zygotes: dict[tuple[str, ...], Zygote] = {}
        self._assignments: set[str] = set()
        self._threads = 1
        self._running: dict[int, _RunningCommand] = {}
        self._commands = 0
        self._started, self._last_use, self._last_look = time.time(), time.monotonic(), time.monotonic()
        self._stops = False
        self._waiting_to_stop: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._selector = selectors.DefaultSelector()

    def serve(self, first: socket.socket, assignment: str) -> None:
        """Listen, load, and serve until there is a reason to end.

        Args:
            first: the connection of the command that started this process.
            assignment: the folder of its assignment.
        """
        socket_file = self._listen()
        send_message(first, {"listening": True})
        self._retire_others()
        self._add_connection(first)
        try:
            self._load_everything(assignment)
            while not self._is_done(socket_file):
                for key, _ in self._selector.select(self._compute_patience()):
                    key.data(key.fileobj)
                self._kill_abandoned()
        finally:
            self._stop_listening(socket_file)
            for zygote in self._zygotes.values():
                zygote.close()

    def _load_everything(self, assignment: str) -> None:
        self._start_zygote(assignment)  # it imports torch at the same time as this process
        self._load()
        import torch

        self._threads = torch.get_num_threads()
        torch.set_num_threads(1)
        self._prepare(assignment)
        self._last_use = time.monotonic()

    # The socket

    def _listen(self) -> os.stat_result:
        """Make the socket appear under its name, in place of one that is left over, as soon as it can be used."""
        unfinished = f".{os.getpid()}{SUFFIX}"
        self._listener.bind(f"/proc/self/fd/{self._folder}/{unfinished}")
        self._listener.listen(128)
        os.rename(unfinished, self._name + SUFFIX, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        return os.stat(self._name + SUFFIX, dir_fd=self._folder)

    def _owns(self, socket_file: os.stat_result) -> bool:
        try:
            return os.path.samestat(os.stat(self._name + SUFFIX, dir_fd=self._folder), socket_file)
        except OSError:
            return False

    def _stop_listening(self, socket_file: os.stat_result) -> None:
        if self._owns(socket_file):
            with suppress(OSError):
                os.unlink(self._name + SUFFIX, dir_fd=self._folder)
        if self._listener.fileno() >= 0:
            self._selector.unregister(self._listener)
            self._listener.close()

    def _retire_others(self) -> None:
        """Stop those that have other code of this installation, and remove what they left."""
        installation, code, _ = self._name.split("-")
        for file in os.listdir(self._folder):
            if not file.startswith(f"{installation}-") or file.startswith(f"{installation}-{code}-"):
                continue
            line = connect(self._folder, file) if file.endswith(SUFFIX) else None
            if line is None:
                with suppress(OSError):
                    os.unlink(file, dir_fd=self._folder)
                continue
            with line, suppress(ResidentEnded):
                send_message(line, {"do": "stop"})

    def _accept(self, _: object) -> None:
        with suppress(OSError):
            self._add_connection(self._listener.accept()[0])

    def _add_connection(self, connection: socket.socket) -> None:
        process, user = read_peer(connection)
        if user == os.geteuid() and is_confined_alike(process):
            self._selector.register(connection, selectors.EVENT_READ, self._answer)
        else:
            connection.close()

    # Requests

    def _answer(self, connection: socket.socket) -> None:
        """Answer the message of a connection. Drop the connection if it says nothing that makes sense."""
        self._selector.unregister(connection)
        keeps = False
        try:
            request, descriptors = receive_message(connection, _SECONDS_TO_SPEAK)
            match request.get("do"):
                case "run" if descriptors and not self._stops:
                    self._start(connection, ForkedCommand.read(descriptors))
                    keeps = True
                case "status":
                    send_message(connection, self._describe())
                case "stop":
                    self._stops = True
                    send_message(connection, self._describe())
                    self._waiting_to_stop.append(connection)  # it is closed when this process ends
                    keeps = True
        except (ResidentEnded, ValueError, LookupError, TypeError, OSError):
            traceback.print_exc()
        if not keeps:
            connection.close()

    def _describe(self) -> dict[str, object]:
        idle = time.monotonic() - self._last_use
        return {
            "pid": os.getpid(),
            "started": self._started,
            "commands": self._commands,
            "running": len(self._running),
            "seconds_left": None if self._running else max(0.0, round(self._idle_seconds - idle, 1)),
            "assignments": sorted(self._assignments),
            "warm_processes": [zygote.pid for zygote in self._zygotes.values()],
        }

    def _start(self, connection: socket.socket, command: ForkedCommand) -> None:
        """Fork for a command."""
        lines = dict(self._open_lines())
        ours, reports = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            self._drop_descriptors()
            connection.close()
            ours.close()
            run_forked(command, lines, reports, self._threads, self._run)
        reports.close()
        command.close()
        for line in lines.values():
            line.close()
        running = _RunningCommand(pid, os.pidfd_open(pid), connection, ours)
        self._running[running.handle] = running
        self._commands += 1
        self._selector.register(running.handle, selectors.EVENT_READ, lambda _: self._finish(running))
        self._selector.register(connection, selectors.EVENT_READ, lambda _: self._abandon(running))
        with suppress(ResidentEnded):
            send_message(connection, {"started": True}, [running.handle])

    def _open_lines(self) -> Iterator[tuple[tuple[str, ...], socket.socket]]:
        for packages, zygote in self._zygotes.items():
            with suppress(SandboxFault):  # it has ended; the command starts its own
                yield packages, zygote.open_line()

    def _drop_descriptors(self) -> None:
        """Close, in a fork, what belongs to this process and to other commands."""
        for key in self._selector.get_map().values():
            os.close(key.fd)
        self._selector.close()
        for connection in self._waiting_to_stop:
            connection.close()

    def _finish(self, running: _RunningCommand) -> None:
        """Tell the user how a command ended, and load what it had to load by itself, for the next one."""
        _, status = os.waitpid(running.pid, 0)
        self._selector.unregister(running.handle)
        os.close(running.handle)
        del self._running[running.handle]
        self._last_use = time.monotonic()
        if running.line.fileno() >= 0:
            self._selector.unregister(running.line)
            with running.line, suppress(ResidentEnded):
                send_message(running.line, {"ended": os.waitstatus_to_exitcode(status)})
        if self._commands == 1:
            self._settle()
        with running.reports:
            running.reports.setblocking(False)
            with suppress(BlockingIOError):
                while folder := running.reports.recv(_LONGEST_PATH):
                    self._prepare(os.fsdecode(folder))

    def _abandon(self, running: _RunningCommand) -> None:
        """End a command whose user is gone."""
        if running.handle in self._running and running.line.fileno() >= 0:
            self._selector.unregister(running.line)
            running.line.close()
            signal.pidfd_send_signal(running.handle, signal.SIGTERM)
            running.kill_at = time.monotonic() + _SECONDS_TO_END

    def _kill_abandoned(self) -> None:
        for running in self._running.values():
            if time.monotonic() >= running.kill_at:
                signal.pidfd_send_signal(running.handle, signal.SIGKILL)
                running.kill_at = _NEVER

    # Assignments

    def _prepare(self, folder: str) -> None:
        """Load an assignment in its current state, if it is not loaded."""
        try:
            self._start_zygote(folder)
            self._session.load([folder])
            self._assignments.add(folder)
        except Exception:  # a rubric may raise anything; the command has told its user
            traceback.print_exc()

    def _settle(self) -> None:
        """Make forks cheaper. This takes a moment, so the first command does not wait for it."""
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        linux.use_huge_pages()

    def _start_zygote(self, folder: str) -> None:
        """Start a warm process with the packages of an assignment, if there is none."""
        packages = self._session.find_assignment(folder).packages
        if packages in self._zygotes and not self._zygotes[packages].ended:
            return
        if packages in self._zygotes:
            self._zygotes.pop(packages).close()
        self._zygotes[packages] = Zygote(packages)
        if len(self._zygotes) > _MOST_ZYGOTES and not self._running:
            self._zygotes.pop(next(iter(self._zygotes))).close()

    # The end

    def _is_done(self, socket_file: os.stat_result) -> bool:
        now = time.monotonic()
        if not self._stops and now - self._last_look >= _SECONDS_BETWEEN_LOOKS:
            self._last_look = now
            self._stops = not self._owns(socket_file) or "-".join(compute_name(self._variables)) != self._name
        if self._stops:
            self._stop_listening(socket_file)
        return not self._running and (self._stops or now - self._last_use >= self._idle_seconds)

    def _compute_patience(self) -> float:
        """Return for how many seconds nothing has to be done."""
        now = time.monotonic()
        ends = [self._last_look + _SECONDS_BETWEEN_LOOKS, *(running.kill_at for running in self._running.values())]
        if not self._running:
            ends.append(self._last_use + self._idle_seconds)
        return max(0.0, min(ends) - now)
