"""A command in a fork of the resident grader: it takes over everything that it would have had in its own process."""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from grader.errors import GraderError
from grader.sandbox.host.warm_processes import accept_lines
from grader.sandbox.jail.linux import die_with_parent

__all__ = ["ForkedCommand", "run_forked"]

_STREAMS = ("stdin", "stdout", "stderr")


@dataclass(frozen=True)
class ForkedCommand:
    """What a command brings with it.

    Attributes:
        words: its words, without the name of the program.
        variables: its environment.
        umask: the permissions that its new files do not have.
        ignored_signals: the numbers of the signals that it ignores.
        streams: descriptors of standard input, output and error.
        folder: a descriptor of the current folder.
    """

    words: tuple[str, ...]
    variables: Mapping[str, str]
    umask: int
    ignored_signals: tuple[int, ...]
    streams: tuple[int, int, int]
    folder: int

    @classmethod
    def read(cls, descriptors: Sequence[int]) -> ForkedCommand:
        """Read a command from the descriptors that `client.py` sends. All of them belong to the result, but the first.

        Raises:
            ValueError: this is no command.
        """
        description, *streams, folder = descriptors
        os.lseek(description, 0, os.SEEK_SET)
        with open(description, encoding="utf-8", errors="surrogateescape") as file:
            found = json.load(file)
        standard_input, output, error = streams
        return cls(
            words=tuple(found["words"]),
            variables=found["variables"],
            umask=found["umask"],
            ignored_signals=tuple(found["ignored_signals"]),
            streams=(standard_input, output, error),
            folder=folder,
        )

    def close(self) -> None:
        """Close the descriptors."""
        for descriptor in (*self.streams, self.folder):
            os.close(descriptor)


def run_forked(
    command: ForkedCommand,
    lines: Mapping[tuple[str, ...], socket.socket],
    reports: socket.socket,
    threads: int,
    run: Callable[[Sequence[str]], None],
) -> NoReturn:
    """Turn this fork into the command.

    Args:
        command: the command.
        lines: lines to the warm processes, by the packages that each has imported.
        reports: takes the folders of the assignments that the command uses.
        threads: the number of threads that torch computes with in a new process.
        run: runs the command line; it ends with SystemExit.
    """
    status = 1
    try:
        die_with_parent()
        atexit._clear()  # the handlers are those of the resident grader
        _take_over(command)
        import torch

        torch.set_num_threads(threads)  # it renews torch's pool, which first use would not do safely
        accept_lines(lines, reports)
        run(command.words)
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    except KeyboardInterrupt:
        status = 128 + signal.SIGINT
    except BaseException:
        traceback.print_exc()
    finally:
        _end(status)


def _take_over(command: ForkedCommand) -> None:
    """Give this process the folder, the environment, the signals and the streams of the command."""
    os.fchdir(command.folder)
    os.umask(command.umask)
    os.environ.clear()
    os.environ.update(command.variables)
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        usual = signal.default_int_handler if signal_number == signal.SIGINT else signal.SIG_DFL
        signal.signal(signal_number, signal.SIG_IGN if signal_number in command.ignored_signals else usual)
    for number, (name, descriptor) in enumerate(zip(_STREAMS, command.streams, strict=True)):
        os.dup2(descriptor, number)
        _reopen(name, number)
    command.close()


def _reopen(name: str, number: int) -> None:
    """Open a standard stream as Python does at its start. The one that is there knows what its file was."""
    before = getattr(sys, name)
    buffering = 1 if name == "stderr" or os.isatty(number) else -1
    mode = "r" if name == "stdin" else "w"
    stream = open(number, mode, buffering, encoding=before.encoding, errors=before.errors, closefd=False)  # noqa: SIM115
    for alias in (name, f"__{name}__"):
        setattr(sys, alias, stream)


def _end(status: int) -> NoReturn:
    """End the process without tearing down its modules, which takes longer than many commands."""
    try:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, GraderError):
        status = status or 1
    os._exit(status)
