"""Run a command in a resident grader: a thin process that passes on its files, its signals and its exit code.

Messages are JSON in single packets. A command (`run`) comes with descriptors: a file in memory with the words, the
variables and so on, because these may be long; then standard input, output and error, and the current folder. The
answers are `started`, with a descriptor of the process, and `ended`.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from grader.resident.endpoint import SUFFIX, compute_name, connect, open_folder

__all__ = ["ResidentEnded", "ask_all", "receive_message", "run_command", "send_message", "start_resident"]

_MAX_BYTES = 64 * 1024
_MAX_DESCRIPTORS = 5
_SECONDS_TO_LISTEN = 30.0
_SECONDS_TO_START = 120.0  # it imports torch, and a command may have to wait for that
_SECONDS_TO_ANSWER = 10.0
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_OWN_SIGNALS = {*_PASSED_ON, signal.SIGTSTP, signal.SIGCONT}


class ResidentEnded(Exception):
    """The resident grader ended, or did not answer, before the command had ended."""


def run_command(words: Sequence[str]) -> int | None:
    """Run a command in the resident grader and return its exit code. Return None if there is no resident grader.

    If a signal ends the command, it ends this process as well.

    Args:
        words: the words of the command, without the name of the program.

    Raises:
        ResidentEnded: the resident grader ended meanwhile.
    """
    folder = open_folder()
    if folder is None:
        return None
    try:
        line = connect(folder, "-".join(compute_name()) + SUFFIX)
    except OSError:
        return None
    finally:
        os.close(folder)
    if line is None:
        return None
    with line:
        return _follow(line, words)


def start_resident(
    module: str, words: Sequence[str], assignment: str, on_start: Callable[[], None] = lambda: None
) -> int | None:
    """Start a resident grader, and run a command in it as `run_command` does. If there is one by now, use that.

    Args:
        module: the module that the process runs.
        words: the words of the command.
        assignment: the folder of its assignment.
        on_start: called when the command begins.

    Raises:
        ResidentEnded: the resident grader did not start, or ended meanwhile.
    """
    folder = open_folder()
    if folder is None:
        return None
    try:
        name = "-".join(compute_name())
        with _lock(folder, name):
            # Of several commands at once, the first starts the process, and the others find it.
            line = connect(folder, name + SUFFIX) or _start(folder, name, module, assignment)
    finally:
        os.close(folder)
    with line:
        return _follow(line, words, on_start)


def ask_all(question: str) -> Iterator[dict[str, Any]]:
    """Ask all resident graders of this user, and yield what they answer.

    Args:
        question: `status` or `stop`.
    """
    folder = open_folder()
    if folder is None:
        return
    try:
        for name in sorted(os.listdir(folder)):
            line = connect(folder, name) if name.endswith(SUFFIX) else None
            if line is None:
                continue
            with line, suppress(ResidentEnded):
                send_message(line, {"do": question})
                yield receive_message(line, _SECONDS_TO_ANSWER)[0]
                if question == "stop":
                    line.settimeout(_SECONDS_TO_START)
                    line.recv(1)  # returns when the process has ended
    finally:
        os.close(folder)


@contextmanager
def _lock(folder: int, name: str) -> Iterator[None]:
    descriptor = os.open(f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _start(folder: int, name: str, module: str, assignment: str) -> socket.socket:
    """Start the process, and return the first connection to it as soon as others can be made."""
    import subprocess  # imported here, because commands that find the process need not wait for it

    ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    log = os.open(f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        with peer:
            subprocess.Popen(
                [sys.executable, "-P", "-m", module, name, str(folder), str(peer.fileno()), assignment],
                pass_fds=[folder, peer.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # the signals of this terminal are not for it
            )
        receive_message(ours, _SECONDS_TO_LISTEN)
    except BaseException:
        ours.close()
        raise
    finally:
        os.close(log)
    return ours


def _follow(line: socket.socket, words: Sequence[str], on_start: Callable[[], None] = lambda: None) -> int:
    """Have the command run, pass on signals, and return its exit code."""
    with _describe_command(words) as descriptors:
        send_message(line, {"do": "run"}, descriptors)
    _, descriptors = receive_message(line, _SECONDS_TO_START)
    if len(descriptors) != 1:
        raise ResidentEnded("an unknown message")
    (process,) = descriptors
    on_start()
    try:
        with _pass_on_signals(process):
            ended, _ = receive_message(line, None)
    finally:
        os.close(process)
    code = int(ended["ended"])
    if code == -signal.SIGKILL:
        raise ResidentEnded("the process that graded was killed (is there too little memory?)")
    if code < 0:
        _end_by_signal(-code)
    return code


@contextmanager
def _describe_command(words: Sequence[str]) -> Iterator[list[int]]:
    """Yield the descriptors that a command takes along."""
    ignored = [int(number) for number in _PASSED_ON if signal.getsignal(number) is signal.SIG_IGN]
    mask = os.umask(0o077)
    os.umask(mask)
    described = {"words": list(words), "variables": dict(os.environ), "umask": mask, "ignored_signals": ignored}
    opened = [os.memfd_create("command"), os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)]
    try:
        with open(opened[0], "w", encoding="utf-8", errors="surrogateescape", closefd=False) as file:
            json.dump(described, file, ensure_ascii=False)
        streams = []
        for number in range(3):
            try:
                os.fstat(number)
                streams.append(number)
            except OSError:  # it is closed
                streams.append(os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC))
                opened.append(streams[-1])
        yield [opened[0], *streams, opened[1]]
    finally:
        for descriptor in opened:
            os.close(descriptor)


@contextmanager
def _pass_on_signals(process: int) -> Iterator[None]:
    """Send the signals that this process gets to the one that a descriptor stands for."""

    def send(number: int, frame: object = None) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, number)

    def pause(number: int, frame: object) -> None:
        send(signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)

    handlers: dict[signal.Signals, Any] = dict.fromkeys(_PASSED_ON, send)
    handlers |= {signal.SIGTSTP: pause, signal.SIGCONT: send}
    before = {number: signal.getsignal(number) for number in _OWN_SIGNALS}
    try:
        for number, handler in handlers.items():
            if before[number] is not signal.SIG_IGN:
                signal.signal(number, handler)
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier if earlier is not None else signal.SIG_DFL)


def _end_by_signal(number: int) -> NoReturn:
    """End as the command ended, so that a shell sees the same."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)


def send_message(line: socket.socket, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
    """Send one message.

    Raises:
        ResidentEnded: the other end was closed, or does not read.
    """
    try:
        line.settimeout(_SECONDS_TO_ANSWER)
        socket.send_fds(line, [json.dumps(message).encode()], list(descriptors))
    except OSError as error:
        raise ResidentEnded(str(error)) from None


def receive_message(line: socket.socket, seconds: float | None) -> tuple[dict[str, Any], list[int]]:
    """Return the next message, and the descriptors that came with it.

    Args:
        line: the socket.
        seconds: how long to wait; None for ever.

    Raises:
        ResidentEnded: the other end was closed, sent something else, or sent nothing in time.
    """
    descriptors: list[int] = []
    try:
        line.settimeout(seconds)
        body, descriptors, _, _ = socket.recv_fds(line, _MAX_BYTES, _MAX_DESCRIPTORS)
        message = json.loads(body)
        if isinstance(message, dict):
            return message, descriptors
        problem = "an unknown message"
    except (OSError, ValueError) as error:
        problem = str(error)
    for descriptor in descriptors:
        os.close(descriptor)
    raise ResidentEnded(problem)
